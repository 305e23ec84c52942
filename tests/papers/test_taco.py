"""taco: chains and their parsing, the paper's numbers, step-wise scores, records from the user's files, smoke."""

from __future__ import annotations

import io
import json
import math
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from core.errors import UserError
from core.experiment import run as runs
from core.experiment.config import override, with_variant
from core.experiment.paper import find
from core.experiment.results import compare
from core.experiment.run import Measurement
from core.worlds.numbers import arithmetic, operation
from papers.taco import (
    PAPER,
    TacoAnswer,
    TacoPipeline,
    build_taco_records,
    data,
    diagnose,
    keep_code,
    method,
    miniature,
    parse_chain,
    render_chain,
    round_trip_scores,
    steps,
    train,
    use,
)
from papers.taco import eval as evaluation
from papers.taco.config import PRESETS, VARIANTS, Config, workload

TINY = override(PRESETS["tiny"], {"languages": ("Nepali", "Persian")})
PARTS = {"instruction_en": "Name a fruit.", "response_en": "An apple.", "response_xx": "Ekapple re."}


# --- Chains -----------------------------------------------------------------------------------------------------------


def test_the_clean_layout_is_one_part_a_line() -> None:
    assert render_chain(PARTS, "Nepali") == (
        "Instruction in English: Name a fruit.\nResponse in English: An apple.\nResponse in Nepali: Ekapple re."
    )


def test_the_official_layout_has_extra_full_stops_and_24_spaces() -> None:
    assert render_chain(PARTS, "Sanskrit", layout="official") == (
        "Instruction in English: Name a fruit..\n"
        + " " * 24
        + "Response in English: An apple.. \n"
        + " " * 24
        + "Response in Sanskrit: Ekapple re."
    )


def test_every_chain_holds_its_parts_in_order() -> None:
    rendered = {chain: render_chain(PARTS, "Nepali", chain) for chain in method.PARTS}
    assert rendered["direct"] == "Ekapple re."
    assert rendered["no_instruction_en"] == "Response in English: An apple.\nResponse in Nepali: Ekapple re."
    assert rendered["no_response_en"] == "Instruction in English: Name a fruit.\nResponse in Nepali: Ekapple re."
    assert rendered["en_only"] == "Instruction in English: Name a fruit.\nResponse in English: An apple."


texts = st.text(alphabet=st.characters(exclude_categories=["Cs"]), min_size=1, max_size=40).map(str.strip).filter(bool)


@given(texts, texts, texts, st.sampled_from(list(method.PARTS)), st.sampled_from(["clean", "official"]))
def test_parsing_inverts_rendering(instruction: str, response: str, final: str, chain: str, layout: str) -> None:
    assume(not any(" in English:" in text or " in Nepali:" in text for text in (instruction, response, final)))
    parts = {"instruction_en": instruction, "response_en": response, "response_xx": final}
    answer = parse_chain(render_chain(parts, "Nepali", chain, layout), "Nepali", chain)
    assert answer.ok
    for part in method.PARTS["taco"]:
        if part not in method.PARTS[chain]:
            assert getattr(answer, part) is None
            continue
        # The full stops of the official layout stay in the sections: nothing is altered.
        stop = "." if layout == "official" and part != method.PARTS[chain][-1] else ""
        assert getattr(answer, part) == parts[part] + stop


def test_a_chain_that_never_ends_keeps_its_earlier_sections() -> None:
    answer = parse_chain("Instruction in English: Count.\nResponse in English: one one one one", "Nepali")
    assert answer == TacoAnswer("Count.", "one one one one", None, ok=False)


def test_labels_out_of_order_and_missing() -> None:
    early = "Response in Nepali: x Instruction in English: a Response in English: b"
    assert parse_chain(early, "Nepali") == TacoAnswer("a", "b", None, ok=False)
    assert parse_chain("Response in English: b Response in Nepali: c", "Nepali") == TacoAnswer(None, "b", "c", ok=False)
    assert parse_chain("no label at all", "Nepali") == TacoAnswer(None, None, None, ok=False)
    # The label of another language is text.
    other = parse_chain("Instruction in English: a Response in English: b Response in Hindi: c", "Nepali")
    assert other == TacoAnswer("a", "b Response in Hindi: c", None, ok=False)


def test_the_first_label_counts_and_later_ones_are_text() -> None:
    text = render_chain(PARTS, "Nepali") + "\nInstruction in English: again"
    assert parse_chain(text, "Nepali").response_xx == "Ekapple re.\nInstruction in English: again"


def test_a_direct_answer_is_the_whole_text() -> None:
    assert parse_chain("  Ekapple re. ", "Nepali", "direct") == TacoAnswer(None, None, "Ekapple re.", ok=True)
    assert not parse_chain("  ", "Nepali", "direct").ok


@pytest.mark.parametrize("name", ["", "ne", "npi", "NE", "नेपाली", "English", "english", "nepali"])
def test_labels_need_the_english_name_of_the_language(name: str) -> None:
    with pytest.raises(UserError, match="lang_name"):
        method.labels(name)


def test_a_short_language_name_is_no_code() -> None:
    assert method.labels("Lao")[-1] == "Response in Lao:"


def test_code_blocks_are_copied_one_for_one_and_missing_ones_appended() -> None:
    code, other = "```python\nx = 1\ny = 2\n```", "```\nls\n```"
    answer = TacoAnswer("i", f"Try {code} then {other}.", "यो ``` x = 1 y = 2 ``` हो", ok=True)
    assert keep_code(answer).response_xx == f"यो {code} हो\n\n{other}"
    assert keep_code(TacoAnswer("i", "no code", "``` a ```", ok=True)).response_xx == "``` a ```"
    assert keep_code(TacoAnswer("i", code, None, ok=False)).response_xx is None


# --- Records ----------------------------------------------------------------------------------------------------------

ENGLISH: list[dict[str, Any]] = [
    {"id": "a", "instruction": "Translate it.", "input": "A cat.", "output": "A cat, said otherwise."},
    {"id": "b", "instruction": "Say hello.", "input": "", "output": "Hello."},
    {"id": "c", "instruction": "Say a thing.", "input": "", "output": "x" * 31},
    {"id": "d", "instruction": "Say ok.", "input": None, "output": "OK"},
    {"id": "e", "instruction": "Empty.", "input": "", "output": " "},
]
NEPALI: list[dict[str, Any]] = [
    {"id": "e", "instruction": "खाली", "input": "", "output": "केही"},
    {"id": "d", "instruction": "ओके भन", "input": "", "output": "OK"},
    {"id": "c", "instruction": "भन", "input": "", "output": "x" * 31},
    {"id": "b", "instruction": "नमस्ते भन", "input": "", "output": "नमस्ते"},
    {"id": "a", "instruction": "अनुवाद गर", "input": "बिरालो", "output": "बिरालो हो"},
    {"id": "z", "instruction": "अर्को", "input": "", "output": "अर्को"},
]


def test_records_join_on_id_and_count_what_they_drop() -> None:
    built = build_taco_records(ENGLISH, NEPALI, "Nepali")
    assert [record["id"] for record in built.records] == ["a", "b", "d"]
    assert built.dropped == {"unmatched": 1, "untranslated": 1, "empty": 1}
    first = built.records[0]
    assert first["instruction"] == "अनुवाद गर"
    assert first["input"] == "बिरालो"
    assert first["output"] == (
        "Instruction in English: Translate it.\nA cat.\n"
        "Response in English: A cat, said otherwise.\nResponse in Nepali: बिरालो हो"
    )
    assert parse_chain(first["output"], "Nepali").instruction_en == first["instruction_en"] == "Translate it.\nA cat."


def test_records_can_be_aligned_by_order() -> None:
    translated = [{**NEPALI[4 - number], "id": f"x{number}"} for number in range(5)]
    built = build_taco_records(ENGLISH, translated, "Nepali", chain="direct", align="order")
    assert [record["output"] for record in built.records] == ["बिरालो हो", "नमस्ते", "OK"]
    with pytest.raises(UserError, match="5 rows and the translated one 6"):
        build_taco_records(ENGLISH, NEPALI, "Nepali", align="order")


def test_released_rows_become_records(tmp_path: Path) -> None:
    """A local copy of the hub dataset, with the real folder, file and column names."""
    good = {
        "instruction": " फल भन",
        "input": "",
        "id": "x-1",
        "output": render_chain(PARTS, "Nepali", layout="official"),
    }
    bad = {"instruction": "फल", "input": "", "id": "x-2", "output": "Instruction in English: cut"}
    (tmp_path / "taco-datasets").mkdir()
    (tmp_path / "taco-datasets" / "taco-Nepali.json").write_text(json.dumps([good, bad]))
    records = data.hub_records(str(tmp_path), "Nepali")
    assert len(records) == 1
    assert {part: records[0][part] for part in PARTS} == PARTS
    assert records[0]["instruction"] == "फल भन"
    # The same text comes out again, so the released records can be trained in either layout and with every chain.
    assert render_chain(records[0], "Nepali", layout="official") == good["output"]
    with pytest.raises(UserError, match=r"taco-Persian\.json"):
        data.hub_records(str(tmp_path), "Persian")


def test_translated_instruction_sets_stand_under_their_literal_paths(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A trailing space and a misspelling belong to the released folder names; rows correspond by order."""
    root = tmp_path / "multilingual-instruction-tuning-dataset "
    rows = {
        "English": [{"instruction": "Name a fruit.", "input": "", "output": "An apple."}],
        "Nepali": [{"instruction": "फल भन", "input": None, "output": "स्याउ"}],
    }
    for language, content in rows.items():
        for folder in (root / "multilingual-alpaca-52k-gpt-4" / language, root / "multilinugal-dolly-15k"):
            folder.mkdir(parents=True, exist_ok=True)
            (folder / f"{language}.json").write_text(json.dumps(content))
    for part in ("alpaca", "dolly"):
        nepali = data.instruction_rows("Nepali", part, str(tmp_path))
        assert nepali == [{"instruction": "फल भन", "input": "", "output": "स्याउ"}]
    with pytest.raises(UserError, match=r"Danish/Danish\.json"):
        data.instruction_rows("Danish", "alpaca", str(tmp_path))
    with pytest.raises(UserError, match="choose from alpaca, dolly"):
        data.instruction_rows("Nepali", "lima", str(tmp_path))

    monkeypatch.setattr(data, "HUB", str(tmp_path))
    out = tmp_path / "taco.jsonl"
    sources = ["--english", "hub:alpaca/English", "--translated", "hub:alpaca/Nepali", "--align", "order"]
    use.main(["build", "--language", "Nepali", *sources, "--out", str(out)])
    assert "1 records" in capsys.readouterr().out
    assert data.file_records(str(out), "Nepali")[0]["instruction_en"] == "Name a fruit."


# --- The miniature ----------------------------------------------------------------------------------------------------


def test_no_test_fact_follows_from_a_tuning_record() -> None:
    """Families stay together in all languages: 7 + 4, 4 + 7, 11 - 4 and 11 - 7 are one."""
    config = PRESETS["tiny"]
    for seed in (0, 11):
        parts = {name: miniature.records(name, override(config, {"seed": seed})) for name in ("Nepali", "Persian")}
        families = {
            part: {record["id"].partition("/")[0] for language in parts.values() for record in language[part]}
            for part in ("tuning", "dev", "test")
        }
        assert not families["tuning"] & families["test"]
        assert not families["tuning"] & families["dev"]
        assert not families["dev"] & families["test"]
        assert [r["id"] for r in parts["Nepali"]["test"]] == [r["id"] for r in parts["Persian"]["test"]]
        assert len(parts["Nepali"]["tuning"]) == config.tuning_items
        known = miniature.solvers("Nepali", override(config, {"seed": seed}))
        assert known["lookup"] == known["symmetric"] == known["family"] == 0
    first, second = (miniature.records("Nepali", override(config, {"seed": seed}))["test"] for seed in (0, 1))
    assert {r["id"] for r in first} != {r["id"] for r in second}


def test_records_hold_the_same_fact_in_both_languages() -> None:
    record = next(r for r in miniature.records("Nepali", PRESETS["tiny"])["tuning"] if "plus" in r["id"])
    item = next(item for item in arithmetic(("en",), 19) if item.id.endswith(record["id"]))
    assert (record["instruction_en"], record["response_en"]) == (item.prompt, item.answer)
    assert operation(item)[3] == operation(item)[1] + operation(item)[2]


def test_the_null_arm_breaks_the_chain_and_nothing_else() -> None:
    config = PRESETS["tiny"]
    right, broken = (miniature.records("Nepali", override(config, {"shuffled_chains": flag})) for flag in (False, True))
    assert [r["instruction"] for r in right["tuning"]] == [r["instruction"] for r in broken["tuning"]]
    assert [r["response_xx"] for r in right["tuning"]] == [r["response_xx"] for r in broken["tuning"]]
    english = {r["instruction_en"]: r["response_en"] for r in right["tuning"]}
    assert all(english[r["instruction_en"]] == r["response_en"] for r in broken["tuning"])
    kept = sum(
        a["instruction_en"] == b["instruction_en"] for a, b in zip(right["tuning"], broken["tuning"], strict=True)
    )
    assert kept < len(right["tuning"]) / 20
    assert right["test"] == broken["test"]


def test_seeds_that_are_drawn_together_share_no_language() -> None:
    tiny = PRESETS["tiny"]
    for first in (0, 42, 1200):
        drawn = [miniature.targets(override(tiny, {"seed": first + number})) for number in range(6)]
        every = [language for pair in drawn for language in pair]
        assert len(every) == len(set(every)) == 12
        assert set(every) <= set(miniature.POOL) < set(miniature.LANGUAGES)
    assert len({miniature.targets(override(tiny, {"seed": 6 * draw})) for draw in range(20)}) > 10
    assert "English" not in miniature.LANGUAGES
    assert "Khmer" not in miniature.POOL
    assert miniature.LANGUAGES["Nepali"] == "ne"
    assert len(miniature.POOL) >= 14


def test_languages_that_are_named_are_taken() -> None:
    named = override(PRESETS["tiny"], {"languages": ("Persian", "Nepali"), "seed": 3})
    assert miniature.targets(named) == ("Persian", "Nepali")
    with pytest.raises(UserError, match="no arithmetic in 'Sanskrit'"):
        miniature.targets(override(named, {"languages": ("Sanskrit",)}))


def test_the_vocabulary_is_that_of_the_languages_of_the_seed() -> None:
    config = override(PRESETS["tiny"], {"seed": 42})
    words = miniature.tokenizer_for(config).get_vocab()
    labels = {word for word in words if word.startswith("Response in ")}
    assert labels == {f"Response in {name}:" for name in ("English", *miniature.targets(config))}
    for language in miniature.targets(config):
        spoken = miniature.records(language, config)["test"]
        assert {word for record in spoken for word in record["instruction"].split()} <= set(words)


def test_every_seed_is_one_draw_of_all_that_is_drawn() -> None:
    """What `compare` makes of the units of six seeds: seeds are independent, languages belong to them."""
    claim = PAPER.claims[0]
    cells = {
        variant: {
            seed: Measurement(
                {},
                {
                    name: {
                        f"{language}/{record['id']}": float(base + seed % 2)
                        for language in miniature.targets(config)
                        for record in miniature.records(language, config)["test"][:5]
                    }
                    for name in ("accuracy", "twice_accuracy")
                },
            )
            for seed in PAPER.seeds
            for config in [override(PRESETS["tiny"], {"seed": seed})]
        }
        for variant, base in (("taco", 2), ("direct_tokens", 1))
    }
    found = compare(claim, "direct_tokens", cells)
    assert (found.sample.nested, found.sample.seeds, found.sample.units) == (True, 6, 12)
    assert found.sample.left_out == found.sample.overlap == 0
    assert found.interval.estimate == 1


def test_the_loss_is_on_the_output_alone() -> None:
    tokenizer = miniature.tokenizer_for(TINY)
    record = miniature.records("Nepali", PRESETS["tiny"])["tuning"][0]
    row = method.chain_row(tokenizer, record, "taco", "clean", "plain")
    prompt = row["labels"].count(-100)
    assert str(tokenizer.decode(row["input_ids"][:prompt])).endswith("Answer:")
    assert row["labels"][prompt:] == row["input_ids"][prompt:]
    assert row["input_ids"][-1] == tokenizer.eos_token_id
    assert row["labels"][prompt] == tokenizer.convert_tokens_to_ids("Instruction in English:")


def test_the_raw_base_reads_the_same_facts_as_statements() -> None:
    tokenizer = miniature.tokenizer_for(TINY)
    asked, told = (
        miniature.english_rows(tokenizer, PRESETS["tiny"], 1, "x", facts=6, asked=flag)[0] for flag in (True, False)
    )
    text = str(tokenizer.decode(asked["input_ids"]))
    assert text.count("Question:") == text.count(tokenizer.eos_token) == 6
    assert text.count(tokenizer.bos_token) == 1
    answers = [answer.split() for answer in re.findall("Answer: (.*?) </s>", text)]
    assert sum(label != -100 for label in asked["labels"]) == sum(len(answer) + 1 for answer in answers)
    statements = str(tokenizer.decode(told["input_ids"]))
    assert "Question:" not in statements
    assert "?" not in statements
    assert statements.count(" is ") == 6


def test_budgets_of_stage_2() -> None:
    config = override(TINY, {"tuning_items": 30})
    tokenizer = miniature.tokenizer_for(TINY)
    direct, chains = (
        train.stage_rows(tokenizer, "Nepali", with_variant(config, VARIANTS, name))
        for name in ("direct_tokens", "taco")
    )
    assert direct.dropped == chains.dropped == 0
    assert direct.chain_tokens == chains.tokens == chains.chain_tokens
    assert 1.8 < chains.tokens / direct.tokens < 3


def test_records_none_of_which_fits_are_refused() -> None:
    config = override(TINY, {"tuning_items": 5, "training.max_length": 8})
    with pytest.raises(UserError, match=r"No record of Nepali fits into training\.max_length = 8"):
        train.stage_rows(miniature.tokenizer_for(TINY), "Nepali", config)


# --- Prompts and token rows -------------------------------------------------------------------------------------------


def test_prompt_templates() -> None:
    alpaca = method.render_prompt("alpaca", "फल भन", "रातो")
    assert alpaca.endswith("### Instruction:\nफल भन\n\n### Input:\nरातो\n\n### Response:\n")
    assert "paired with an input" in alpaca
    assert "Input" not in method.render_prompt("alpaca", "फल भन")
    assert method.render_prompt("guanaco", "फल भन") == "### Human: फल भन ### Assistant:"
    assert method.render_prompt("plain", "फल भन", suffix="छोटो") == "Question: फल भन छोटो\nAnswer:"


def test_too_long_rows_are_dropped_and_counted() -> None:
    rows = [{"input_ids": [0] * length} for length in (3, 5, 9, 4)]
    kept, share = method.fitting(rows, 5)
    assert [len(row["input_ids"]) for row in kept] == [3, 5, 4]
    assert share == 0.25


# --- Scores -----------------------------------------------------------------------------------------------------------


def right(**changes: Any) -> TacoAnswer:
    fields: dict[str, Any] = {**PARTS, "ok": True, **changes}
    return TacoAnswer(**fields)


def test_each_step_is_scored_given_the_steps_before_it() -> None:
    answers = [
        right(),
        right(response_xx="wrong"),
        right(response_en="wrong", response_xx="wrong"),
        right(instruction_en="wrong"),  # right by luck
        right(response_xx=None, ok=False),
    ]
    report = diagnose(answers, [PARTS] * 5)
    assert report.n == 5
    assert report.ok == 0.8
    assert report.instruction_en == 0.8
    assert report.response_en == 0.8
    assert report.response_xx == 0.4
    assert report.answer_given_instruction == 0.75
    assert report.back_given_answer == pytest.approx(1 / 3)
    assert report.all_steps == 0.2
    assert report.all_steps == pytest.approx(0.8 * 0.75 / 3)


@given(st.lists(st.tuples(st.booleans(), st.booleans(), st.booleans(), st.booleans()), min_size=1, max_size=30))
def test_wholly_right_chains_factorise(flags: list[tuple[bool, bool, bool, bool]]) -> None:
    answers = [
        TacoAnswer(*(text if flag else "no" for text, flag in zip(PARTS.values(), row, strict=False)), ok=row[3])
        for row in flags
    ]
    report = diagnose(answers, [PARTS] * len(answers))
    product = report.instruction_en * report.answer_given_instruction * report.back_given_answer
    assert math.isnan(product) or report.all_steps == pytest.approx(product)
    assert report.all_steps <= report.response_xx <= report.ok


def test_the_whole_chain_is_never_scored_for_the_last_section() -> None:
    """English text that leaks into the score would inflate it."""
    echo = TacoAnswer("i", PARTS["response_xx"], "something else", ok=True)
    assert steps.step_scores(echo, PARTS)["response_xx"] == 0
    with pytest.raises(ValueError, match="equally many"):
        diagnose([], [])


def test_graded_scores_and_missing_parts() -> None:
    report = diagnose([right()], [PARTS], "direct", score=lambda hypothesis, reference: 0.5, threshold=0.5)
    assert report.response_xx == 0.5
    assert report.all_steps == 1.0
    assert math.isnan(report.instruction_en)
    assert math.isnan(report.answer_given_instruction)


# --- The paper's evaluation -------------------------------------------------------------------------------------------


def test_round_trip_scores_are_those_of_sacrebleu() -> None:
    import sacrebleu

    originals = ["the cat sat on the mat today", "dogs bark at night in the village"]
    returned = ["the cat sat on a mat today", "dogs bark in the village at night"]
    scores = round_trip_scores(originals, returned)
    assert scores["bleu"] == sacrebleu.corpus_bleu(returned, [originals]).score
    assert scores["chrf++"] == sacrebleu.CHRF(word_order=2).corpus_score(returned, [originals]).score
    assert scores["ter"] == sacrebleu.corpus_ter(returned, [originals]).score
    perfect = round_trip_scores(originals, originals)
    assert (round(perfect["bleu"]), round(perfect["chrf++"]), perfect["ter"]) == (100, 100, 0)


def test_every_language_is_asked_and_graded_with_its_own_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Three outputs: a whole chain, one that answers in English, and one that was cut."""
    answer = {"Nepali": "यो नेपाली भाषाको लामो उत्तर हो", "Persian": "این یک پاسخ بلند به زبان فارسی است"}
    asked: list[str] = []

    def write(pipeline: TacoPipeline, questions: list[tuple[str, str]]) -> list[str]:
        asked.extend(question for question, _ in questions)
        texts = (answer[pipeline.lang_name], "this is an english answer, not a translated one")
        chains = [render_chain({**PARTS, "response_xx": text}, pipeline.lang_name) for text in texts]
        return [*chains, "Instruction in English: cut"]

    monkeypatch.setattr(TacoPipeline, "write", write)

    def lines(name: str, rows: list[dict[str, Any]]) -> str:
        (tmp_path / name).write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
        return str(tmp_path / name)

    grades = {"Nepali": (9, 2), "Persian": (5, 4)}
    words = {"Nepali": "नेपाली", "Persian": "فارسی"}
    turns = [{"question_id": n, "category": "math", "turns": [f"Question {n}?"]} for n in (1, 2, 3)]
    config = override(
        PRESETS["smoke"],
        {
            "languages": tuple(words),
            "question_suffix": "छोटो",
            "questions": lines("questions", turns),
            "translated_questions": tuple(
                lines(f"{name}-q", [{"question_id": n, "text": f"{word} {n}?"} for n in (1, 2, 3)])
                for name, word in words.items()
            ),
            "judgements": tuple(
                lines(f"{name}-j", [{"id": n, "judgement": f"[[{g}]]"} for n, g in enumerate(grades[name], start=1)])
                for name in words
            ),
        },
    )
    nothing: Any = None
    with runs.temporary("taco", config) as run:
        for name in words:
            metrics = evaluation.benchmark(TacoPipeline(nothing, nothing, name), config, run)
            assert metrics["benchmark_parsed"] == pytest.approx(2 / 3)
            assert metrics["benchmark_in_language"] == 0.5
            assert metrics["rating_overall"] == (sum(grades[name]) + 1) / 3  # what was cut gets the lowest grade
            rows = [json.loads(line) for line in (run.path / f"answers-{name}.jsonl").read_text().splitlines()]
            assert [row["answer"] for row in rows][::2] == [answer[name], ""]
            # The judge never sees the English part of a chain, and nothing of one that was cut.
            requests = (run.path / f"judge_requests-{name}.jsonl").read_text().splitlines()
            assert len(requests) == 2
            assert not any("Name a fruit" in request for request in requests)
    assert sum("فارسی" in question for question in asked) == 3
    assert all(question.endswith("? छोटो") for question in asked)


# --- Configuration ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"source": "hub", "base": "x"}, "languages is empty"),
        ({"questions": "q", "translated_questions": ("t",)}, "languages is empty"),
        ({"source": "files", "base": "x", "languages": ("Nepali",)}, "records names 0 files"),
        ({"source": "hub", "languages": ("Nepali",)}, "needs a model"),
        ({"training.long_documents": "truncate"}, "long_documents"),
        ({"base": "x/y", "curriculum": False}, "raw_base"),
        ({"questions": "q.jsonl", "languages": ("Nepali",)}, "belong together"),
        ({"chain": "direct", "shuffled_chains": True}, "no English"),
        ({"judgements": ("a",), "languages": ("Nepali", "Persian")}, "1 files for 2 languages"),
    ],
)
def test_settings_that_mean_nothing_are_refused(changes: dict, message: str) -> None:
    with pytest.raises(UserError, match=message):
        override(Config(), changes)


def test_the_planned_tokens_are_about_those_of_the_rows() -> None:
    config = override(TINY, {"tuning_items": 10, "languages": ("Amharic", "Nepali", "Persian", "Swahili")})
    tokenizer = miniature.tokenizer_for(config)
    raw, first, second = workload(config)
    for part, settings, asked in ((raw, config.english, False), (first, config.instructions, True)):
        rows = miniature.english_rows(tokenizer, config, 8, "x", miniature.PACKED, asked=asked)
        seen = sum(len(row["input_ids"]) for row in rows) / len(rows)
        assert part.tokens == pytest.approx(settings.steps * settings.batch_size * seen, rel=0.1)
    chains = [train.stage_rows(tokenizer, language, config).tokens for language in config.languages]
    assert second.tokens == pytest.approx(config.training.steps * config.training.batch_size * sum(chains), rel=0.1)


# --- Runs -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("changes", [{}, {"adapter": "lora", "lora_rank": 4}], ids=["tokens", "lora"])
def test_smoke_of_other_settings(changes: dict[str, Any], smoke: Callable[[str], Any]) -> None:
    config = override(with_variant(PRESETS["smoke"], VARIANTS, "direct_tokens"), changes)
    with runs.temporary("taco", config) as run:
        shared = runs.Run(run.path, "taco", config, smoke("taco").stages, quiet=True)
        train.train(config, shared)
        measured = evaluation.evaluate(config, shared)
        values = measured.units["accuracy"]
        assert measured.metrics["accuracy"] == pytest.approx(sum(values.values()) / len(values))
        assert len(values) == len(miniature.records("Nepali", config)["test"])
        assert {"parsed", "english_skill", "fitted", "trivial_family"} <= set(measured.metrics)
        facts = json.loads((run.artifact / "Nepali" / "taco.json").read_text())
        assert facts["steps"] > 1.8 * config.training.steps
        kind = "adapter_config.json" if config.adapter == "lora" else "model.safetensors"
        assert (run.artifact / "Nepali" / kind).exists()


def test_the_worked_example(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, smoke: Callable[[str], Any]
) -> None:
    """The page's example: build from two files, train on the result, score outputs, ask the model."""
    for name, code in (("English", "en"), ("Nepali", "ne")):
        rows = [
            {"id": item.id.partition("/")[2], "instruction": item.prompt, "output": item.answer}
            for item in arithmetic((code,), 5)
        ]
        (tmp_path / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    records = tmp_path / "taco-Nepali.jsonl"
    files = ["--english", str(tmp_path / "English.jsonl"), "--translated", str(tmp_path / "Nepali.jsonl")]
    use.main(["build", *files, "--language", "Nepali", "--out", str(records)])
    assert "57 records" in capsys.readouterr().out

    base = next((smoke("taco").stages).glob("english-*")) / "model"  # stands in for an instruction model of the user's
    changes = {"base": str(base), "records": (str(records),), "source": "files", "held_out": 5, "tuning_items": 0}
    config = override(PRESETS["smoke"], changes)
    with runs.temporary("taco", config) as run:
        train.train(config, run)
        assert evaluation.evaluate(config, run).metrics["parsed"] >= 0
        folder = run.artifact / "Nepali"
        capsys.readouterr()
        monkeypatch.setattr("sys.stdin", io.StringIO("सात जोड चार कति हुन्छ ?\nएक जोड एक कति हुन्छ ?\n"))
        use.main(["ask", "--model", str(folder), "--show-chain"])
        shown = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
        assert [set(row) for row in shown] == [{"instruction_en", "response_en", "response_xx", "ok"}] * 2

    outputs = tmp_path / "outputs.jsonl"
    rows = [{"id": row["id"], "output": row["output"]} for row in data.file_records(str(records), "Nepali")]
    rows[0]["output"] = "Instruction in English: cut"
    outputs.write_text("".join(json.dumps(row) + "\n" for row in rows))
    use.main(
        ["score", "--outputs", str(outputs), "--references", str(records), "--language", "Nepali", "--measure", "exact"]
    )
    report = dict(line.split() for line in capsys.readouterr().out.splitlines())
    assert report["n"] == "57"
    assert float(report["ok"]) == float(report["all_steps"]) == pytest.approx(56 / 57, abs=1e-4)


def test_a_cut_chain_costs_no_other_answer(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], smoke: Callable[[str], Any]
) -> None:
    model = str(smoke("taco").path / "artifact" / "Nepali")
    chains = {"क": render_chain(PARTS, "Nepali"), "ख": "Instruction in English: cut"}
    monkeypatch.setattr(TacoPipeline, "write", lambda self, asked: [chains[prompt] for prompt, _ in asked])

    def ask(text: str) -> tuple[str, str]:
        monkeypatch.setattr("sys.stdin", io.StringIO(text))
        with pytest.raises(SystemExit) as stop:
            use.main(["ask", "--model", model])
        assert stop.value.code == 2
        return capsys.readouterr()

    out, err = ask("ख\n\nक\n")
    assert out.splitlines() == ["", "", "Ekapple re."]
    assert "1 of 2 instructions, the first of them 'ख'" in err
    assert "no instruction" in ask("\n")[1]


def test_too_few_records_of_files_are_refused() -> None:
    texts = {"instruction_en": "Ask.", "response_en": "Yes.", "response_xx": "हो", "language": "Nepali", "input": ""}
    records = [{**texts, "id": str(n), "instruction_en": f"Ask {n}."} for n in range(60)]
    config = override(Config(), {"held_out": 6, "tuning_items": 0})
    parts = data.split_records(records, config)
    assert {part: len(rows) for part, rows in parts.items()} == {"dev": 6, "test": 6, "tuning": 48}
    assert [row["id"] for row in parts["tuning"]] != sorted(row["id"] for row in parts["tuning"])
    with pytest.raises(UserError, match="60 records are too few"):
        data.split_records(records, override(config, {"held_out": 40}))


def test_the_python_of_the_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, smoke: Callable[[str], Any]) -> None:
    page = (find("taco").folder / "README.md").read_text(encoding="utf-8")
    blocks = re.findall(r"^```python\n(.*?)^```", page, re.DOTALL | re.MULTILINE)
    assert len(blocks) == 2
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "runs/nepali/artifact/Nepali"
    shutil.copytree(smoke("taco").path / "artifact" / "Nepali", folder)
    for block in blocks:
        exec(compile(block, "README.md", "exec"), {})


def test_mistakes_are_one_sentence_and_code_2(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        use.main(["build", "--english", "missing.jsonl", "--translated", "x", "--language", "Nepali", "--out", "y"])
    assert stop.value.code == 2
    assert "missing.jsonl" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        use.main(["ask", "--model", str(tmp_path), "--prompt", "x"])
    assert "taco.json" in capsys.readouterr().err
