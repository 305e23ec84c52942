"""vega_mt: directions, round trips, pseudo pairs, ensembles, the official punctuation, own text."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch

from core.cost.accounting import count_parameters
from core.errors import UserError
from core.experiment.config import override, with_variant
from core.experiment.entrypoint import execute
from core.experiment.run import Run
from core.files import read_json_lines, write_rows
from core.inference.seq2seq import decoder_start, encode
from core.models.loading import from_config, load
from core.models.scratch import mbart50_tokenizer, mbart_config
from core.tasks.translation import Segment
from core.text.sampling import probabilities
from papers.vega_mt import PAPER, data, method, miniature, use
from papers.vega_mt.config import PRESETS, VARIANTS, Config, workload
from papers.vega_mt.eval import _auc, evaluate
from papers.vega_mt.punctuation import half_to_full
from papers.vega_mt.train import train

ENGLISH = ["two", "two hundred", "seven", "seven hundred two"]
CZECH = ["dva", "dvě stě", "sedm", "sedm set dva"]
ROWS = [{"en": a, "cs": b} for a, b in zip(ENGLISH, CZECH, strict=True)]
QUICK = {f"{name}.{key}": value for name in ("pretraining", "tuning", "augmenting", "generalising")
         for key, value in {"steps": 1, "batch_size": 4, "micro_batch_size": 0, "precision": "fp32", "strategy": "auto",
                            "gradient_checkpointing": False, "save_every": 0, "warmup": 0}.items()}  # fmt: skip


@pytest.fixture(scope="module")
def models() -> tuple[list[Any], Any]:
    """Three untrained models of one vocabulary."""
    tokenizer = mbart50_tokenizer([*ENGLISH, *CZECH])
    shape = mbart_config(len(tokenizer), width=16, layers=1, heads=2)
    return [from_config(shape, seed=seed, task="seq2seq").eval() for seed in range(3)], tokenizer


def segment(text: str, translation: str, source: str = "en", target: str = "cs", item: str = "0") -> Segment:
    return Segment(item, source, target, text, translation)


# ------------------------------------------------------------------------------------------------------- directions


def test_directions_of_the_three_scopes() -> None:
    assert method.directions("multi", ("en", "cs"), ["cs", "de"]) == [
        ("en", "cs"),
        ("cs", "en"),
        ("en", "de"),
        ("de", "en"),
    ]
    assert method.directions("bi", ("cs", "en"), ()) == [("cs", "en"), ("en", "cs")]
    assert method.directions("uni", ("cs", "en"), ["cs", "de"]) == [("cs", "en")]
    assert len(method.directions("multi", ("en", "zh"), PRESETS["paper"].languages)) == 10


def test_temperature_flattens_and_one_keeps_every_pair() -> None:
    parts = [segment("a", "b", item=str(n)) for n in range(900)] + [
        segment("b", "a", "cs", "en", str(n)) for n in range(100)
    ]
    assert sorted(p.id for p in method.sample(parts, 1.0)) == sorted(p.id for p in parts)
    drawn = method.sample(parts, 1.5)
    assert sum(part.target == "en" for part in drawn) == 188
    shares = probabilities({"x": 900, "y": 100}, temperature=1.5)  # fairseq: .9^(2/3) and .1^(2/3), not normalised
    assert shares["x"] / shares["y"] == pytest.approx(0.93217 / 0.21544, rel=1e-4)
    assert shares["x"] == pytest.approx(0.8123, abs=1e-4)


def test_tags_stand_first_on_both_sides_and_the_decoder_begins_with_the_end(models: Any) -> None:
    (model, *_), tokenizer = models
    read, _ = encode(tokenizer, ["two hundred"], "en")
    _, written = encode(tokenizer, ["dvě stě"], "cs")
    assert tokenizer.convert_ids_to_tokens(read[0]) == ["en_XX", "▁two", "▁hundred", "</s>"]
    assert tokenizer.convert_ids_to_tokens(written[0]) == ["cs_CZ", "▁dvě", "▁stě", "</s>"]
    assert tokenizer.convert_ids_to_tokens(decoder_start(model, tokenizer, "cs")) == ["</s>", "cs_CZ"]


# ------------------------------------------------------------------------------------------------ text of one language


def test_a_round_trip_keeps_replaces_and_drops() -> None:
    way = {"two hundred seven": "two hundred seven", "two two hundred": "two hundred", "xyz": "seven"}
    found = method.cycle_translate(
        list(way), lambda texts: [f"<{text}>" for text in texts], lambda texts: [way[t[1:-1]] for t in texts]
    )
    assert [line.verdict for line in found] == ["kept", "replaced", "dropped"]
    assert [line.text for line in found] == ["two hundred seven", "two hundred", ""]
    assert found[0].score == pytest.approx(1.0)


def test_pseudo_pairs_of_both_kinds_and_both_directions() -> None:
    asked: list[tuple[str, ...]] = []

    def write(texts: Sequence[str], source: str, target: str) -> list[str]:
        asked.append((source, target, *texts))
        return [f"{text}>{target}" for text in texts]

    genuine = [segment("g", "h"), segment("h", "g", "cs", "en")]
    pseudo = method.bidirectional_pseudo(genuine, {"en": ["x"], "cs": ["y"]}, write)
    pairs = {(part.direction, part.item): (part.source_text, part.target_text) for part in pseudo}
    assert pairs == {
        ("en-cs", "forward/bilingual/0"): ("g", "g>cs"), ("en-cs", "forward/monolingual/0"): ("x", "x>cs"),
        ("en-cs", "backward/bilingual/0"): ("h>en", "h"), ("en-cs", "backward/monolingual/0"): ("y>en", "y"),
        ("cs-en", "forward/bilingual/0"): ("h", "h>en"), ("cs-en", "forward/monolingual/0"): ("y", "y>en"),
        ("cs-en", "backward/bilingual/0"): ("g>cs", "g"), ("cs-en", "backward/monolingual/0"): ("x>cs", "x"),
    }  # fmt: skip
    assert sorted(text for call in asked for text in call[2:]) == ["g", "h", "x", "y"]  # each is translated once
    forward = method.bidirectional_pseudo(genuine, {"en": ["x"]}, write, ["forward"])
    assert {part.item.split("/")[0] for part in forward} == {"forward"}
    parts = method.mixed(genuine, pseudo)
    assert method.shares(parts)["genuine"] == pytest.approx(1 / 3)
    assert sum(method.shares(parts).values()) == pytest.approx(1.0)


def test_damage_leaves_no_sound_line() -> None:
    lines = [row["en"] for row in ROWS[1:]] * 10
    found = data.damaged(lines, 0.4, set(lines), "0")
    assert sum(a != b for a, b in zip(lines, found, strict=True)) == 12
    assert all(b == a or (b and b not in lines) for a, b in zip(lines, found, strict=True))
    assert data.damaged(lines, 0.0, set(lines), "0") == lines


# ------------------------------------------------------------------------------------------------------------ decoding


@pytest.mark.parametrize("beams", [1, 3])
def test_an_ensemble_of_copies_is_the_model(models: Any, beams: int) -> None:
    (one, *_), tokenizer = models
    read = encode(tokenizer, ENGLISH[1:2] * 2, "en")[0]
    start = torch.tensor([decoder_start(one, tokenizer, "cs")] * 2)
    options: dict[str, Any] = {"decoder_input_ids": start, "num_beams": beams, "max_new_tokens": 6, "do_sample": False}
    options |= {"input_ids": torch.tensor(read), "attention_mask": torch.ones(2, len(read[0]), dtype=torch.long)}
    alone = one.generate(**options)
    assert torch.equal(method.Ensemble([one, one, one]).generate(**options), alone)


def test_an_ensemble_averages_probabilities(models: Any) -> None:
    (one, two, _), tokenizer = models
    ids = torch.tensor(encode(tokenizer, ["two hundred"], "en")[0])
    start = torch.tensor([decoder_start(one, tokenizer, "cs")])
    read = {"input_ids": ids, "attention_mask": torch.ones_like(ids)}
    wanted = sum(m(**read, decoder_input_ids=start).logits[0, -1].softmax(-1) for m in (one, two)) / 2
    output = method.Ensemble([one, two]).generate(
        **read,
        decoder_input_ids=start,
        decoder_start_token_id=int(start[0, 0]),
        max_new_tokens=1,
        output_scores=True,
        return_dict_in_generate=True,
    )
    assert torch.allclose(output.scores[0].exp()[0], wanted, atol=1e-6)  # type: ignore[attr-defined]


def test_checkpoints_are_added_while_they_help() -> None:
    worth = {("a",): 3.0, ("b",): 5.0, ("c",): 4.0, ("b", "c"): 4.5, ("b", "a"): 6.0}

    def score(model: Any) -> float:
        return worth[tuple(model.models) if isinstance(model, method.Ensemble) else (model,)]

    assert method.greedy_ensemble(["a", "b", "c"], score) == [1, 0]


@pytest.mark.parametrize(
    ("line", "official"),
    [
        ("你好, 世界!", "你好，世界！"), ('他说: "3.14 是π".', '他说："3.14是π＂．'),
        ("价格是 $5,000.", "价格是$5,000."), ("(a+b)*c = 7?", "（a＋b）＊c=7?"), ("100% 正确!", "100%正确！"),
        ("Hello world", "Helloworld"),
        ("A,B,C.", "A，B，C．"), ("5%!", "5%！"), (".9", ".9"), ("", ""),
    ],
)  # fmt: skip
def test_punctuation_is_that_of_the_official_script(line: str, official: str) -> None:
    assert half_to_full(line) == official


def test_careful_punctuation_leaves_latin_text() -> None:
    assert half_to_full("你好, Hello world.", official=False) == "你好，Hello world."
    assert half_to_full("Hello 世界. 好", official=False) == "Hello世界。好"


# ------------------------------------------------------------------------------------------------------ the tiny world


@pytest.fixture(scope="module")
def world(smoke: Callable[[str], Any]) -> data.World:
    done = smoke("vega_mt")
    config = override(PRESETS["smoke"], {"noise": 0.0})
    return data.world(config, Run(done.path, "vega_mt", config, done.stages, quiet=True))


def test_no_number_of_the_test_is_read(world: data.World) -> None:
    config = PRESETS["smoke"]
    parts = miniature.numbers(config)
    held = {*parts["test"], *parts["dev"], *parts["select"]}
    assert len(held) == 240
    read = {int(row["key"]) for rows in world.bitexts.values() for row in rows}
    read |= {world.named[code][line] for code, lines in world.monolingual.items() for line in lines}
    read |= {int(part.item) for part in world.general["cs"]["numbers"]}
    assert not read & held
    for domain, pairs in world.general["cs"].items():
        asked = world.domains["cs"].get(domain, [])
        assert not {part.item for part in pairs} & {part.item for part in asked}
        numbers = {int(word) for part in pairs for word in part.item.split() if word.isdigit()}
        assert not numbers & held
    keys = [{row["key"] for row in rows} for rows in world.bitexts.values()]
    assert not keys[0] & keys[1]


def test_seeds_of_one_draw_want_different_languages() -> None:
    drawn = [miniature.languages(Config(seed=seed)) for seed in range(8)]
    assert len({codes[0] for codes in drawn}) == 8
    assert all(len(set(codes)) == 5 for codes in drawn)
    with pytest.raises(UserError, match="not 'xx'"):
        miniature.world(Config(languages=("xx",)), None)  # type: ignore[arg-type]
    with pytest.raises(UserError, match="give at least 810"):
        miniature._built(Config(largest=700))


def test_the_area_under_the_curve() -> None:
    assert _auc([True, False, True, False], [3, 1, 2, 2]) == 0.875  # three pairs in order, and a tie


def test_a_short_bitext_has_every_word() -> None:
    rows = [{"en": a, "cs": b} for a, b in (("x", "p"), ("x", "p"), ("x y", "p"), ("y", "q"))]
    assert miniature.covering(rows, ("en", "cs")) == [rows[0], rows[2], rows[3], rows[1]]


@pytest.mark.slow
@pytest.mark.parametrize("variant", VARIANTS)
def test_every_arm_measures_what_is_judged_of_it(variant: str, smoke: Callable[[str], Any], tmp_path: Path) -> None:
    config = with_variant(PRESETS["smoke"], VARIANTS, variant)
    run = Run(tmp_path / "run", "vega_mt", config, smoke("vega_mt").stages, quiet=True).open()
    execute(train, run, "train")
    measurement = execute(evaluate, run, "eval")
    assert measurement is not None
    needed = {check.metric for check in PAPER.judged if variant in check.variants and check.metric}
    assert needed <= {*measurement.metrics}


# ------------------------------------------------------------------------------------------------------------ own text


def test_the_paper_scale_is_as_large_as_the_abstract_says() -> None:
    first, *others = workload(PRESETS["paper"])
    assert count_parameters(first).total == pytest.approx(4.7e9, rel=0.01)
    assert [part.name for part in others] == ["one direction"]


def test_all_phases_on_own_text(tmp_path: Path) -> None:
    for code, texts in {"cs": CZECH, "de": ["zwei", "zwei hundert", "sieben", "sieben hundert zwei"]}.items():
        rows = [{"translation": {"en": a, code: b}} for a, b in zip(ENGLISH, texts, strict=True)]
        write_rows(tmp_path / f"en-{code}.jsonl", rows * 3)
    for code, lines in (("en", ENGLISH), ("cs", CZECH)):
        (tmp_path / f"{code}.txt").write_text("\n".join(lines), encoding="utf-8")
    pairs = str(tmp_path / "en-{language}.jsonl")
    given = {
        "languages": ("cs", "de"), "tuned": ("cs",), "bitext": pairs, "monolingual": str(tmp_path / "{language}.txt"),
        "general": (pairs, pairs), "test": pairs, "dev": pairs, "size": "tiny", "pieces": 60, "items": 2, "beams": 2,
    }  # fmt: skip
    paper = override(PRESETS["paper"], {**given, **QUICK})
    everything = {"tune": "bi", "self_training": "both", "cycle": True, "generalise": "multi", "average": 0.5}
    run = Run(tmp_path / "run", "vega_mt", override(paper, everything), tmp_path / "stages", quiet=True).open()
    execute(train, run, "train")
    assert {path.name for path in (run.path / "phases").iterdir()} == {"multi", "bi-en-cs", "self-cs", "general-cs"}
    assert load(run.artifact / "cs", task="seq2seq").model.config.d_model == 96
    measurement = execute(evaluate, run, "eval")
    assert measurement is not None
    assert {"bleu_en-cs", "chrf++_cs-en", "bleu", "exact"} <= set(measurement.metrics)


@pytest.mark.parametrize(
    "changes",
    [
        {"languages": ("en",)}, {"languages": ("cs", "cs")}, {"tuned": ("cs",)}, {"bitext": "x"}, {"cycle": True},
        {"noise": 0.4}, {"shuffled": "general"}, {"shuffled": "pseudo"},
        {"bitext": "x", "test": "x", "languages": ("cs",), "ensemble": True},
        {"bitext": "x", "test": "x", "languages": ("cs",), "split": "dev"},
        {"bitext": "x", "test": "x", "languages": ("cs",), "generalise": "multi"},
        {"bitext": "x", "test": "x", "languages": ("cs",), "self_training": "both", "cycle": True},
    ],
)  # fmt: skip
def test_settings_that_mean_nothing_are_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(UserError):
        override(PRESETS["tiny"], changes)


# ------------------------------------------------------------------------------------------------------------- verbs


def test_verbs(
    models: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    import io

    some, tokenizer = models
    names = [str(tmp_path / f"model{number}") for number in range(2)]
    for name, model in zip(names, some, strict=False):
        model.save_pretrained(name)
        tokenizer.save_pretrained(name)
    pairs, lines = tmp_path / "pairs.tsv", tmp_path / "cs.txt"
    pairs.write_text("en\tcs\n" + "".join(f"{row['en']}\t{row['cs']}\n" for row in ROWS), encoding="utf-8")
    lines.write_text("\n".join(CZECH), encoding="utf-8")
    between = ["--source", "cs", "--target", "en", "--longest", "5"]
    use.main(["clean", str(lines), "--model", names[0], *between, "--out", str(tmp_path / "clean.jsonl")])
    assert [row["line"] for row in read_json_lines(tmp_path / "clean.jsonl")] == CZECH
    out = tmp_path / "pseudo.jsonl"
    with monkeypatch.context() as patch:  # models that have learnt nothing write nothing
        patch.setattr(use, "_writer", lambda models, options: lambda texts, *pair: [f"{text}!" for text in texts])
        use.main(["pseudo", str(pairs), "--model", "x", *between, "--source-text", str(lines), "--out", str(out)])
    rows = read_json_lines(out)
    assert sum("/" not in row["item"] for row in rows) * 3 >= len(rows)
    assert "backward/monolingual" in capsys.readouterr().out
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO("dvě stě\n\n".encode())))
    use.main(["translate", "--models", *names, *between, "--punctuation", "official"])
    assert len(capsys.readouterr().out.splitlines()) == 2
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"\n")))
    use.main(["translate", "--models", names[0], *between])
    assert capsys.readouterr().out == "\n"
    lines.write_text("你好, 世界!\n", encoding="utf-8")
    blank = tmp_path / "blank.txt"
    blank.write_text("\n\n", encoding="utf-8")
    use.main(["punctuate", str(lines)])
    assert capsys.readouterr().out == "你好，世界！\n"
    for arguments, message in (
        (["clean", str(lines), "--model", names[0], *between, "--low", "0.9"], "is above --keep"),
        (["clean", str(lines), "--model", names[0], "--source", "cs", "--target", "cs"], "name two languages"),
        (["clean", str(blank), "--model", names[0], *between], "blank.txt has no text"),
    ):
        with pytest.raises(SystemExit, match="2"):
            use.main(arguments)
        assert message in capsys.readouterr().err


def test_example_of_the_page_runs() -> None:
    import re

    page = (PAPER.folder / "README.md").read_text(encoding="utf-8")
    (code,) = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    names: dict[str, Any] = {}
    exec(code, names)
    assert [line.verdict for line in names["cleaned"]] == ["kept", "dropped"]
    assert json.dumps(names["shares"])
