"""cpt_mixing: parity with the official prompts and filter, the mixture, the world, own data."""

from __future__ import annotations

import json
import math
import random
import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import pytest

from core.corpora.filtering import identifier
from core.corpora.mixture import Mixture
from core.errors import UserError
from core.experiment.config import override
from core.experiment.paper import find
from core.experiment.run import Run
from core.files import read_json
from core.models.loading import load
from core.tasks.choices import Question
from core.text.languages import resource_level
from core.worlds import messages
from papers.cpt_mixing import data, method, miniature, prompts, train, use
from papers.cpt_mixing.config import GROUPS, PRESETS, VARIANTS

TINY, SMOKE, PAPER = PRESETS["tiny"], PRESETS["smoke"], PRESETS["paper"]
HELD: tuple[Literal["dev", "test"], ...] = ("dev", "test")


# --- parity with the official code ------------------------------------------------------------------------------------


def test_topics_are_asked_as_officially() -> None:
    rows = [(f"train sentence {i}", prompts.TOPICS[3 * i % 7]) for i in range(10)]
    seeds = prompts.item_seeds(2)
    assert seeds == [654, 114]
    shots = prompts.without_replacement(rows, seeds[0])
    assert [text for text, _ in shots] == ["train sentence 3", "train sentence 9", "train sentence 4"]
    prompt = prompts.topic_prompt("test sentence 0", shots)
    head = "Topic Classification: science/technology, travel, politics, sports, health, entertainment, geography.\n\n"
    assert prompt.startswith(f'{head}The topic of the news "train sentence 3" is politics\n')
    assert prompt.endswith('\nThe topic of the news "test sentence 0" is\n')
    assert prompt.count("\n") == 6


def test_translations_are_asked_as_officially() -> None:
    rows = [(f"src {i}.", f"tgt {i}.") for i in range(9)]
    first, second = (prompts.with_replacement(rows, seed) for seed in prompts.item_seeds(2))
    assert [text for text, _ in first] == ["src 6.", "src 5.", "src 1."]
    assert [text for text, _ in second] == ["src 3.", "src 1.", "src 5."]
    assert prompts.translation_prompt("Sawubona.", first[:1], "Zulu", "English") == (
        "[Zulu]: src 6.\n[English]: tgt 6.\n"
        "Translate the following sentence from Zulu to English\n[Zulu]: Sawubona.\n[English]:"
    )


@pytest.mark.parametrize(
    ("labels", "stays"), [(["swh", "swh", "swh"], True), (["swh", "eng"], False), (["eng"], True), ([], False)]
)
def test_the_filter(labels: list[str], stays: bool) -> None:
    document = " ".join(f"Sentence of {label} {number}." for number, label in enumerate(labels))
    identify = lambda found: [text.split()[2] for text in found]  # noqa: E731
    assert method.is_monolingual(document, identify) is stays


def test_the_filter_splits_where_english_rules_do_not() -> None:
    asked: list[str] = []

    def identify(found: Sequence[str]) -> list[str]:
        asked.extend(found)
        return ["eng" if text.isascii() else "zho" for text in found]

    assert not method.is_monolingual("今天天气很好。I like it.\n明天也好。", identify)
    assert asked == ["今天天气很好。", "I like it.", "明天也好。"]
    assert all("\n" not in text for text in asked)


def test_both_scorings_of_a_label(smoke: Callable[[str], Any]) -> None:
    folder = miniature.base(SMOKE, Run(smoke("cpt_mixing").stages, "cpt_mixing", SMOKE, smoke("cpt_mixing").stages))
    model, tokenizer = load(folder, device="cpu")
    asked = [Question("x", prompts.topic_prompt("Norway", ()), tuple(f" {t}" for t in prompts.TOPICS), 6)]
    import torch

    ids = torch.tensor([tokenizer(tokenizer.bos_token + asked[0].context, add_special_tokens=False)["input_ids"]])
    last = [tokenizer.encode(f" {t}", add_special_tokens=False)[-1] for t in prompts.TOPICS]
    expected = int(model(ids).logits[0, -1, last].argmax())
    for right in range(7):
        found = prompts.right_topics(
            model,
            tokenizer,
            [replace(asked[0], answer=right, context=tokenizer.bos_token + asked[0].context)],
            "official",
        )
        assert (found["x"] > 0) == (right == expected)
    assert set(prompts.right_topics(model, tokenizer, asked).values()) <= {0.0, 1.0}


# --- the mixture ------------------------------------------------------------------------------------------------------


def test_shares_are_of_tokens_and_languages_are_equal() -> None:
    budgets = method.token_budgets(["sw", "zu"], 9000, code=1 / 3, replay=0.1)
    assert math.fsum(budgets.values()) == pytest.approx(9000)
    assert budgets["sw"] == budgets["zu"] == pytest.approx(9000 * (1 - 1 / 3 - 0.1) / 2)
    documents = {"sw": [[0] * 5] * 50, "zu": [[0] * 20] * 50, "code": [[0] * 400] * 9, "english": [[0] * 10] * 9}
    read = dict.fromkeys(budgets, 0)
    for _, source, ids in Mixture(documents, [budgets], seed=0):
        read[source] += len(ids)
    assert all(abs(read[name] - wanted) <= len(documents[name][0]) for name, wanted in budgets.items())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"code": 0.6, "replay": 0.4}, "leave no share"),
        ({"code": -0.1}, "leave no share"),
        ({"code": 0.3, "code_sources": ()}, "no source for code"),
        ({"languages": ()}, "no source for languages"),
    ],
)
def test_shares_that_cannot_be(options: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        method.token_budgets(**{"languages": ["sw"], "tokens": 100.0, **options})


def test_pairs_stand_in_both_orders() -> None:
    pairs = [(f"en {n}", f"sw {n}") for n in range(200)]
    lines = method.pair_document(pairs, random.Random(0)).split("\n")
    assert {frozenset(lines[at : at + 2]) for at in range(0, 400, 2)} == {frozenset(pair) for pair in pairs}
    assert 70 < sum(line.startswith("en") for line in lines[::2]) < 130


def test_fidelity_counts_what_says_nothing_as_another_language() -> None:
    identify = lambda found: ["en" if "the" in text else "sw" for text in found]  # noqa: E731
    right, english = method.fidelity(["habari\nya leo", "the day", " .", "habari"], ["sw", "sw", "sw", "de"], identify)
    assert (right, english) == ([1, 0, 0, 0], [0, 1, 0, 0])
    assert method.halved("one two three four five") == "one two"
    assert method.halved("No file. Check it.") == "No"
    assert method.halved("一") == "一"


def test_the_recommendation() -> None:
    base = {"target_bits": 5.0, "english_bits": 2.0, "fidelity": 0.0}
    grid = {
        "mono": {"target_bits": 2.0, "english_bits": 3.0, "fidelity": 0.9},
        "bi": {"target_bits": 2.2, "english_bits": 2.0, "fidelity": 0.1},
        "replay": {"target_bits": 2.4, "english_bits": 2.04, "fidelity": 0.85},
    }
    name, why = method.recommend(grid, base)
    assert name == "replay"
    assert "mono: English costs 1.00 bits more" in why
    assert "bi: 80% fewer answers" in why
    assert method.recommend({"mono": grid["mono"]}, base)[1].startswith("lowest loss, but English costs")
    with pytest.raises(UserError, match="no mixture"):
        method.recommend({}, base)


# --- the world --------------------------------------------------------------------------------------------------------


def test_held_out_messages_and_names_are_nowhere_in_training() -> None:
    found = miniature.texts(SMOKE)
    codes = miniature.languages(SMOKE)
    held = {part: {item.cls for item in found.items[part]} for part in HELD}
    assert not held["dev"] & held["test"]
    assert not {item.cls for item in found.items["train"]} & (held["dev"] | held["test"])
    for code in codes:
        trained = {messages.skeleton(own) for _, own in found.pairs[code]["message"]}
        for part in HELD:
            assert len(found.held[part][code]) == SMOKE.held_out
            assert not trained & {messages.skeleton(text) for text in found.held[part][code].values()}
    english = {messages.skeleton(en) for code in codes for en, _ in found.pairs[code]["message"]}
    assert not english & {messages.skeleton(text) for part in HELD for text in found.held[part]["en"].values()}


def test_two_seeds_see_all_groups_and_the_kinds_are_equal() -> None:
    drawn = [miniature.groups(replace(TINY, seed=seed)) for seed in (4, 5)]
    assert {*drawn[0], *drawn[1]} == set(miniature.FAMILIES)
    for high, mid, low, _ in miniature.FAMILIES.values():
        assert [resource_level(code) for code in (high, mid, low)] == ["high", "medium", "low"]
    asked = miniature.questions(SMOKE, miniature.languages(SMOKE)[1])
    assert sorted(question.answer for question in asked) == sorted(list(range(3)) * SMOKE.names)
    assert all(question.context.count("The topic of the news") == 4 for question in asked)


def test_pairs_apart_are_the_same_sentences() -> None:
    config = replace(SMOKE, tokens=1e6)
    group, (learnt, _) = next(iter(miniature.groups(config).items()))
    code = next(iter(learnt))
    together, apart = (
        [*next(b for b in miniature.material(made, group) if b.name == f"en-{code}").texts()]
        for made in (config, replace(config, pairs="apart"))
    )
    pairs = [pair for found in miniature.texts(config).pairs[code].values() for pair in found]
    own, english = {text for _, text in pairs}, {text for text, _ in pairs}
    for document in together:
        assert {*document.split("\n")} & own
        assert {*document.split("\n")} & english
    assert all({*document.split("\n")} <= own or {*document.split("\n")} <= english for document in apart)
    lines = [Counter(line for document in made for line in document.split("\n")) for made in (together, apart)]
    assert lines[0].keys() == lines[1].keys() == own | english
    assert lines[0].total() == pytest.approx(lines[1].total(), rel=0.01)


# --- settings and the paper's scale -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"sources": "mine.jsonl"}, "--model"),
        ({"model": "x"}, "--sources"),
        ({"model": "x", "sources": "mine.jsonl"}, "--test-corpus"),
        ({"pairs": "apart"}, "--data bi"),
        ({"data": "none", "code": 0.3}, "reads nothing"),
        ({"left_out": 1.0}, "nothing to read"),
        ({"code": 0.6, "replay": 0.4}, "below 1"),
        ({"training.shuffle": True}, "leave it off"),
    ],
)
def test_settings_that_cannot_be(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        override(TINY, changes)


@pytest.mark.parametrize("group", GROUPS)
def test_the_papers_groups_have_sources(group: str) -> None:
    config = replace(PAPER, sources=group, code=0.3, replay=0.1)
    for kind in ("mono", "bi"):
        bodies = data.bodies(replace(config, data=kind), group)
        assert [body.category for body in bodies] == [kind] * len(GROUPS[group][0]) + ["code", "english"]
        budgets = data.budgets(
            replace(config, data=kind),
            {k: {b.name: 1 for b in bodies if b.category == k} for k in (kind, "code", "english")},
        )
        assert math.fsum(budgets.values()) == pytest.approx(PAPER.tokens)
    assert PAPER.training.batch_size * PAPER.training.max_length * 5500 == PAPER.tokens


# --- whole runs -------------------------------------------------------------------------------------------------------


def test_the_smoke_run_measures_every_language(smoke: Callable[[str], Any]) -> None:
    found = smoke("cpt_mixing").measurement
    units = found["units"]
    assert len(units["target_bits"]) == 6
    assert len(units["related_bits"]) == len(units["other_bits"]) == 2
    assert {key.split("/")[0] for key in units["fidelity"]} == set(units["target_bits"])
    assert len(units["right_less"]) == len(units["right_mid"]) + len(units["right_low"]) == 4 * 3 * SMOKE.names
    assert {"trivial_one_kind", "trivial_letters", "identified", "right_english"} <= set(found["metrics"])
    assert set(found["details"]["mixture"]) == set(miniature.groups(SMOKE))


def test_variants_read_what_they_say(tmp_path: Path, smoke: Callable[[str], Any]) -> None:
    shares = {}
    for variant in ("bi_code", "replay"):
        config = override(replace(SMOKE, tokens=6000), VARIANTS[variant])
        run = Run(tmp_path / variant, "cpt_mixing", config, smoke("cpt_mixing").stages, quiet=True)
        train.train(config, run)
        read = next(iter(read_json(run.artifact / "mixture.json").values()))
        shares[variant] = {name: tokens / sum(read.values()) for name, tokens in read.items()}
    assert shares["replay"]["english"] == pytest.approx(0.2, abs=0.02)
    assert sum(share for name, share in shares["bi_code"].items() if name.startswith("en-")) > 0.5


@pytest.fixture
def own(tmp_path: Path, smoke: Callable[[str], Any], monkeypatch: pytest.MonkeyPatch) -> Path:
    """A manifest with all categories, held-out text, examples, topics and a model."""
    monkeypatch.chdir(tmp_path)
    folder = miniature.base(SMOKE, Run(smoke("cpt_mixing").stages, "cpt_mixing", SMOKE, smoke("cpt_mixing").stages))
    found, code = miniature.texts(SMOKE), miniature.languages(SMOKE)[1]
    pairs = [pair for pair in found.pairs[code]["message"] if "\t" not in "".join(pair)]
    (tmp_path / "model").symlink_to(folder)
    table = "".join(f"{a}\t{b}\n" for a, b in pairs)
    (tmp_path / "pairs.tsv").write_text(f"en\t{code}\n{table}", encoding="utf-8")
    (tmp_path / "own.txt").write_text("".join(f"{b}\r\n" for _, b in pairs), encoding="utf-8")
    (tmp_path / "en.jsonl").write_text("".join(json.dumps({"text": a}) + "\n" for a, _ in pairs))
    (tmp_path / "code.jsonl").write_text(json.dumps({"text": "def f(x):\n    return x\n" * 40}) + "\n")
    held = found.held["test"]
    rows = "".join(f"{held['en'][key]}\t{held[code][key]}\n" for key in held["en"])
    (tmp_path / "held.tsv").write_text(f"en\t{code}\n{rows}", encoding="utf-8")
    (tmp_path / "topics" / code).mkdir(parents=True)
    for part in ("train", "test"):
        lines = "".join(f"{i}\t{'a' if i % 2 else 'b'}\t{b}\n" for i, (_, b) in enumerate(pairs[:6]))
        (tmp_path / "topics" / code / f"{part}.tsv").write_text(f"index_id\tcategory\ttext\n{lines}", encoding="utf-8")
    entries = [
        {"path": "own.txt", "category": "mono", "language": code},
        {"path": "pairs.tsv", "category": "bi", "languages": ["en", code]},
        {"path": "code.jsonl", "category": "code", "language": "code"},
        {"path": "en.jsonl", "category": "english", "language": "en"},
    ]
    (tmp_path / "sources.jsonl").write_text("".join(json.dumps(entry) + "\n" for entry in entries))
    return tmp_path


def test_a_grid_of_own_sources(own: Path, capsys: pytest.CaptureFixture[str]) -> None:
    options = ["grid", "sources.jsonl", "--model", "model", "--test-corpus", "held.tsv", "--tokens", "400"]
    options += ["--labelled", "topics", "--max-length", "64", "--batch-size", "2"]
    use.main(options)
    said = capsys.readouterr().out
    assert re.search(r"take (mono|bi|mono_code|bi_code|replay): ", said)
    lines = (own / "grid" / "grid.tsv").read_text().splitlines()
    assert [line.split("\t")[0] for line in lines] == ["mixture", "base", *use.NEEDS]
    assert all(line.split("\t")[-1] for line in lines)
    use.main(options)
    assert "step" not in capsys.readouterr().err, "what is finished is not done again"
    for changes, message in ((["--model", "model"], "--test-corpus"), ([], "--model")):
        with pytest.raises(SystemExit):
            use.main(["grid", "sources.jsonl", *changes])
        assert message in capsys.readouterr().err


def test_own_sources_that_do_not_fit(own: Path) -> None:
    config = replace(SMOKE, model="model", sources="sources.jsonl", test_corpus="held.tsv", labelled="topics")
    code = next(iter(data.groups(config)["own"][0]))
    lines = (own / "sources.jsonl").read_text().splitlines()
    (own / "bitext.jsonl").write_text(lines[1] + "\n")
    identify = data.identifier(replace(config, sources="bitext.jsonl"))
    assert set(identify(["Select all objects on this page for an action"])) <= {"en", code}
    (own / "more.jsonl").write_text("\n".join([*lines, lines[0].replace(f'"{code}"', '"sw"')]) + "\n")
    with pytest.raises(UserError, match="has no column sw"):
        data.groups(replace(config, sources="more.jsonl"))
    (own / "topics" / code / "test.tsv").write_text("index_id\tcategory\ttext\n0\tc\tx\n")
    with pytest.raises(UserError, match="has the topic 'c'"):
        data.questions(config, code)


def test_own_translations_are_scored(own: Path, smoke: Callable[[str], Any]) -> None:
    from papers.cpt_mixing import eval as evaluation

    config = replace(SMOKE, model="model", sources="sources.jsonl", test_corpus="pairs.tsv", translations=10)
    model, tokenizer = load("model", device="cpu")
    found = evaluation.translated(model, tokenizer, config)
    assert {name: len(values) for name, values in found.items()} == dict.fromkeys(
        ("bleu_to_english", "chrf_to_english", "bleu_from_english", "chrf_from_english"), 1
    )


def test_cleaning_and_mixing(own: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pairs = [line.split("\t") for line in (own / "pairs.tsv").read_text(encoding="utf-8").splitlines()]
    (_, code), rows = pairs[0], [pair for pair in pairs[1:] if re.fullmatch(r"[\w ]{12,}\.?", pair[0])][:8]
    texts = [f"{b}\n{b}" for _, b in rows] + [f"{a}\n{b}" for a, b in rows]
    (own / "corpus.jsonl").write_text("".join(json.dumps({"text": text, "url": "u"}) + "\n" for text in [*texts, " "]))
    use.main(["clean", "corpus.jsonl", "--examples", "pairs.tsv"])
    assert "of 17 documents" in capsys.readouterr().out
    kept = [json.loads(line) for line in (own / "clean.jsonl").read_text().splitlines()]
    assert kept == [{"text": text, "url": "u"} for text in texts[:8]], "all columns stay"
    (own / "corpus.txt").write_text(f"{rows[0][1]}\n\n")
    use.main(["clean", "corpus.txt", "--examples", "pairs.tsv", "--out", "lines.jsonl"])
    assert json.loads((own / "lines.jsonl").read_text()) == {"text": rows[0][1]}
    capsys.readouterr()
    (own / "mine.py").write_text("def one():\n    return lambda texts: ['x' for _ in texts]\n")
    use.main(["clean", "corpus.jsonl", "--identify", "mine.py:one"])
    assert "16 of 17" in capsys.readouterr().out
    said = [{"text": b, "language": code} for _, b in rows] + [{"text": a, "language": code} for a, _ in rows]
    (own / "outputs.jsonl").write_text("".join(json.dumps(row) + "\n" for row in said))
    use.main(["mixing", "outputs.jsonl", "--examples", "pairs.tsv"])
    assert capsys.readouterr().out.splitlines()[1].split() == [code, "16", "0.50", "0.50"]
    (own / "strange.jsonl").write_text(json.dumps({"text": "x", "language": "sw-KE"}) + "\n")
    with pytest.raises(SystemExit):
        use.main(["mixing", "strange.jsonl", "--examples", "pairs.tsv"])
    assert "no column 'sw-KE'" in capsys.readouterr().err
    for options, message in (
        ([], "--examples"),
        (["--examples", "own.txt"], "own.txt"),
    ):
        with pytest.raises(SystemExit):
            use.main(["mixing", "outputs.jsonl", *options])
        assert message in capsys.readouterr().err


def test_an_identifier_of_example_text() -> None:
    identify = identifier({"en": ["the house is big"], "de": ["das Haus ist groß"]})
    assert method.fidelity(["ist das groß", "is the house"], ["de", "de"], identify)[0] == [1, 0]


def test_the_worked_example_of_the_page(capsys: pytest.CaptureFixture[str]) -> None:
    page = (find("cpt_mixing").folder / "README.md").read_text(encoding="utf-8")
    (block,) = re.findall(r"^```python\n(.*?)^```", page, re.DOTALL | re.MULTILINE)
    exec(compile(block, "README.md", "exec"), {})
    shares, *rest = capsys.readouterr().out.splitlines()
    assert re.fullmatch(r"\{'sw': (29|30)\d\d, 'zu': (29|30)\d\d, 'code': (28|32)00\}", shares)
    assert rest[:2] == ["False", "([1.0, 0.0], [0.0, 1.0])"]
    assert {*rest[2:]} == {"Good morning.", "Habari ya asubuhi."}
