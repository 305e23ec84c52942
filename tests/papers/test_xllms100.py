"""xLLMs-100: parity with the official code, feedback, schemas, the miniature, and the worked examples of the page."""

from __future__ import annotations

import json
import math
import re
import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from datasets import Dataset

from core.errors import UserError
from core.experiment import run as runs
from core.experiment.config import override, with_variant
from core.experiment.paper import find
from core.metrics.languages import democratization
from core.models.loading import load
from core.tasks.instructions import alpaca
from core.training import preference
from papers.xllms100 import data, method, miniature, train, use
from papers.xllms100 import eval as evaluation
from papers.xllms100.config import PRESETS, VARIANTS, Config, workload
from papers.xllms100.method import build_feedback, cross_lingual, fits, prompt

TINY, SMOKE = PRESETS["tiny"], PRESETS["smoke"]


def write_lines(path: Path, rows: Sequence[Mapping[str, Any]]) -> str:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(json.dumps(row, ensure_ascii=False) for row in rows), encoding="utf-8")
    return str(path)


# --- parity with the official code ------------------------------------------------------------------------------------


def test_the_three_official_layouts_and_ours() -> None:
    """Measured by running the authors' text builder and column mapper."""
    sft = prompt("sft", "official", "Nenne drei Farben.") + "Rot, Blau, Grün."
    assert sft.startswith("Question: Below is an instruction that describes a task. Write a response")
    assert sft.endswith("### Instruction:\nNenne drei Farben.\n\n### Response:\n\nAnswer: Rot, Blau, Grün.")
    assert (
        prompt("dpo", "official", "Wie heißt du?", "(auf Englisch)")
        == "Question: Wie heißt du? (auf Englisch)\n\nAnswer: "
    )
    assert prompt("dpo", "official", "Where is Kenya?").endswith("Kenya? \n\nAnswer: ")
    asked = prompt("ask", "official", "Nenne drei Farben.")
    assert asked == alpaca("Nenne drei Farben.").rstrip("\n")
    # An input of one blank selects the template with an input, as in the authors' code.
    assert "### Input:\n \n" in prompt("sft", "official", "Nenne drei Farben.", " ")
    for stage in ("sft", "dpo", "ask"):
        assert prompt(stage, "consistent", "Where is Kenya?") == "Question: Where is Kenya?\n\nAnswer: "  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("lengths", "kept"), [((500, 524, 524), True), ((500, 525, 10), False), ((24, 1000, 1000), True)]
)
def test_the_official_filter_counts_characters(lengths: tuple[int, int, int], kept: bool) -> None:
    asked, better, worse = lengths
    frame = len(prompt("dpo", "official", ""))
    row = {"instruction": "ü" * (asked - frame), "input": ""}
    assert fits({**row, "prefered_output": "b" * better, "rejected_output": "w" * worse}, "official", 1024) == kept


def test_the_loss_of_known_log_probabilities(monkeypatch: pytest.MonkeyPatch) -> None:
    """Policy -12.5 and -14, reference -13 and -13.5, beta .1: z = .1, and rewards of .05 and -.05."""
    import torch

    monkeypatch.setattr(preference, "answer_log_probs", lambda model, batch: torch.tensor([-12.5, -14.0]))
    batch = {"reference": torch.tensor([-13.0, -13.5]), "labels": torch.zeros(2, 3)}
    total, pairs, logs = preference.preference_loss(torch.nn.Identity(), batch, beta=0.1)
    assert (total.item(), pairs) == (pytest.approx(math.log(1 + math.exp(-0.1)), abs=1e-6), 1)
    assert [0.1 * logs[name].item() for name in ("gain_better", "gain_worse")] == pytest.approx([0.05, -0.05])


def test_democratization_of_the_brief() -> None:
    assert democratization({"en": 80, "sw": 20, "hi": 50}).share == 62.5


def test_sentences_are_drawn_as_the_official_script_does() -> None:
    shuffled = Dataset.from_dict({"place": list(range(1012))}).shuffle(seed=42).select(range(data.SENTENCES))
    assert data.drawn(1012) == shuffled["place"]


# --- feedback ---------------------------------------------------------------------------------------------------------

ASKED = cross_lingual({"instruction": "Nenne eine Frucht.", "input": ""}, "de", "sw", "embe")
LANGUAGE = {"embe": "sw", "chungwa": "sw", "Apfel": "de", "42": None}


def feedback(*answers: str, requests: int = 1) -> Any:
    return build_feedback(
        [ASKED] * requests,
        [lambda rows: [list(answers) for _ in rows]],
        lambda rows, texts: [float(text == row["reference"]) for row, text in zip(rows, texts, strict=True)],
        lambda text, wanted: LANGUAGE[text],
    )


def test_a_request_names_the_language_of_its_answer() -> None:
    assert ASKED == {
        "instruction": "Nenne eine Frucht.", "input": "(Kiswahili)", "lang_in": "de", "lang_out": "sw",
        "reference": "embe",
    }  # fmt: skip
    assert cross_lingual({"instruction": "x", "input": "y"}, "de", "fa")["input"] == "y (فارسی)"


@pytest.mark.parametrize(
    ("answers", "chosen", "rejected", "off"),
    [
        (("embe", "chungwa"), "embe", "chungwa", 0),
        (("chungwa", "Apfel", "embe"), "embe", "Apfel", 1),  # off-target loses against every answer on target
        (("Apfel", "chungwa"), "chungwa", "Apfel", 1),
        (("42", "Apfel"), "42", "Apfel", 1),  # what has no language is no fault
        (("", "chungwa"), "chungwa", "", 1),  # no answer is in no language
    ],
)
def test_the_best_is_preferred_to_the_worst(answers: tuple[str, ...], chosen: str, rejected: str, off: int) -> None:
    (row,), counts = feedback(*answers)
    assert (row["prefered_output"], row["rejected_output"]) == (chosen, rejected)
    assert counts == {"tie": 0, "off_target": off}
    assert list(row) == list(method.COLUMNS)
    assert (row["lang_in"], row["lang_out"]) == ("de", "sw")


def test_candidates_that_are_equally_good_make_no_pair() -> None:
    assert feedback("chungwa", "42", requests=2) == ([], {"tie": 2, "off_target": 0})
    assert feedback("embe") == ([], {"tie": 1, "off_target": 0})
    assert feedback() == ([], {"tie": 1, "off_target": 0})


def test_no_quality_makes_up_for_the_wrong_language() -> None:
    def judge(rows: Any, texts: Sequence[str]) -> list[float]:
        return [1e9 if text == "Apfel" else -1e9 for text in texts]

    (row,), _ = build_feedback([ASKED], [lambda rows: [["Apfel", "embe"]]], judge, lambda text, wanted: LANGUAGE[text])
    assert row["prefered_output"] == "embe"


# --- schemas and the paper's data -------------------------------------------------------------------------------------

PAIR = {
    "instruction": "Nenne eine Frucht.", "input": "(Kiswahili)", "prefered_output": "embe", "rejected_output": "Apfel",
    "lang_in": "de", "lang_out": "sw",
}  # fmt: skip


def test_pairs_become_those_of_usual_trainers_and_back() -> None:
    official = data.to_usual(PAIR, "official")
    assert official["prompt"] == "Question: Nenne eine Frucht. (Kiswahili)\n\nAnswer: "
    assert (official["chosen"], official["rejected"], official["lang_out"]) == ("embe", "Apfel", "sw")
    chat = data.to_usual(PAIR, "chat")
    assert chat["chosen"] == [{"role": "assistant", "content": "embe"}]
    back = {**PAIR, "instruction": "Nenne eine Frucht.\n(Kiswahili)", "input": ""}
    assert data.to_official(chat) == data.to_official(data.to_usual(PAIR, "plain")) == back
    bare = {name: PAIR[name] for name in ("instruction", "prefered_output", "rejected_output")}
    assert data.to_official(bare) == {**PAIR, "input": "", "lang_in": "", "lang_out": ""}


def test_pairs_of_a_kind_and_of_some_languages(tmp_path: Path) -> None:
    rows = [{**PAIR, "lang_in": a, "lang_out": b} for a in ("de", "sw", "fa") for b in ("de", "sw", "fa")]
    path = write_lines(tmp_path / "pairs.jsonl", rows)
    assert [len(data.preferences(path, kind, 0, 0)) for kind in ("cross", "mono", "both")] == [6, 3, 9]
    few = data.preferences(path, "both", 2, 0)
    assert len(few) == 4
    assert len({row["lang_in"] for row in few}) == 2
    bare = write_lines(tmp_path / "bare.jsonl", [{name: PAIR[name] for name in list(PAIR)[:4]}])
    assert len(data.preferences(bare, "both", 0, 0)) == 1
    with pytest.raises(UserError, match="lang_in and lang_out"):
        data.preferences(bare, "cross", 0, 0)
    with pytest.raises(UserError, match="is left"):
        data.preferences(write_lines(tmp_path / "one.jsonl", rows[:1]), "cross", 0, 0)


def test_instructions_of_all_languages_are_mixed(tmp_path: Path) -> None:
    for code in ("de", "sw"):
        write_lines(
            tmp_path / f"{code}.jsonl", [{"id": n, "instruction": f"{code}{n}", "output": "x"} for n in range(20)]
        )
    rows = data.instructions([f"{code}={tmp_path / code}.jsonl" for code in ("de", "sw")], seed=0)
    assert len(rows) == 40
    assert {row["lang"] for row in rows[:10]} == {"de", "sw"}
    assert rows[0]["input"] == ""
    with pytest.raises(UserError, match="names no source"):
        data.sources(["de"])


def test_the_benchmarks_are_asked_in_the_authors_words(tmp_path: Path) -> None:
    for code, text in (("eng_Latn", "Good day."), ("swh_Latn", "Habari."), ("fra_Latn", "Bonjour.")):
        (tmp_path / "FLORES").mkdir(exist_ok=True)
        (tmp_path / "FLORES" / f"{code}.devtest").write_text(f"{text}\n" * 3, encoding="utf-8")
    (tmp_path / "FLORES" / "kmr_Latn.devtest").write_text("Rojbaş.\n" * 3, encoding="utf-8")
    found = data.benchmark("flores", tmp_path)
    assert {name: len(asked) for name, asked in found.items()} == {
        "flores_from_english": 9, "flores_to_english": 9, "flores_without_english": 3,
    }  # fmt: skip
    asked = found["flores_from_english"][-1]
    found_out = (asked.group, asked.reference, asked.wanted, asked.metric)
    assert found_out == ("eng_Latn-swh_Latn", "Habari.", "swh_Latn", "chrf++")
    assert asked.instruction == (
        "Translate the following English sentence from English to Swahili.\nEnglish Sentence: Good day.\nPlease only "
        "return the translated Swahili text."
    )
    row = {"premise": "Er fiel", "choice1": "a", "choice2": "b", "question": "cause", "label": 0, "idx": 1}
    write_lines(tmp_path / "XCOPA" / "et" / "test.et.jsonl", [row])
    (asked,) = data.benchmark("xcopa", tmp_path)["xcopa"]
    assert asked.instruction.startswith("Here is a premise: Er fiel. What is the cause?")
    with pytest.raises(UserError, match="PAWS-X has no"):
        data.benchmark("paws_x", tmp_path)
    assert len(data.DIRECTIONS) == len(set(data.DIRECTIONS)) == 60


# --- the miniature ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(3))
def test_nothing_that_is_tested_is_an_answer_in_the_feedback(seed: int) -> None:
    config = override(TINY, {"seed": seed})
    parts = miniature.results(config)
    assert not set(parts["test"]) & set(parts["dev"])
    asked = miniature.asked_for_feedback(config)
    answered = {row["reference"] for rows in asked.values() for row in rows}
    for split in ("test", "dev"):
        tested = miniature.tested(override(config, {"split": split}))
        assert not answered & {row["reference"] for rows in tested.values() for row in rows}
        prompts = {(row["instruction"], row["input"]) for rows in asked.values() for row in rows}
        assert not prompts & {(row["instruction"], row["input"]) for row in tested["unseen"]}
    found = miniature.directions(config)
    assert len({*found["mixed"], *found["seen"], *found["unseen"]}) == 12 * 11
    assert set(found["new"]) < set(found["unseen"])
    known = set(miniature.spoken(config))
    assert all(not {*pair} <= known for pair in found["new"])
    assert {row["lang_out"] for row in miniature.tested(config)["into_new"]} == {*miniature.LANGUAGES} - known
    assert {row["lang_out"] for row in miniature.tested(config)["unseen"]} == set(miniature.LANGUAGES)
    assert max(miniature.solvers(miniature.tested(config)["unseen"], config).values()) < 0.1


def test_the_language_of_an_answer_is_exact() -> None:
    table = miniature.words()
    for code, words in table.items():
        for text in words.values():
            assert [other for other in table if miniature.identify(text, other) == other] == [code]
    assert miniature.identify("yirmi seven", "tr") == "mixed"
    asked = [{**ASKED, "lang_out": "tr", "fact": "plus-27", "reference": table["tr"][27]}] * 40
    written = [text for (text,) in miniature.weaker(TINY, asked)]
    assert table["tr"][27] not in written
    assert 10 < sum(miniature.identify(text, "tr") == "tr" for text in written) < 30


def test_questions_have_their_answers() -> None:
    asked = miniature.question("en", 27, minus=False), miniature.question("en", 27, minus=True)
    assert asked == ("what is 2 6 plus 1 ?", "what is 2 8 minus 1 ?")
    assert miniature.signs(0) == (True,)
    words = miniature.tokenizer_for().get_vocab()
    for row in (row for rows in miniature.tested(TINY).values() for row in rows):
        assert set(prompt("ask", "consistent", row["instruction"], row["input"]).split()) <= set(words)


def test_pairs_by_lot_and_by_kind() -> None:
    rows = [{**PAIR, "lang_in": "de", "input": str(n)} for n in range(400)]
    found = {"cross": {"rows": rows}, "mono": {"rows": [{**row, "lang_in": "sw"} for row in rows]}}

    def drawn(**changes: Any) -> list[dict[str, str]]:
        return miniature.drawn(found, override(TINY, changes))

    cross, both, lot = drawn(), drawn(feedback="both"), drawn(by_lot=True)
    assert len(cross) == len(both) == len(lot) == TINY.pairs
    assert sum(row["lang_in"] == "de" for row in both) == TINY.pairs // 2
    assert {row["prefered_output"] for row in cross} == {"embe"}
    turned = sum(row["prefered_output"] == "Apfel" for row in lot) / len(lot)
    assert 0.4 < turned < 0.6
    assert [row["input"] for row in lot] == [row["input"] for row in cross]


def test_stage_1_hardly_asks_for_another_language() -> None:
    tokenizer, config = miniature.tokenizer_for(), override(TINY, {"sft.steps": 60})
    texts = [str(tokenizer.decode(row["input_ids"])) for row in miniature.stage_1_rows(tokenizer, config)]
    other = [row["input"] for row in miniature.requests(miniature.directions(config)["mixed"], [5], 1, "")]
    names = {f"({miniature.autonym(code)})": code for code in miniature.LANGUAGES}
    answers = [text.partition("Answer:")[2].removesuffix("</s>").strip() for text in texts]
    named = [(next(code for name, code in names.items() if name in text), answer) for text, answer in
             zip(texts, answers, strict=True) if "(" in text]  # fmt: skip
    assert all(miniature.identify(answer, code) == code for code, answer in named)
    assert set(other) <= set(names)
    asked = sum(bool({*"?؟։"} & {*text}) for text in texts) / len(texts)
    assert asked == pytest.approx(1 - (1 - miniature.MIXED) * miniature.NAMED, abs=0.03)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"by_lot": True, "feedback": "mono"}, "by-lot"),
        ({"feedback": "none", "objective": "sft"}, "ends with stage 1"),
        ({"feedback_languages": 1}, "at least 2"),
        ({"preferences": "x"}, "need a model"),
        ({"recipe": "official"}, "no words"),
    ],
)
def test_settings_that_mean_nothing_are_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        override(Config(), changes)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"feedback": "cross", "preferences": ""}, "preferences is empty"),
        ({"instructions": (), "feedback": "none"}, "nothing is learnt"),
    ],
)
def test_a_base_needs_something_to_learn(changes: dict[str, Any], message: str) -> None:
    config = override(PRESETS["paper_small"], changes)
    with runs.temporary("xllms100", config) as run, pytest.raises(UserError, match=message):
        train.train(config, run)


def test_the_planned_tokens_are_about_those_of_the_rows() -> None:
    rows = miniature.stage_1_rows(miniature.tokenizer_for(), override(TINY, {"sft.steps": 40}))
    mean = sum(len(row["input_ids"]) for row in rows) / len(rows)
    stages = workload(TINY)
    assert stages[0].tokens == pytest.approx(mean * TINY.sft.steps * TINY.sft.batch_size, rel=0.1)


# --- runs -------------------------------------------------------------------------------------------------------------


def test_where_all_languages_have_feedback_none_is_new() -> None:
    config = override(TINY, {"feedback_languages": 0})
    assert set(miniature.tested(config)) == {"seen", "unseen", "own"}
    measured = evaluation.numbers(config, lambda rows: [row.get("reference", "") for row in rows], {})
    assert measured.metrics["right_unseen"] == 1.0
    few = (override(TINY, {"feedback_languages": 2, "seed": seed}) for seed in range(500))
    none = next(config for config in few if not miniature.directions(config)["seen"])
    with pytest.raises(UserError, match="raise --feedback-languages"):
        miniature.asked_for_feedback(none)


@pytest.mark.parametrize("variant", ["sft", "chosen", "by_lot"])
def test_smoke_of_other_arms(variant: str, smoke: Callable[[str], Any]) -> None:
    config = override(with_variant(SMOKE, VARIANTS, variant), {"adapter": "lora"})
    with runs.temporary("xllms100", config) as run:
        shared = runs.Run(run.path, "xllms100", config, smoke("xllms100").stages, quiet=True)
        train.train(config, shared)
        measured = evaluation.evaluate(config, shared)
        assert {"right_unseen", "on_target_new", "right_own", "named", "trivial_language"} <= set(measured.metrics)
        assert ("chosen" in measured.metrics) == (variant != "sft")
        assert (run.artifact / "adapter_config.json").exists() == (variant != "sft")


def test_own_instructions_and_pairs_on_another_model(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], smoke: Callable[[str], Any]
) -> None:
    """The page's example in Danish and Russian, which the miniature lacks: both stages, feedback, measures."""
    monkeypatch.chdir(tmp_path)
    base = own_model(tmp_path / "base")
    texts = {"da": ("Nævn en frugt.", "Et æble."), "ru": ("Назови фрукт.", "Яблоко.")}
    for code, (asked, answer) in texts.items():
        rows = [{"id": f"{n}", "instruction": f"{asked} {n}", "output": f"{answer} {n}"} for n in range(8)]
        write_lines(tmp_path / f"{code}.jsonl", rows)
    sets = ("da=da.jsonl", "ru=ru.jsonl")
    changes = {"base": base, "instructions": sets, "feedback": "none", "max_new_tokens": 4, "adapter": "lora"}
    quick = {"steps": 2, "batch_size": 4, "max_length": 64, "precision": "fp32", "micro_batch_size": 0}
    short = {f"{stage}.{name}": value for stage in ("sft", "dpo") for name, value in quick.items()}
    config = override(PRESETS["paper_small"], {**changes, **short})
    with runs.temporary("xllms100", config) as run:
        train.train(config, run)
        tuned = shutil.copytree(run.artifact, tmp_path / "tuned")

    use.main(["feedback", "--instructions", *sets, "--models", str(tuned), "--candidates", "2", "--max-new-tokens", "4",
              "--mono", "--per-direction", "3"])  # fmt: skip
    said = capsys.readouterr().out
    assert "pairs.jsonl: " in said
    pairs = data.preferences("pairs.jsonl", "cross", 0, 0)
    assert {(row["lang_in"], row["lang_out"]) for row in pairs} == {("da", "ru"), ("ru", "da")}
    assert all(row["input"] == {"ru": "(русский)", "da": "(dansk)"}[row["lang_out"]] for row in pairs)

    config = override(
        config, {"base": str(tuned), "instructions": (), "preferences": "pairs.jsonl", "feedback": "both"}
    )
    with runs.temporary("xllms100", config) as run:
        train.train(config, run)
        model, tokenizer = load(run.artifact, dtype="float32")
        assert data.answers(model, tokenizer, "consistent", pairs[:1], new=4) != []
        facts = json.loads((run.artifact / "xllms100.json").read_text())
        assert {"pairs", "steps", "chosen", "rejected"} <= set(facts)

    outputs = [
        {"lang_in": "da", "lang_out": "ru", "output": "Яблоко и груша", "reference": "Яблоко"},
        {"lang_in": "da", "lang_out": "ru", "output": "An apple and a pear", "reference": "Яблоко"},
        {"lang_in": "ru", "lang_out": "da", "output": "Et æble og en pære", "reference": "Et æble og en pære"},
    ]
    capsys.readouterr()
    use.main(["measure", write_lines(tmp_path / "outputs.jsonl", outputs)])
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert lines[1][:4] == ["da-ru", "2", "2", "0.500"]
    assert lines[2][3:] == ["0.000", "100.00"]
    assert lines[3][0] == "democratization"
    asked = write_lines(tmp_path / "asked.jsonl", [{"instruction": "Nævn en frugt.", "lang_out": "da"}])
    use.main(["measure", asked, "--model", str(tuned), "--max-new-tokens", "2"])
    assert "?-da" in capsys.readouterr().out


def own_model(folder: Path) -> str:
    """A small decoder with a tokenizer that reads any text."""
    from core.models.architectures import miniature as shape
    from core.models.loading import from_config
    from core.models.tokenization import train_bpe

    tokenizer = train_bpe(["Question: Answer: Nævn en frugt. Назови фрукт."] * 2, 300)
    config = shape(len(tokenizer), width=16, layers=1, heads=2, feed_forward=32, positions=256)
    from_config(config, seed=0).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return str(folder)


@pytest.mark.parametrize("said", [[1.0], [1.0, math.nan], ["good", "bad"], None])
def test_a_judge_of_ones_own_gives_every_answer_a_number(said: Any) -> None:
    assert use.graded(lambda rows, texts: [1, 0], "mine.py:judge", [{}, {}], ["a", "b"]) == [1.0, 0.0]
    with pytest.raises(UserError, match=r"judge = 'mine\.py:judge'"):
        use.graded(lambda rows, texts: said, "mine.py:judge", [{}, {}], ["a", "b"])


def test_directions_may_name_codes_with_a_region(tmp_path: Path) -> None:
    for code in ("pt-BR", "th"):
        write_lines(tmp_path / f"{code}.jsonl", [{"id": 1, "instruction": "x", "output": code}])
    sets = tuple(f"{code}={tmp_path / code}.jsonl" for code in ("pt-BR", "th"))
    for directions, count in ((("pt-BR-th",), 1), ((), 2)):
        asked = use.requests(use.Feedback(sets, ("x",), directions))
        assert (asked[0]["lang_in"], asked[0]["lang_out"], asked[0]["reference"]) == ("pt-BR", "th", "th")
        assert len(asked) == count


def test_conversion_by_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    path = write_lines(tmp_path / "pairs.jsonl", [PAIR])
    use.main(["convert", path, "--layout", "chat", "--out", "trl.jsonl"])
    (usual,) = map(json.loads, Path("trl.jsonl").read_text().splitlines())
    assert usual == data.to_usual(PAIR, "chat")
    bare = {name: usual[name] for name in ("prompt", "chosen", "rejected")}
    path = write_lines(tmp_path / "bare.jsonl", [bare])
    use.main(["convert", path, "--lang-in", "de", "--lang-out", "sw", "--out", "b.jsonl"])
    (back,) = map(json.loads, Path("b.jsonl").read_text().splitlines())
    assert back == {**PAIR, "instruction": "Nenne eine Frucht.\n(Kiswahili)", "input": ""}


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["feedback", "--instructions", "de=a.jsonl", "--models", "x", "--directions", "de-sw"], "is not two of de"),
        (["feedback", "--instructions", "de=a.jsonl", "sw=b.jsonl", "--models", "x"], "No two instruction sets"),
        (["measure", "b.jsonl"], "'lang_out' is missing"),
        (["measure", "c.jsonl"], "has no text in 'output'"),
        (["convert", "b.jsonl"], "row 1: no pair"),
    ],
)
def test_mistakes_end_in_a_sentence(
    words: list[str], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    write_lines(tmp_path / "a.jsonl", [{"id": 1, "instruction": "x", "output": "y"}])
    write_lines(tmp_path / "b.jsonl", [{"instruction": "x", "output": "y"}])
    write_lines(tmp_path / "c.jsonl", [{"lang_out": "de"}])
    with pytest.raises(SystemExit) as stop:
        use.main(words)
    assert stop.value.code == 2
    assert message in capsys.readouterr().err


def test_the_python_of_the_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page = (find("xllms100").folder / "README.md").read_text(encoding="utf-8")
    blocks = re.findall(r"^```python\n(.*?)^```", page, re.DOTALL | re.MULTILINE)
    assert blocks
    monkeypatch.chdir(tmp_path)
    for block in blocks:
        exec(compile(block, "README.md", "exec"), {})
