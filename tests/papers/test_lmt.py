"""lmt: prompts and cleaning as in the released code, the draws of the fine-tuning set, the world, files, commands."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import papers.lmt as lmt
from core.corpora.hub import flores_plus_config
from core.errors import UserError
from core.experiment import run as runs
from core.experiment.config import override, with_variant
from core.models.tokenization import train_bpe
from core.text.languages import match
from papers.lmt import data, method, miniature, prompts, train, use
from papers.lmt import eval as evaluation
from papers.lmt.config import PRESETS, VARIANTS, scratch_shape, workload
from papers.lmt.data import build_sft
from papers.lmt.method import pivot_pairs
from papers.lmt.prompts import AUXILIARY, LANGUAGE_NAMES, LANGUAGES, TIERS, Example

CODES = ("de", "nl", "fi", "es")


def corpus(size: int, languages: tuple[str, ...] = ("en", *CODES), key: str = "") -> list[dict[str, str]]:
    return [{"key": f"{key}{i}", **{code: f"{code}{key}{i}" for code in languages}} for i in range(size)]


# ---------------------------------------------------------------------------------------------- parity: prompts


def test_the_released_prompt_to_the_letter_and_the_parallel_one() -> None:
    assert Example("", "el", "ky", "Γεια", "").prompt() == (
        "Translate the following text from Modern Greek into Kirghiz:\nModern Greek: Γεια\nKirghiz:"
    )
    example = Example("", "de", "en", "Hallo", "", "nl", "Hoi")
    assert example.prompt() == (
        "Translate the following text from German into Dutch and English:\nGerman: Hallo\nDutch: Hoi\nEnglish:"
    )
    assert example.prompt(tags=True) == "<de>Hallo<nl>Hoi<en>"


def test_languages_tiers_names_and_auxiliaries_are_the_papers() -> None:
    assert len(LANGUAGE_NAMES) == 107
    assert [[*TIERS.values()].count(tier) for tier in ("high", "medium", "low")] == [13, 18, 29]
    assert set(LANGUAGES) <= set(LANGUAGE_NAMES)
    assert len(AUXILIARY) == 36
    assert {*AUXILIARY, *AUXILIARY.values()} <= set(LANGUAGES)
    named = {"el": "Modern Greek", "he": "Modern Hebrew", "km": "Central Khmer", "ug": "Uighur", "sl": "Slovene"}
    named |= {"nb": "Norwegian Bokmål", "mvf": "Inner Mongolian", "yue": "Yue Chinese", "pa": "Panjabi"}
    assert {code: lmt.language_name(code) for code in named} == named
    assert lmt.language_name("sr-Latn") == "Serbian (Latin)"
    assert lmt.language_name("klingonish") == "klingonish"


def test_117_pairs_and_234_directions() -> None:
    pairs = pivot_pairs(LANGUAGES)
    assert len(pairs) == len({frozenset(pair) for pair in pairs}) == 117
    assert ("en", "zh") in pairs


def test_the_auxiliary_is_table_12_for_english_and_english_for_chinese() -> None:
    found = prompts.auxiliary_for
    assert found("en", "es") == found("es", "en") == "pt"
    assert found("zh", "es") == found("es", "zh") == "en"
    assert found("en", "ja") is found("en", "zh") is found("en", "es", auxiliaries={"es": "en"}) is None


def test_names_and_auxiliaries_are_found_under_other_codes() -> None:
    assert (lmt.language_name("iw"), lmt.language_name("fil")) == ("Modern Hebrew", "Tagalog")
    assert prompts.auxiliary_for("en", "fil") == "id"


# ------------------------------------------------------------------------------------- strategic downsampling


def test_forward_is_complete_and_reverse_is_drawn_pair_by_pair() -> None:
    items = corpus(500)
    examples = build_sft(items, ("en",), CODES, retention_p=0.05, pmp_fraction=0.0)
    forward = [example for example in examples if example.source == "en"]
    reverse = [example for example in examples if example.target == "en"]
    assert len(forward) == 500 * len(CODES)
    assert 0.03 < len(reverse) / len(forward) < 0.07
    # Per item and language: whole items are (nearly) never kept, which would keep their repetition.
    per_item = [sum(example.item == str(i) for example in reverse) for i in range(500)]
    assert max(per_item) < len(CODES)
    assert sum(count > 0 for count in per_item) > 60


@settings(max_examples=30, deadline=None)
@given(st.floats(0, 1), st.floats(0, 1), st.integers(0, 5), st.permutations(CODES))
def test_growing_retention_is_nested_and_order_and_company_do_not_matter(
    p: float, q: float, seed: int, order: list[str]
) -> None:
    items = corpus(12)
    low, high = sorted((p, q))
    kept = set(build_sft(items, ("en",), CODES, retention_p=low, pmp_fraction=0.5, seed=seed))
    assert kept <= set(build_sft(items, ("en",), CODES, retention_p=high, pmp_fraction=0.5, seed=seed))
    assert kept == set(build_sft(items[::-1], ("en",), order, retention_p=low, pmp_fraction=0.5, seed=seed))
    fewer = set(build_sft(items, ("en",), ("de", "nl"), retention_p=low, pmp_fraction=0.5, seed=seed))
    stp = lambda found: {(e.item, e.source, e.target) for e in found}  # noqa: E731
    assert stp(fewer) == {key for key in stp(kept) if {key[1], key[2]} <= {"en", "de", "nl"}}


def test_both_extremes_and_directions_between_pivots() -> None:
    items = corpus(6, ("en", "zh", "de", "fi"))
    none = [example.direction for example in build_sft(items, retention_p=0.0, pmp_fraction=0.0)]
    assert [none.count(direction) for direction in ("en-zh", "zh-en", "de-en")] == [6, 6, 0]
    everything = build_sft(items, retention_p=1.0, pmp_fraction=0.0)
    assert len(everything) == 6 * 2 * len(pivot_pairs(["de", "fi"]))


def test_half_of_each_direction_is_parallel_where_the_language_has_an_auxiliary() -> None:
    items = corpus(400, ("en", "zh", "de", "nl", "ja"))
    examples = build_sft(items, retention_p=1.0, pmp_fraction=0.5)
    share = lambda s, t: [e.auxiliary for e in examples if (e.source, e.target) == (s, t)]  # noqa: E731
    for source, target, auxiliary in (("en", "de", "nl"), ("de", "en", "nl"), ("zh", "de", "en"), ("ja", "zh", "en")):
        found = share(source, target)
        assert set(found) == {None, auxiliary}
        assert 0.42 < sum(a is not None for a in found) / len(found) < 0.58
    assert set(share("en", "ja")) == {None}
    shown = next(e for e in examples if e.auxiliary == "nl" and e.source == "de")
    assert shown.auxiliary_text == f"nl{shown.item}"
    assert shown.prompt().endswith(f"\nDutch: nl{shown.item}\nEnglish:")


def test_the_disjoint_control_has_as_many_reverse_pairs_and_no_repeated_target() -> None:
    items = corpus(10)
    fresh = [Example(f"f{i}", code, "en", f"{code}{i}", f"fresh {code}{i}") for i in range(10) for code in CODES]
    symmetric = build_sft(items, ("en",), CODES, retention_p=1.0, pmp_fraction=0.0)
    disjoint = build_sft(items, ("en",), CODES, retention_p=1.0, pmp_fraction=0.0, fresh=fresh)
    assert len(disjoint) == len(symmetric)
    assert [e for e in disjoint if e.source == "en"] == [e for e in symmetric if e.source == "en"]
    assert method.target_repetition(symmetric)["en"].mean == len(CODES)
    assert method.target_repetition(disjoint)["en"].mean == 1
    with pytest.raises(UserError, match="too few fresh pairs for"):
        build_sft(items, ("en",), CODES, retention_p=1.0, fresh=fresh[:-1])


def test_missing_translations_are_skipped_and_missing_languages_refused() -> None:
    items: list[dict[str, Any]] = [{"en": "a", "de": "b", "nl": None}, {"en": "c", "de": "", "nl": "d"}]
    examples = build_sft(items, ("en",), retention_p=1.0, pmp_fraction=1.0)
    assert {(e.source, e.target) for e in examples} == {("en", "de"), ("de", "en"), ("en", "nl"), ("nl", "en")}
    assert all(e.auxiliary is None for e in examples)
    with pytest.raises(UserError, match="'fr'"):
        build_sft(items, ("en",), ("fr",))
    with pytest.raises(UserError, match="empty"):
        build_sft([], ("en",))


def test_repetition_counts_distinct_sources_over_all_languages() -> None:
    pairs = ("de", "eins", "one"), ("de", "eins", "one"), ("fr", "un", "one"), ("fr", "deux", "two")
    found = method.target_repetition(Example("", code, "en", source, target) for code, source, target in pairs)
    assert found == {"en": method.Repetition(2, 1.5, 2)}


# ------------------------------------------------------------------------------------------------ rows and files

QWEN_LIKE = (
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{% if m.role == 'assistant' %}<think>\n\n</think>\n\n{% endif %}"
    "{{ m.content }}<|im_end|>\n{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


def qwen_like(*texts: str) -> Any:
    tokenizer = train_bpe(texts * 3, 300, special_tokens=["<|im_start|>", "<|im_end|>"])
    tokenizer.chat_template = QWEN_LIKE
    return tokenizer


@pytest.fixture(scope="module")
def chat_tokenizer() -> Any:
    return qwen_like("Hallo Welt")


def test_loss_is_on_the_target_and_its_end_without_the_templates_empty_thought(chat_tokenizer: Any) -> None:
    example = Example("0", "de", "en", "Hallo Welt", "Hello world")
    (row,) = method.training_rows(chat_tokenizer, [example])
    answer = [token for token in row["labels"] if token != -100]
    assert chat_tokenizer.decode(answer) == "Hello world<|im_end|>"
    prompt = chat_tokenizer.decode(row["input_ids"][: -len(answer)])
    assert prompt == prompts.model_input(chat_tokenizer, example)
    assert prompt.endswith("English:<|im_end|>\n<|im_start|>assistant\n")
    assert "think" not in chat_tokenizer.decode(row["input_ids"])


def test_a_tokenizer_without_a_template_is_refused_by_name() -> None:
    bare = train_bpe(["Hallo Welt"] * 3, 300)
    bare.name_or_path = "NiuTrans/LMT-60-4B-Base"
    with pytest.raises(UserError, match="LMT-60-4B-Base has no chat template"):
        prompts.model_input(bare, Example("", "de", "en", "x", ""))


def test_a_tokenizer_with_tags_reads_tags_and_no_template() -> None:
    tagged = train_bpe(["Hallo Welt"] * 3, 300, special_tokens=["<de>", "<en>"])
    assert prompts.model_input(tagged, Example("", "de", "en", "x", "")) == "<s><de>x<en>"


def test_a_set_survives_the_way_through_its_file(tmp_path: Path) -> None:
    examples = build_sft(corpus(20), ("en",), CODES, retention_p=0.3)
    data.write_sft(tmp_path, examples, seed=0)
    assert data.read_examples(tmp_path) == examples
    row = json.loads((tmp_path / "sft.jsonl").read_text(encoding="utf-8").splitlines()[0])
    assert [turn["role"] for turn in row["messages"]] == ["user", "assistant"]
    assert row["messages"][0]["content"].startswith("Translate the following text from English into")
    facts = json.loads((tmp_path / "manifest.json").read_text(encoding="utf-8"))
    assert (facts["examples"], facts["seed"]) == (len(examples), 0)
    assert facts["target_repetition"]["en"]["mean"] < 3


# ------------------------------------------------------------------------------------ configuration, train, eval


def test_settings_that_cannot_be_are_refused() -> None:
    tiny, paper = PRESETS["tiny"], PRESETS["paper"]
    for config, changes, words in (
        (tiny, {"corpus": "flores200"}, "numbers alone"),
        (paper, {"languages": ()}, "languages is empty"),
        (tiny, {"languages": ("en", "de")}, "pivot"),
        (tiny, {"retention_p": 1.5}, "retention_p"),
    ):
        with pytest.raises(UserError, match=words):
            override(config, changes)


def test_the_paper_preset_is_the_papers() -> None:
    paper = PRESETS["paper"]
    assert paper.pivots == ("en", "zh")
    assert len(paper.languages) == 57  # 60 without the pivots and Inner Mongolian, which FLORES lacks
    configs = [flores_plus_config(code) for code in (*paper.pivots, *paper.languages)]
    assert len(set(configs)) == 59
    assert {"cmn_Hans", "yue_Hant", "nob_Latn", "bod_Tibt", "swh_Latn", "arb_Arab", "zsm_Latn"} <= set(configs)
    assert (paper.retention_p, paper.pmp_fraction) == (0.05, 0.5)
    assert (paper.sft.learning_rate, paper.sft.batch_size, paper.sft.warmup) == (2e-5, 1024, 0.01)
    assert (paper.num_beams, paper.max_new_tokens) == (5, 512)
    # Table 2: base, SFT and SFT + SD start from Qwen3; what follows from the checkpoint after continued pre-training.
    assert paper.model == "Qwen/Qwen3-4B-Base"
    assert PRESETS["paper_cpt"].model == "NiuTrans/LMT-60-4B-Base"
    assert workload(paper).architecture == paper.model


def test_arms_mean_the_same_at_every_preset() -> None:
    for preset in PRESETS.values():
        arms = {variant: with_variant(preset, VARIANTS, variant) for variant in VARIANTS}
        assert {arm.model for arm in arms.values()} == {preset.model}
        assert {arms[v].pmp_fraction for v in ("symmetric", "disjoint", "reworded", "p0", "p5", "shuffled")} == {0.0}
        assert (arms["lmt"].retention_p, arms["lmt"].pmp_fraction) == (0.05, 0.5)


# ----------------------------------------------------------------------------------------------- the tiny world

SMALL = override(PRESETS["tiny"], {"languages": ("de", "nl", "es"), "base.steps": 60})


def test_the_base_reads_more_than_it_writes_and_meets_auxiliaries() -> None:
    examples = miniature.base_examples(SMALL)
    share = lambda chosen: sum(map(chosen, examples)) / len(examples)  # noqa: E731
    each = 0.5 / 2 / 3  # two of the three languages have an auxiliary, with two uses for it
    assert share(lambda e: e.target == "en") == pytest.approx(0.85 * (1 - 2 * each), abs=0.03)
    assert share(lambda e: (e.source, e.target) == ("de", "nl")) == pytest.approx(each, abs=0.02)
    assert share(lambda e: e.auxiliary == "nl") == pytest.approx(each, abs=0.02)
    german = {"17": "siebzehn"} | {e.item: e.source_text for e in examples if e.source == "de"}
    assert all("siebzehn" in text for key, text in german.items() if key.endswith("17") and len(key) < 3)


def test_parts_of_the_numbers_do_not_meet() -> None:
    parts = miniature.numbers(SMALL)
    drawn = [value for part in parts.values() for value in part]
    assert len(drawn) == len(set(drawn)) == 1000
    assert miniature.numbers(override(SMALL, {"seed": 1}))["test"] != parts["test"]
    codes = PRESETS["tiny"].languages
    assert len(set(codes)) == 32
    assert all(match(code, LANGUAGES) for code in codes)
    one = miniature.spelled([731], codes, "a")[0]
    assert len({one[code] for code in codes}) == 32  # no language is the copy of another


def test_a_set_of_ones_own_asks_for_no_corpus(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The data of the paper are gated: whoever brings a set needs no access to them."""
    monkeypatch.setattr(data, "load", lambda config: pytest.fail("the corpus was read"))
    path = tmp_path / "sft.jsonl"
    path.write_text('{"source": "en", "target": "de", "source_text": "one", "target_text": "eins"}\n')
    (example,) = data.sft_examples(override(PRESETS["paper"], {"sft_data": str(path)}))
    assert example.direction == "en-de"


def test_every_arm_has_the_reverse_pairs_of_its_name() -> None:
    reverse, numbers = {}, {}
    for variant in ("p0", "p5", "symmetric", "reworded", "disjoint", "shuffled", "few_languages"):
        config = override(with_variant(SMALL, VARIANTS, variant), {"sft_items": 40})
        config = replace(config, n_languages=min(config.n_languages, 2))
        examples = data.sft_examples(config)
        forward = [(e.source_text, e.target) for e in examples if e.source == "en"]
        assert len(forward) == 40 * (2 if variant == "few_languages" else 3)
        reverse[variant] = [e.target_text for e in examples if e.target == "en"]
        numbers[variant] = {miniature.meaning(text) for text in reverse[variant]}
    assert {variant: len(texts) for variant, texts in reverse.items() if variant != "p5"} == {
        "p0": 0, "symmetric": 120, "reworded": 120, "disjoint": 120, "shuffled": 120, "few_languages": 80,
    }  # fmt: skip
    assert 0 < len(reverse["p5"]) < 20
    assert len(set(reverse["symmetric"])) == len(numbers["symmetric"]) == 40
    assert min(len(set(reverse[variant])) for variant in ("reworded", "disjoint")) > 115
    assert numbers["reworded"] == numbers["symmetric"]
    assert not numbers["disjoint"] & numbers["symmetric"]
    assert sorted(reverse["shuffled"]) == sorted(reverse["disjoint"])


def test_all_arms_make_as_many_updates_and_passes() -> None:
    settings = PRESETS["tiny"].sft
    for rows in (1024, 538, 512, 256):
        assert settings.steps * miniature.equal_updates(settings, rows).batch_size / rows == pytest.approx(
            settings.epochs, rel=0.02
        )
    assert miniature.equal_updates(replace(settings, steps=0), 99).batch_size == settings.batch_size


def test_the_meaning_of_a_sentence_is_its_number_in_any_wording() -> None:
    assert miniature.meaning("we saw nearly one hundred twenty-three") == "one hundred twenty-three"
    assert miniature.meaning(" nearly  we saw exactly seventeen ") == miniature.meaning("seventeen") == "seventeen"
    assert miniature.meaning("we saw nearly") == miniature.meaning("") == ""
    assert miniature.meaning("we saw nearlyseventeen") != "seventeen"
    (row,) = miniature.spelled([731], ["de"], "a")
    assert row["en"].endswith(miniature.meaning(row["en"]))
    assert len(row["en"].split()) == len(miniature.meaning(row["en"]).split()) + 3


def test_a_misleading_auxiliary_is_that_of_another_item() -> None:
    examples = [Example(str(n), s, "en", "", "", "nl", f"{s}{n}") for n in range(3) for s in ("de", "af")]
    wrong = evaluation.misled(examples)
    assert sorted((e.source, e.item) for e in wrong) == sorted((e.source, e.item) for e in examples)
    for example in wrong:
        text = example.auxiliary_text or ""
        assert (text[:2], text != f"{example.source}{example.item}") == (example.source, True)


def test_a_smoke_run_reports_what_the_claims_need(smoke: Any) -> None:
    measurement = runs.Measurement.from_json(smoke("lmt").measurement)
    wanted = {check.metric for check in lmt.PAPER.judged if check.metric}
    assert wanted | {premise.metric for premise in lmt.PAPER.premises} <= set(measurement.metrics)
    assert set(measurement.units["x2p"]) == {"de/en", "nl/en", "es/en"}
    for metric in ("x2p_aux", "x2p_pmp_o", "x2p_pmp_x"):
        assert set(measurement.units[metric]) == {"de/en", "nl/en"}
    assert measurement.metrics["lost"] == -measurement.metrics["change"]
    assert {"trivial_copy", "trivial_wrong_row"} <= set(measurement.metrics)
    lines = (smoke("lmt").path / "hypotheses.jsonl").read_text(encoding="utf-8").splitlines()
    assert len(lines) == 2 * 3 * 4 + 2 * 2 * 4 + 2 * 4  # direct; parallel prompts for two languages; misleading ones


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder like a released checkpoint: its tokenizer has a chat template and an end-of-turn token."""
    from core.models import loading

    codes = ("en", "de", "nl")
    tokenizer = qwen_like("good morning", "guten Morgen")
    shape = scratch_shape(len(tokenizer), PRESETS["smoke"])
    folder = tmp_path_factory.mktemp("checkpoint")
    loading.from_config(shape, seed=0).save_pretrained(folder / "model")
    tokenizer.save_pretrained(folder / "model")
    rows = ["\t".join(f"{code} {word} {i}" for code in codes) for i, word in enumerate("abcdefgh")]
    for part, lines in (("train", rows[:6]), ("test", rows[6:])):
        (folder / f"{part}.tsv").write_text("\n".join(["\t".join(codes), *lines]) + "\n", encoding="utf-8")
    return folder


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[int], str]], list[tuple[list[str], dict[str, Any]]]]:
    """`asked(answer)`: what generation is asked from now on, prompts and options; it answers `answer(number)`."""
    from core.inference import generation

    def begin(answer: Callable[[int], str]) -> list[tuple[list[str], dict[str, Any]]]:
        seen: list[tuple[list[str], dict[str, Any]]] = []

        def generate(model: Any, tokenizer: Any, prompts: list[str], **options: Any) -> list[str]:
            seen.append(([*prompts], options))
            return [answer(number) for number in range(len(prompts))]

        monkeypatch.setattr(generation, "generate", generate)
        return seen

    return begin


def own_config(checkpoint: Path, **changes: Any) -> Any:
    """The settings of a user with a checkpoint and a corpus."""
    config = replace(
        PRESETS["smoke"], corpus=str(checkpoint / "train.tsv"), test_corpus=str(checkpoint / "test.tsv"),
        model=str(checkpoint / "model"), languages=("de", "nl"), primary="chrf++",
        max_new_tokens=4, num_beams=2, retention_p=0.0,
        sft=replace(PRESETS["smoke"].sft, steps=2, batch_size=4),
    )  # fmt: skip
    return replace(config, **changes)


def run_both(config: Any, folder: Path) -> Any:
    run = runs.Run(folder, "lmt", config, folder / "stages", quiet=True).open()
    train.train(config, run)
    return run, evaluation.evaluate(config, run)


def test_a_checkpoint_is_tuned_and_measured_on_ones_own_corpus(checkpoint: Path, tmp_path: Path) -> None:
    from core.models import loading

    run, measurement = run_both(own_config(checkpoint), tmp_path)
    assert {"x2p", "p2x", "x2p_chrf", "x2p_high", "x2p_pmp_o", "x2p_pmp_s"} <= set(measurement.metrics)
    model, tokenizer = loading.load(str(run.artifact))
    assert model.generation_config is not None
    assert tokenizer.convert_tokens_to_ids("<|im_end|>") in model.generation_config.eos_token_id
    with pytest.raises(UserError, match="no dev part"):
        evaluation.evaluate(own_config(checkpoint, split="dev"), run)


def test_an_untuned_checkpoint_is_shown_three_solved_examples(checkpoint: Path, tmp_path: Path, asked: Any) -> None:
    seen = asked(lambda _: " fine")
    run, measurement = run_both(own_config(checkpoint, use_sft=False), tmp_path)
    ((prompts, options),) = seen
    assert (len(prompts), options["stop"]) == (2 * 2 * 2, ["\n"])
    header = "Translate the following text from English into German:\n"
    solved = [f"{header}English: en {word} {i}\nGerman: de {word} {i}" for i, word in enumerate("abc")]
    assert prompts[0] == "\n\n".join([*solved, f"{header}English: en g 6\nGerman:"])
    assert '"mt": "fine"' in (run.path / "hypotheses.jsonl").read_text(encoding="utf-8")
    assert not any("pmp" in name for name in measurement.metrics)


def test_groups_are_those_of_the_papers_tables() -> None:
    config = replace(PRESETS["paper"], languages=("de", "ky"))
    directions = ["en-zh", "zh-en", "en-de", "de-en", "zh-de", "de-zh", "ky-zh"]
    values = {"": {direction: float(rank) for rank, direction in enumerate(directions)}}
    units = evaluation.group(config, miniature.Corpus(AUXILIARY, [], []), values)
    assert units["p2x_en_high"] == {"zh/en": 0, "de/en": 2}
    assert units["x2p_en_high"] == {"zh/en": 1, "de/en": 3}
    assert (units["p2x_zh"], units["x2p_zh_low"]) == ({"de/zh": 4}, {"ky/zh": 6})
    assert units["x2p"] == {"zh/en": 1, "de/en": 3, "de/zh": 5, "ky/zh": 6}
    assert units["x2p_aux"] == {"de/en": 3, "de/zh": 5, "ky/zh": 6}


def test_modes_show_the_right_auxiliary(
    checkpoint: Path, asked: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    seen, lines = asked(lambda number: ["out", "\n", " a\nb "][number]), ["eins", "", "zwei", "drei"]
    monkeypatch.setattr("core.files.standard_input", lambda: lines)

    def translate(*options: str, source: str = "de", code: int = 0) -> str:
        command = ["translate", "--model", str(checkpoint / "model"), "--source", source, "--target", "en", *options]
        if not code:
            use.main(command)
            return capsys.readouterr().out
        with pytest.raises(SystemExit) as stop:
            use.main(command)
        assert stop.value.code == code
        return capsys.readouterr().err

    assert translate() == "out\n\n#\nab\n"  # blank outputs are marked, line breaks deleted
    translate("--mode", "pmp_s")
    assert [prompts[0].split("\n", 2)[2].split("<|im_end|>")[0] for prompts, _ in seen] == [
        "German: eins\nEnglish:", "German: eins\nDutch:", "German: eins\nDutch: out\nEnglish:",
    ]  # fmt: skip
    assert {options["num_beams"] for _, options in seen} == {5}
    assert "No auxiliary" in translate("--mode", "pmp_s", source="ja", code=2)


def test_flores_dev_is_trained_on_and_devtest_is_tested_on(monkeypatch: pytest.MonkeyPatch) -> None:
    def load(name: str, languages: list[str], split: str) -> list[dict[str, str]]:
        assert name == "flores200"
        return [{"key": split, **{code: f"{code} {split}" for code in languages}}]

    monkeypatch.setattr(data.corpora, "load", load)
    parts = data.load(PRESETS["paper"])
    assert [item["key"] for item in parts.sft] == ["dev"]
    assert [item["key"] for item in parts.test] == ["devtest"]
    examples = data.sft_examples(override(PRESETS["paper"], {"retention_p": 1.0}))
    assert len(examples) == 2 * (57 + 57 + 1)  # both directions of English and Chinese with 57 others, and both between
    assert len(data.test_examples(PRESETS["paper"], parts)) == 230
    assert len(data.test_examples(PRESETS["paper"], replace(parts, test=[{**parts.test[0], "de": None}]))) == 226


def test_the_page_example_runs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    table = tmp_path / "mine.tsv"
    rows = [f"good morning {i}\tguten Morgen {i}\tgoedemorgen {i}\tbon dia {i}\tbuenos días {i}" for i in range(40)]
    table.write_text("\n".join(["en\tde\tnl\tca\tes", *rows]), encoding="utf-8")
    use.main(["build", str(table), "--pivots", "en", "--retention-p", "0.1", "--out", str(tmp_path / "set")])
    use.main(["check", str(tmp_path / "set" / "sft.jsonl")])
    printed = capsys.readouterr().out
    assert "160 of them from a pivot" in printed
    assert re.search(r"en +\d+ +[12]\.\d", printed)
    with pytest.raises(SystemExit) as stop:
        use.main(["translate", "--model", "NiuTrans/LMT-60-4B-Base", "--source", "de", "--target", "en"])
    assert stop.value.code == 2
    assert "without -Base" in capsys.readouterr().err


def test_the_pages_python_runs(checkpoint: Path, monkeypatch: pytest.MonkeyPatch, asked: Any) -> None:
    from core.models import loading

    load, read = loading.load, asked(lambda _: "Good morning.")
    monkeypatch.setattr(loading, "load", lambda spec: load(str(checkpoint / "model")))
    page = (lmt.PAPER.folder / "README.md").read_text(encoding="utf-8")
    blocks = re.findall(r"^```python\n(.*?)^```", page, re.DOTALL | re.MULTILINE)
    assert len(blocks) == 2
    names: dict[str, Any] = {}
    for block in blocks:
        exec(compile(block, "README.md", "exec"), names)
    assert names["examples"][0].target_text == "Guten Morgen."
    assert read[0][0][0].startswith(
        "<|im_start|>user\nTranslate the following text from German into Dutch and English:\nGerman: Guten Morgen.\n"
        "Dutch: Goedemorgen.\nEnglish:<|im_end|>"
    )


def test_check_warns_of_a_symmetric_many_way_set(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    codes = LANGUAGES[2:16]
    data.write_sft(tmp_path, build_sft(corpus(3, ("en", *codes)), ("en",), codes, retention_p=1.0))
    use.main(["check", str(tmp_path)])
    assert "in en answers more than 10 different sources" in capsys.readouterr().out


def test_translate_reads_standard_input(
    smoke: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("core.files.standard_input", lambda: ["eins", "", "zwei"])
    options = "--source de --target en --num-beams 2 --max-new-tokens 4"
    use.main(["translate", "--model", str(smoke("lmt").path / "artifact"), *options.split()])
    lines = capsys.readouterr().out.split("\n")
    assert [bool(line) for line in lines] == [True, False, True, False]
