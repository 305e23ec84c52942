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
from core.tasks import instructions
from core.worlds.numbers import arithmetic
from papers.taco import (
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
    train,
    use,
)
from papers.taco import eval as evaluation
from papers.taco.config import PRESETS, VARIANTS, Chain, Config, workload

TINY = override(PRESETS["tiny"], {"languages": ("Nepali", "Persian")})
CHAINS: tuple[Chain, Chain] = ("direct", "taco")
PARTS = {"instruction_en": "Name a fruit.", "response_en": "An apple.", "response_xx": "Ekapple re."}


def write_lines(path: Path, rows: list[dict[str, Any]]) -> str:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return str(path)


# --- Chains -----------------------------------------------------------------------------------------------------------


def test_the_official_layout_has_extra_full_stops_and_24_spaces() -> None:
    first, second, third = render_chain(PARTS, "Sanskrit", layout="official").split("\n" + " " * 24)
    assert first == "Instruction in English: Name a fruit.."
    assert second == "Response in English: An apple.. "
    assert third == "Response in Sanskrit: Ekapple re."


def test_every_chain_holds_its_parts_in_order() -> None:
    rendered = {chain: render_chain(PARTS, "Nepali", chain) for chain in method.PARTS}
    assert rendered["taco"] == (
        "Instruction in English: Name a fruit.\nResponse in English: An apple.\nResponse in Nepali: Ekapple re."
    )
    assert rendered["direct"] == "Ekapple re."
    assert rendered["no_instruction_en"] == "Response in English: An apple.\nResponse in Nepali: Ekapple re."


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


def test_labels_out_of_order_missing_and_repeated() -> None:
    cut = parse_chain("Instruction in English: Count.\nResponse in English: one one one one", "Nepali")
    assert cut == TacoAnswer("Count.", "one one one one", None, ok=False)
    early = "Response in Nepali: x Instruction in English: a Response in English: b"
    assert parse_chain(early, "Nepali") == TacoAnswer("a", "b", None, ok=False)
    assert parse_chain("Response in English: b Response in Nepali: c", "Nepali") == TacoAnswer(None, "b", "c", ok=False)
    assert parse_chain("no label at all", "Nepali") == TacoAnswer(None, None, None, ok=False)
    # The label of another language is text.
    other = parse_chain("Instruction in English: a Response in English: b Response in Hindi: c", "Nepali")
    assert other == TacoAnswer("a", "b Response in Hindi: c", None, ok=False)
    # The first label counts; later ones are text.
    text = render_chain(PARTS, "Nepali") + "\nInstruction in English: again"
    assert parse_chain(text, "Nepali").response_xx == "Ekapple re.\nInstruction in English: again"
    assert parse_chain("  Ekapple re. ", "Nepali", "direct") == TacoAnswer(None, None, "Ekapple re.", ok=True)
    assert not parse_chain("  ", "Nepali", "direct").ok


def test_labels_need_the_english_name_of_the_language() -> None:
    for name in ("", "ne", "npi", "NE", "नेपाली", "English", "english", "nepali"):
        with pytest.raises(UserError, match="lang_name"):
            method.labels(name)
    assert method.labels("Lao")[-1] == "Response in Lao:"


def test_code_blocks_are_those_of_the_english_response() -> None:
    code = "```python\nx = 1\ny = 2\n```"
    answer = TacoAnswer("i", f"Try {code}.", "यो ``` x = 1 y = 2 ``` हो", ok=True)
    assert keep_code(answer).response_xx == f"यो {code} हो"
    assert keep_code(TacoAnswer("i", "no code", "``` a ```", ok=True)).response_xx == "``` a ```"
    assert keep_code(TacoAnswer("i", code, None, ok=False)).response_xx is None
    assert keep_code(TacoAnswer("i", None, "``` a ```", ok=False)).response_xx == "``` a ```"


def test_only_a_whole_chain_has_a_final_answer() -> None:
    assert parse_chain(render_chain(PARTS, "Nepali"), "Nepali").final == "Ekapple re."
    assert parse_chain("Response in English: b Response in Nepali: c", "Nepali").final == ""
    assert parse_chain("Instruction in English: cut", "Nepali").final == ""


# --- Records ----------------------------------------------------------------------------------------------------------


def rows_of(**rows: tuple[str, str | None, str]) -> list[dict[str, Any]]:
    return [{"id": key, "instruction": i, "input": text, "output": o} for key, (i, text, o) in rows.items()]


ENGLISH = rows_of(
    a=("Translate it.", "A cat.", "A cat, said otherwise."),
    b=("Say hello.", "", "Hello."),
    c=("Say a thing.", "", "x" * 31),
    d=("Say ok.", None, "OK"),
    e=("Empty.", "", " "),
)
NEPALI = rows_of(
    e=("खाली", "", "केही"),
    d=("ओके भन", "", "OK"),
    c=("भन", "", "x" * 31),
    b=("नमस्ते भन", "", "नमस्ते"),
    a=("अनुवाद गर", "बिरालो", "बिरालो हो"),
    z=("अर्को", "", "अर्को"),
)


def test_records_join_on_id_or_by_order_and_count_what_they_drop() -> None:
    built = build_taco_records(ENGLISH, NEPALI, "Nepali")
    assert [record["id"] for record in built.records] == ["a", "b", "d"]
    assert built.dropped == {"unmatched": 1, "untranslated": 1, "empty": 1}
    first = built.records[0]
    assert (first["instruction"], first["input"]) == ("अनुवाद गर", "बिरालो")
    assert first["output"] == (
        "Instruction in English: Translate it.\nA cat.\n"
        "Response in English: A cat, said otherwise.\nResponse in Nepali: बिरालो हो"
    )
    assert parse_chain(first["output"], "Nepali").instruction_en == first["instruction_en"] == "Translate it.\nA cat."
    built = build_taco_records(ENGLISH, NEPALI[4::-1], "Nepali", chain="direct", align="order")
    assert [record["output"] for record in built.records] == ["बिरालो हो", "नमस्ते", "OK"]


def test_released_rows_become_records(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A local copy of the hub dataset, with the real folder, file and column names."""
    official = render_chain(PARTS, "Nepali", layout="official")
    good = {"instruction": " फल भन", "input": "", "id": "x-1", "output": official}
    bad = {"instruction": "फल", "input": "", "id": "x-2", "output": "Instruction in English: cut"}
    (tmp_path / "taco-datasets").mkdir()
    (tmp_path / "taco-datasets" / "taco-Nepali.json").write_text(json.dumps([good, bad]))
    monkeypatch.setattr(instructions, "MITS", str(tmp_path))
    (record,) = data.hub_records("Nepali")
    assert {**record, **PARTS, "instruction": "फल भन"} == record
    # The same text comes out again, so the released records can be trained in either layout and with every chain.
    assert render_chain(record, "Nepali", layout="official") == good["output"]
    with pytest.raises(UserError, match=r"taco-Persian\.json"):
        data.hub_records("Persian")


def test_records_are_built_from_sets_of_the_hub(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = {"English": ENGLISH[1:2], "Nepali": NEPALI[3:4]}
    monkeypatch.setattr(
        instructions, "instruction_rows", lambda language, part: rows[language] if part == "dolly" else []
    )
    out = tmp_path / "taco.jsonl"
    sources = ["--english", "hub:dolly/English", "--translated", "hub:dolly/Nepali", "--align", "order"]
    use.main(["build", "--language", "Nepali", *sources, "--out", str(out)])
    assert "1 records" in capsys.readouterr().out
    assert instructions.read_records(out, "Nepali")[0]["instruction_en"] == "Say hello."


def test_files_are_split_by_instruction(tmp_path: Path) -> None:
    texts = {"instruction": "सोध", "response_en": "Yes.", "response_xx": "हो", "language": "Nepali"}
    path = write_lines(tmp_path / "n.jsonl", [{**texts, "instruction_en": f"Ask {n}."} for n in range(60)])
    config = Config(base="x", records=(path,), languages=("Nepali",), held_out=6, tuning_items=0)
    parts = data.load_records(config, "Nepali")
    assert {part: len(rows) for part, rows in parts.items()} == {"dev": 6, "test": 6, "tuning": 48}
    assert [row["id"] for row in parts["tuning"]] != sorted(row["id"] for row in parts["tuning"])
    with pytest.raises(UserError, match="60 records are too few"):
        data.load_records(override(config, {"held_out": 40}), "Nepali")
    with pytest.raises(UserError, match="line 1 is Nepali, not Persian"):
        data.load_records(override(config, {"languages": ("Persian",)}), "Persian")


# --- The miniature ----------------------------------------------------------------------------------------------------


def test_no_test_fact_follows_from_a_tuning_record() -> None:
    """Families stay together in all languages: 7 + 4, 4 + 7, 11 - 4 and 11 - 7 are one."""
    config = PRESETS["tiny"]
    for seed in (0, 11):
        drawn = override(config, {"seed": seed})
        parts = {name: data.load_records(drawn, name) for name in ("Nepali", "Persian")}
        families = {
            part: {record["id"].partition("/")[0] for language in parts.values() for record in language[part]}
            for part in ("tuning", "dev", "test")
        }
        assert sum(map(len, families.values())) == len(set.union(*families.values()))
        assert [r["id"] for r in parts["Nepali"]["test"]] == [r["id"] for r in parts["Persian"]["test"]]
        assert len(parts["Nepali"]["tuning"]) == config.tuning_items
        known = miniature.solvers("Nepali", drawn, parts["Nepali"]["tuning"], parts["Nepali"]["test"])
        assert known["lookup"] == known["symmetric"] == known["family"] == 0
    first, second = (miniature.records("Nepali", override(config, {"seed": seed}))["test"] for seed in (0, 1))
    assert {r["id"] for r in first} != {r["id"] for r in second}


def test_the_null_arm_breaks_the_chain_and_nothing_else() -> None:
    config = PRESETS["tiny"]
    right, broken = (data.load_records(override(config, {"shuffled_chains": flag}), "Nepali") for flag in (False, True))
    pairs = list(zip(right["tuning"], broken["tuning"], strict=True))
    assert all((a["instruction"], a["response_xx"]) == (b["instruction"], b["response_xx"]) for a, b in pairs)
    english = {record["instruction_en"]: record["response_en"] for record, _ in pairs}
    assert all(english[record["instruction_en"]] == record["response_en"] for _, record in pairs)
    assert sum(a["instruction_en"] == b["instruction_en"] for a, b in pairs) < len(pairs) / 20
    assert right["test"] == broken["test"]


def test_seeds_that_are_drawn_together_share_no_language() -> None:
    tiny = PRESETS["tiny"]
    for first in (0, 42, 1200):
        drawn = [miniature.targets(override(tiny, {"seed": first + number})) for number in range(6)]
        every = [language for pair in drawn for language in pair]
        assert len(every) == len(set(every)) == 12
        assert set(every) <= set(miniature.POOL) < set(miniature.LANGUAGES)
    assert len({miniature.targets(override(tiny, {"seed": 6 * draw})) for draw in range(20)}) > 10
    assert not {"English", "Khmer"} & set(miniature.POOL)
    named = override(tiny, {"languages": ("Persian", "Nepali"), "seed": 3})
    assert miniature.targets(named) == ("Persian", "Nepali")
    with pytest.raises(UserError, match="no arithmetic in 'Sanskrit'"):
        miniature.targets(override(named, {"languages": ("Sanskrit",)}))


def test_the_vocabulary_is_that_of_the_languages_of_the_seed() -> None:
    config = override(PRESETS["tiny"], {"seed": 42})
    words = miniature.tokenizer_for(config).get_vocab()
    labels = {word for word in words if word.startswith("Response in ")}
    assert labels == {f"Response in {name}:" for name in ("English", *miniature.targets(config))}
    english = {item.id.partition("/")[2]: item for item in arithmetic(("en",), 19)}
    for language in miniature.targets(config):
        for record in miniature.records(language, config)["test"]:
            assert set(record["instruction"].split()) <= set(words)
            same = english[record["id"]]
            assert (record["instruction_en"], record["response_en"]) == (same.prompt, same.answer)


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
    asked, told = (miniature.english_rows(tokenizer, PRESETS["tiny"], 1, "x", asked=flag)[0] for flag in (True, False))
    text = str(tokenizer.decode(asked["input_ids"]))
    assert text.count("Question:") == text.count(tokenizer.eos_token) == 6
    assert text.count(tokenizer.bos_token) == 1
    answers = [answer.split() for answer in re.findall("Answer: (.*?) </s>", text)]
    assert sum(label != -100 for label in asked["labels"]) == sum(len(answer) + 1 for answer in answers)
    statements = str(tokenizer.decode(told["input_ids"]))
    assert "Question:" not in statements
    assert "?" not in statements
    assert statements.count(" is ") == 6


def chain_rows(language: str, chain: Chain = "taco") -> list[method.Row]:
    tokenizer = miniature.tokenizer_for(TINY)
    return [
        method.chain_row(tokenizer, record, chain, TINY.layout, TINY.template)
        for record in miniature.records(language, TINY)["tuning"][:100]
    ]


def test_a_chain_is_about_twice_as_long_as_its_answer() -> None:
    direct, chains = (TINY.training.row_tokens(chain_rows("Persian", name)) for name in CHAINS)
    assert 1.8 < chains / direct < 3


def test_prompt_templates() -> None:
    assert method.render_prompt("alpaca", "फल भन", "रातो") == instructions.alpaca("फल भन", "रातो")
    assert method.render_prompt("plain", "फल भन", "रातो") == "Question: फल भन\nरातो\nAnswer:"


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
    assert report == pytest.approx((5, 0.8, 0.8, 0.8, 0.4, 0.75, 1 / 3, 0.2))
    assert report.all_steps == pytest.approx(0.8 * 0.75 / 3)


@given(st.lists(st.tuples(st.booleans(), st.booleans(), st.booleans(), st.booleans()), min_size=1, max_size=30))
def test_wholly_right_chains_factorise(flags: list[tuple[bool, bool, bool, bool]]) -> None:
    texts = [[text if flag else "no" for text, flag in zip(PARTS.values(), row, strict=False)] for row in flags]
    answers = [TacoAnswer(*three, ok=row[3]) for three, row in zip(texts, flags, strict=True)]
    report = diagnose(answers, [PARTS] * len(answers))
    product = report.instruction_en * report.answer_given_instruction * report.back_given_answer
    assert math.isnan(product) or report.all_steps == pytest.approx(product)
    assert report.all_steps <= report.response_xx <= report.ok


def test_the_whole_chain_is_never_scored_for_the_last_section() -> None:
    """English text that leaks into the score would inflate it."""
    echo = TacoAnswer("i", PARTS["response_xx"], "something else", ok=True)
    assert evaluation.step_scores(echo, PARTS)["response_xx"] == 0
    with pytest.raises(ValueError, match="nothing to score"):
        diagnose([], [])
    with pytest.raises(ValueError, match="1 predictions but 2"):
        diagnose([echo], [PARTS] * 2)
    report = diagnose([right()], [PARTS], "direct", score=lambda hypothesis, reference: 0.5, threshold=0.5)
    assert (report.response_xx, report.all_steps) == (0.5, 1.0)
    assert math.isnan(report.instruction_en)
    assert math.isnan(report.answer_given_instruction)


def test_a_benchmark_is_answered_and_graded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], smoke: Callable[[str], Any]
) -> None:
    """Three outputs: a whole chain, one that answers in English, and one that was cut."""
    model, out = smoke("taco").path / "artifact" / "Nepali", tmp_path / "out"
    asked: list[str] = []

    def write(pipeline: TacoPipeline, questions: list[dict[str, str]]) -> list[str]:
        asked.extend(question["instruction"] for question in questions)
        texts = ("यो नेपाली भाषाको लामो उत्तर हो", "this is an english answer, not a translated one")
        chains = [render_chain({**PARTS, "response_xx": text}, pipeline.lang_name) for text in texts]
        return [*chains, "Instruction in English: cut"]

    monkeypatch.setattr(TacoPipeline, "write", write)
    rows: dict[str, list[dict[str, Any]]] = {
        "questions": [{"question_id": n, "category": "math", "turns": [f"{n}?"]} for n in (1, 2, 3)],
        "translated": [{"question_id": n, "text": f"प्रश्न {n}?"} for n in (1, 2, 3)],
        "judgements": [{"id": n, "judgement": f"[[{grade}]]"} for n, grade in ((1, 9), (2, 2))],
    }
    files = [f"--{name}={write_lines(tmp_path / name, content)}" for name, content in rows.items()]
    use.main(["benchmark", "--model", str(model), *files, "--question-suffix", "छोटो", "--out", str(out)])
    found = dict(line.split() for line in capsys.readouterr().out.splitlines())
    assert found == {"answered": "0.6667", "in_language": "0.5000", "rating_math": "4.0000", "rating_overall": "4.0000"}
    # The judge never sees the English part of a chain, and nothing of one that was cut, which gets the lowest grade.
    requests = (out / "judge_requests-Nepali.jsonl").read_text().splitlines()
    assert [len(requests), sum("Name a fruit" in request for request in requests)] == [2, 0]
    assert asked == [f"प्रश्न {n}? छोटो" for n in (1, 2, 3)]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"base": "x"}, "languages is empty"),
        ({"records": ("r",), "languages": ("Nepali",)}, "need a model"),
        ({"base": "x/y", "curriculum": False, "languages": ("Nepali",)}, "raw_base"),
        ({"chain": "direct", "shuffled_chains": True}, "no English"),
        ({"base": "x", "records": ("a",), "languages": ("Nepali", "Persian")}, "1 files for 2 languages"),
    ],
)
def test_settings_that_mean_nothing_are_refused(changes: dict, message: str) -> None:
    with pytest.raises(UserError, match=message):
        override(Config(), changes)


def test_the_planned_tokens_are_about_those_of_the_rows() -> None:
    tokenizer, stages = miniature.tokenizer_for(TINY), {}
    for settings, asked in ((TINY.english, False), (TINY.instructions, True)):
        rows = miniature.english_rows(tokenizer, TINY, 8, "x", asked=asked)
        stages[settings] = sum(len(row["input_ids"]) for row in rows) / len(rows)
    stages[TINY.training] = sum(TINY.training.row_tokens(chain_rows(language)) for language in TINY.languages)
    wanted = sum(settings.steps * settings.batch_size * tokens for settings, tokens in stages.items())
    assert workload(TINY).tokens == pytest.approx(wanted, rel=0.1)


# --- Runs -------------------------------------------------------------------------------------------------------------


def test_smoke_of_the_baseline_with_adapters(smoke: Callable[[str], Any]) -> None:
    config = override(with_variant(PRESETS["smoke"], VARIANTS, "direct_tokens"), {"adapter": "lora"})
    with runs.temporary("taco", config) as run:
        shared = runs.Run(run.path, "taco", config, smoke("taco").stages, quiet=True)
        train.train(config, shared)
        measured = evaluation.evaluate(config, shared)
        assert len(measured.units["accuracy"]) == len(miniature.records("Nepali", config)["test"])
        assert {"parsed", "english_skill", "fitted", "trivial_family"} <= set(measured.metrics)
        facts = json.loads((run.artifact / "Nepali" / "taco.json").read_text())
        assert facts["steps"] > 1.8 * config.training.steps
        assert (run.artifact / "Nepali" / "adapter_config.json").exists()


def test_the_worked_example(tmp_path: Path, capsys: pytest.CaptureFixture[str], smoke: Callable[[str], Any]) -> None:
    """The page's example: build from two files, train on the result, score outputs, ask the model."""
    for name, code in (("English", "en"), ("Nepali", "ne")):
        rows = [
            {"id": item.id.partition("/")[2], "instruction": item.prompt, "output": item.answer}
            for item in arithmetic((code,), 5)
        ]
        write_lines(tmp_path / f"{name}.jsonl", rows)
    records = tmp_path / "taco-Nepali.jsonl"
    files = ["--english", str(tmp_path / "English.jsonl"), "--translated", str(tmp_path / "Nepali.jsonl")]
    use.main(["build", *files, "--language", "Nepali", "--out", str(records)])
    assert "57 records" in capsys.readouterr().out

    base = next((smoke("taco").stages).glob("english-*")) / "model"  # stands in for an instruction model of the user's
    changes = {"base": str(base), "records": (str(records),), "held_out": 5, "tuning_items": 0}
    config = override(PRESETS["smoke"], changes)
    with runs.temporary("taco", config) as run:
        train.train(config, run)
        assert evaluation.evaluate(config, run).metrics["parsed"] >= 0
        answer = TacoPipeline.load(run.artifact / "Nepali").generate("सात जोड चार कति हुन्छ ?")
        assert not answer.ok

    rows = [{"id": row["id"], "output": row["output"]} for row in instructions.read_records(records, "Nepali")]
    rows[0]["output"] = "Instruction in English: cut"
    capsys.readouterr()
    files = ["--outputs", write_lines(tmp_path / "outputs.jsonl", rows), "--references", str(records)]
    use.main(["score", *files, "--language", "Nepali", "--measure", "exact"])
    report = dict(line.split() for line in capsys.readouterr().out.splitlines())
    assert report["n"] == "57"
    assert float(report["ok"]) == float(report["all_steps"]) == pytest.approx(56 / 57, abs=1e-4)


def test_a_cut_chain_costs_no_other_answer(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], smoke: Callable[[str], Any]
) -> None:
    model = str(smoke("taco").path / "artifact" / "Nepali")
    chains = {"क": render_chain(PARTS, "Nepali"), "ख": "Instruction in English: cut"}
    monkeypatch.setattr(TacoPipeline, "write", lambda self, asked: [chains[row["instruction"]] for row in asked])

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
    with pytest.raises(UserError, match="no taco"):
        TacoPipeline.load(Path(model).parent)


def test_the_python_of_the_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, smoke: Callable[[str], Any]) -> None:
    page = (find("taco").folder / "README.md").read_text(encoding="utf-8")
    blocks = re.findall(r"^```python\n(.*?)^```", page, re.DOTALL | re.MULTILINE)
    assert len(blocks) == 2
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "runs/nepali/artifact/Nepali"
    shutil.copytree(smoke("taco").path / "artifact" / "Nepali", folder)
    for block in blocks:
        exec(compile(block, "README.md", "exec"), {})
