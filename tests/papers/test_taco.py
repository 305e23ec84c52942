"""taco: chains and their parsing, the paper's numbers, step-wise scores, records from the user's files, smoke."""

from __future__ import annotations

import io
import json
import math
import re
import shutil
import zipfile
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st
from transformers import LlamaConfig

from core.errors import UserError
from core.experiment import run as runs
from core.experiment.config import override, with_variant
from core.experiment.paper import find
from core.models.tokenization import train_bpe
from papers.taco import (
    TacoAnswer,
    aggregate,
    build_taco_records,
    data,
    diagnose,
    judging,
    keep_code,
    method,
    parse_chain,
    parse_rating,
    pipeline,
    render_chain,
    round_trip_scores,
    train,
    translate_rows,
    use,
)
from papers.taco import eval as evaluation
from papers.taco.config import PRESETS, VARIANTS, Config, workload

PARTS = {"instruction_en": "Name a fruit.", "response_en": "An apple.", "response_xx": "Ekapple re."}
# The released ratings (facts, not text): numbers by category, in the order of the items.
CATEGORIES = (
    "coding", "common-sense", "counterfactual", "fermi", "generic", "knowledge", "math", "roleplay", "writing"
)  # fmt: skip
RATINGS = {
    "Nepali": (
        "1 4 7 2 1 1 6",  # coding
        "9 10 9 8 10 9 9 8 5 8.5",  # common-sense
        "9 9 9 9 10 8 9 9 9 8",  # counterfactual
        "9 1 8 10 9 8 9 8 7 8",  # fermi
        "9 8 9 9 9 9 10 9 9 9",  # generic
        "9 10 9 10 10 10 10 10 8.5 9",  # knowledge
        "10 9 10",  # math
        "9 9 8 9 10 10 7 7 8.5 6",  # roleplay
        "9 10 10 9 7 10 8 8 9 8",  # writing
    ),
    "Sanskrit": (
        "10 10 8 3 9 5 3",  # coding
        "7 8 10 9 9 8 8 10 7 7",  # common-sense
        "9 9 1 8 9 10 10 10 8 9",  # counterfactual
        "8 2 8 8 9 9 8 9 9 7",  # fermi
        "8 8.3 10 9 9 10 10 8 9 10",  # generic
        "10 9 9 10 10 9 9.2 9 10 9",  # knowledge
        "3 1 6",  # math
        "7 9 9 8.5 8.5 10 9 9 10 9",  # roleplay
        "8.5 10 10 9 9 10 9 8 8 8",  # writing
    ),
    "Persian": (
        "6 9 8.8 9 9 4 9.5",  # coding
        "7 9 10 8.5 9 9 6 10 9 8.5",  # common-sense
        "9 8 9 7 9 8.5 8.5 8.6 8 9",  # counterfactual
        "1 8 9 9 10 10 8 9 10 8",  # fermi
        "9 9 9 7 9 9 9 9 10 10",  # generic
        "10 10 9 9 8 9 9 8.5 10 10",  # knowledge
        "10 1 8",  # math
        "8 8 8 9 9 9 8 9 9 9",  # roleplay
        "8 10 9 10 10 9 8 7 7.5 8",  # writing
    ),
    "Maithili": (
        "8 7 9 5 10 7 9",  # coding
        "7 3 10 8 9 10 9 8 9 5",  # common-sense
        "8 8 8 8 9 6 10 10 8 8",  # counterfactual
        "9 3 3 9 9 9 7 9 8 9",  # fermi
        "8 9 10 9 9 10 10 9 10 9",  # generic
        "9 9 9 9 9 6 10 9 9 9",  # knowledge
        "10 1 10",  # math
        "2 2 10 9 10 9 9 10 8 9",  # roleplay
        "9 9 9 9 9 10 10 10 10 8",  # writing
    ),
}
# The README table of the official repository: one column per language, the overall average last.
TABLE = {
    "Nepali": (3.14, 8.55, 8.90, 7.70, 9.00, 9.55, 9.67, 8.35, 8.80, 8.24),
    "Sanskrit": (6.86, 8.30, 8.30, 7.70, 9.13, 9.42, 3.33, 8.90, 8.95, 8.31),
    "Persian": (7.90, 8.60, 8.46, 8.20, 9.00, 9.25, 6.33, 8.60, 8.65, 8.52),
    "Maithili": (7.86, 7.80, 8.30, 7.50, 9.30, 8.80, 7.00, 7.80, 9.30, 8.30),
}


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


@given(st.text(alphabet="ab \nसर", max_size=60), st.integers(1, 7), st.booleans())
def test_the_stream_shows_the_last_section_alone(final: str, size: int, whole: bool) -> None:
    text = render_chain({**PARTS, "response_xx": final}, "Nepali") if whole else f"Response in English: {final}"
    pieces = [text[start : start + size] for start in range(0, len(text), size)]
    shown = "".join(pipeline.final_section(pieces, "Nepali"))
    assert shown.rstrip() == (parse_chain(text, "Nepali").response_xx or "")
    assert "English" not in shown


def test_the_stream_of_a_direct_model_is_its_output() -> None:
    assert "".join(pipeline.final_section([" a", "b", " c"], "Nepali", "direct")) == "ab c"


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_stream_ends_when_generation_fails() -> None:
    class Failing:
        device = torch.device("cpu")
        config = LlamaConfig()

        def generate(self, **options: Any) -> None:
            raise RuntimeError("out of memory")

    broken: Any = Failing()
    assert list(pipeline.TacoPipeline(broken, train_bpe(["a b"], 259), "Nepali").stream("a")) == []


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


def test_records_refuse_what_cannot_be_joined() -> None:
    with pytest.raises(UserError, match="has no `id`"):
        build_taco_records([{"instruction": "a", "output": "b"}], NEPALI, "Nepali")
    with pytest.raises(UserError, match="'b' stands twice"):
        build_taco_records([ENGLISH[1]] * 2, NEPALI, "Nepali")
    with pytest.raises(UserError, match="English row a has no text in the column 'output'"):
        build_taco_records([{"id": "a", "instruction": "x"}], NEPALI, "Nepali")


def test_a_translator_sees_every_text_once() -> None:
    seen: list[str] = []

    def translate(texts: list[str]) -> list[str]:
        seen.extend(texts)
        return [f"<{text}>" for text in texts]

    rows = translate_rows([*ENGLISH[:2], ENGLISH[1]], translate)
    assert len(seen) == len(set(seen)) == 5
    assert rows[0] == {
        "id": "a",
        "instruction": "<Translate it.>",
        "input": "<A cat.>",
        "output": "<A cat, said otherwise.>",
    }
    assert rows[1]["input"] == ""
    with pytest.raises(UserError, match="returned 0 texts for 5"):
        translate_rows(ENGLISH[:2], lambda texts: [])


def test_a_translation_into_another_language_is_refused() -> None:
    data.check_language(NEPALI, ENGLISH, "Nepali")
    with pytest.raises(UserError, match="script of Persian"):
        data.check_language(NEPALI[:2] + NEPALI[3:], ENGLISH, "Persian")
    long = [{"output": f"{number} is an English sentence of some length."} for number in range(5)]
    with pytest.raises(UserError, match="5 of 5 outputs are the English ones"):
        data.check_language(long, long, "Nepali")


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


def test_the_split_is_the_same_for_every_seed_but_for_the_tuning_records() -> None:
    config = PRESETS["tiny"]
    records = data.load_records(config, "Nepali")
    assert len(records) == 610
    first, second = (data.split_records(records, override(config, {"seed": seed})) for seed in (0, 1))
    assert first.test == second.test
    assert first.development == second.development
    assert first.tuning != second.tuning
    groups = [{record["id"] for record in group} for group in (first.tuning, first.development, first.test)]
    more = data.split_records(records, override(config, {"tuning_items": 360}))
    assert not {record["id"] for record in more.tuning} & (groups[1] | groups[2])
    assert [len(group) for group in groups] == [240, 100, 150]
    assert len(set.union(*groups)) == 490
    # The same facts are held out in every language.
    persian = data.split_records(data.load_records(config, "Persian"), config)
    assert [r["id"] for r in persian.test] == [r["id"] for r in first.test]
    with pytest.raises(UserError, match="610 records are fewer"):
        data.split_records(records, override(config, {"tuning_items": 361}))


def test_number_facts_are_right_and_spelled_out() -> None:
    english, nepali = data.number_rows("English", 19), data.number_rows("Nepali", 19)
    assert len(english) == 20 * 20 + 20 * 21 // 2
    facts = {row["id"]: row for row in english}
    assert facts["plus-7-4"] == {
        "id": "plus-7-4",
        "instruction": "what is seven plus four ?",
        "input": "",
        "output": "eleven",
    }
    assert facts["minus-7-4"]["output"] == "three"
    assert facts["plus-19-19"]["output"] == "thirty-eight"
    assert {row["id"]: row["output"] for row in nepali}["plus-7-4"] == "एघार"
    assert not any(character.isdigit() for row in english + nepali for character in row["instruction"] + row["output"])


# --- Prompts and token rows -------------------------------------------------------------------------------------------


def test_prompt_templates() -> None:
    alpaca = data.render_prompt("alpaca", "फल भन", "रातो")
    assert alpaca.endswith("### Instruction:\nफल भन\n\n### Input:\nरातो\n\n### Response:\n")
    assert "paired with an input" in alpaca
    assert "Input" not in data.render_prompt("alpaca", "फल भन")
    assert data.render_prompt("guanaco", "फल भन") == "### Human: फल भन ### Assistant:"
    assert data.render_prompt("plain", "फल भन", suffix="छोटो") == "Question: फल भन छोटो\nAnswer:"


def test_the_loss_is_on_the_output_and_weighted_by_part() -> None:
    config = override(PRESETS["tiny"], {"segment_weights": (0.5, 2.0, 3.0)})
    tokenizer = data.number_tokenizer(19)
    record = data.load_records(config, "Nepali")[0]
    row = data.chain_row(tokenizer, record, config, "taco")
    assert len(row["input_ids"]) == len(row["labels"]) == len(row["weights"])
    prompt = row["labels"].count(-100)
    assert str(tokenizer.decode(row["input_ids"][:prompt])).endswith("Answer:")
    assert row["labels"][prompt:] == row["input_ids"][prompt:]
    assert row["input_ids"][-1] == tokenizer.eos_token_id
    by_label = {}
    for token, weight in zip(row["input_ids"], row["weights"], strict=True):
        by_label[tokenizer.decode([token])] = weight
    assert by_label["Instruction in English:"] == 0.5
    assert by_label["Response in English:"] == 2.0
    assert by_label["Response in Nepali:"] == by_label[tokenizer.eos_token] == 3.0
    unmasked = data.chain_row(tokenizer, record, override(config, {"mask_prompt": False}), "taco")
    assert unmasked["labels"] == unmasked["input_ids"]


def test_segment_weights_cannot_change_the_tokens() -> None:
    segments = method.chain_segments(PARTS, "Nepali", layout="official")
    tokenizer = train_bpe(segments * 3, 300)
    weights = method.segment_token_weights(tokenizer, segments, (1.0, 2.0, 4.0))
    ids = tokenizer("".join(segments), add_special_tokens=False)["input_ids"]
    assert len(weights) == len(ids) + 1
    assert weights == sorted(weights)
    assert sum(weight == 4.0 for weight in weights[:-1]) == len(
        tokenizer(segments[-1], add_special_tokens=False)["input_ids"]
    )


def test_weighted_loss_equals_the_mean_for_equal_weights_and_has_the_right_gradient() -> None:
    torch.manual_seed(0)
    logits = torch.randn(2, 4, 7, dtype=torch.float64, requires_grad=True)
    targets = torch.tensor([[1, 2, -100, 3], [-100, 6, 0, -100]])
    total, count = method.weighted_loss(logits, targets, torch.ones(2, 4))
    plain = torch.nn.functional.cross_entropy(logits.flatten(0, 1), targets.flatten())
    assert torch.allclose(total / count, plain.float())
    doubled, twice = method.weighted_loss(logits, targets, torch.full((2, 4), 2.0))
    assert torch.allclose(doubled / twice, total / count)
    weights = torch.tensor([[1.0, 0.0, 5.0, 2.0], [9.0, 0.0, 1.0, 9.0]])
    (gradient,) = torch.autograd.grad(method.weighted_loss(logits, targets, weights)[0], logits)
    expected = (logits.detach().softmax(-1) - torch.nn.functional.one_hot(targets.clamp(min=0), 7)) * weights[..., None]
    expected[targets == -100] = 0
    assert torch.allclose(gradient, expected, atol=1e-6)


def test_too_long_rows_are_dropped_and_counted() -> None:
    rows = [{"input_ids": [0] * length} for length in (3, 5, 9, 4)]
    kept, share = data.fitting(rows, 5)
    assert [len(row["input_ids"]) for row in kept] == [3, 5, 4]
    assert share == 0.25


def test_english_rows_hold_questions_that_see_each_other() -> None:
    config = PRESETS["tiny"]
    tokenizer = data.number_tokenizer(19)
    records = data.load_records(config, "Nepali")
    row = data.english_rows(tokenizer, records, config, 1, "x")[0]
    text = tokenizer.decode(row["input_ids"])
    assert text.count("Question:") == text.count(tokenizer.eos_token) == config.packed_questions
    assert text.count(tokenizer.bos_token) == 1
    labelled = [token for token in row["labels"] if token != -100]
    assert len(labelled) == 2 * config.packed_questions
    assert not any("ऀ" <= character <= "ॿ" for character in text)


def test_the_token_budget_gives_direct_as_many_tokens_as_taco() -> None:
    config = with_variant(PRESETS["tiny"], VARIANTS, "direct_tokens")
    tokenizer = data.number_tokenizer(19)
    stage, chains = (
        train.stage_rows(tokenizer, ["Nepali"], with_variant(config, VARIANTS, name)) for name in ("direct", "taco")
    )
    assert stage.dropped == chains.dropped == 0
    assert stage.chain_tokens == chains.tokens == chains.chain_tokens
    assert 1.8 < chains.tokens / stage.tokens < 3


def test_english_rows_have_their_share_of_stage_2() -> None:
    config = with_variant(PRESETS["tiny"], VARIANTS, "taco_mixed")
    tokenizer = data.number_tokenizer(19)
    rows = train.stage_rows(tokenizer, ["Nepali"], config).rows
    label = tokenizer.convert_tokens_to_ids("Response in Nepali:")
    english = [row for row in rows if label not in row["input_ids"]]
    assert len(english) / len(rows) == pytest.approx(config.english_share)
    assert {row["input_ids"].count(tokenizer.eos_token_id) for row in english} == {config.packed_questions}


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
    assert method.step_scores(echo, PARTS)["response_xx"] == 0
    with pytest.raises(ValueError, match="equally many"):
        diagnose([], [])


def test_graded_scores_and_missing_parts() -> None:
    report = diagnose([right()], [PARTS], "direct", score=lambda hypothesis, reference: 0.5, threshold=0.5)
    assert report.response_xx == 0.5
    assert report.all_steps == 1.0
    assert math.isnan(report.instruction_en)
    assert math.isnan(report.answer_given_instruction)


# --- The paper's evaluation -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("language", TABLE)
def test_the_released_ratings_give_the_released_table(language: str) -> None:
    ratings = [
        (category, rating)
        for category, values in zip(CATEGORIES, RATINGS[language], strict=True)
        for rating in values.split()
    ]
    assert len(ratings) == 80
    means = aggregate(ratings)
    for name, reported in zip([*CATEGORIES, "overall"], TABLE[language], strict=True):
        assert means[name] == pytest.approx(reported, abs=0.005 + 1e-9), name


def test_the_overall_average_is_over_items_not_over_categories() -> None:
    means = aggregate(
        (category, rating)
        for category, values in zip(CATEGORIES, RATINGS["Nepali"], strict=True)
        for rating in values.split()
    )
    assert means["overall"] == pytest.approx(8.24375)
    assert sum(means[category] for category in CATEGORIES) / 9 == pytest.approx(8.184, abs=5e-4)
    with pytest.raises(ValueError, match="no rating"):
        aggregate([])


@pytest.mark.parametrize(
    ("judgement", "rating"),
    [
        ("Good. Rating: [[8.5]]", 8.5),
        ('The rating is as follows: "[[9.8]]".', 9.8),
        ("First [[3]], on reflection Rating:[[ 7 ]]", 7.0),
        ("Rating: [9]", None),
        ("8", None),
        ("Rating: [[high]]", None),
    ],
)
def test_the_last_bracketed_verdict_counts(judgement: str, rating: float | None) -> None:
    assert parse_rating(judgement) == rating


def test_stored_ratings_and_the_text_of_the_judge_are_two_fields(tmp_path: Path) -> None:
    """The released columns; three of the four files hold strings, and some ratings differ from the text."""
    columns = {"id": 1, "question": "q", "answer": "a", "got_rating": True, "turns": ["q"]}
    rows = [
        {**columns, "category": "math", "rating_in_number": "10", "judgement": "Rating: [[9.5]]"},
        {**columns, "category": "math", "rating_in_number": 4, "judgement": "no verdict"},
    ]
    path = tmp_path / "released.json"
    path.write_text(json.dumps(rows))
    stored, parsed = judging.released_ratings(path)
    assert stored == {"math": 7.0, "overall": 7.0}
    assert parsed == {"math": 9.5, "overall": 9.5}
    path.write_text("[1]")
    with pytest.raises(UserError, match="no JSON list of judgements"):
        judging.released_ratings(path)


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


def sheet(path: Path, rows: list[tuple[str, str]]) -> Path:
    cells = "".join(
        f'<row><c t="{"n" if number else "inlineStr"}">'
        + (f"<v>{key}</v>" if number else f"<is><t>{key}</t></is>")
        + f'</c><c t="inlineStr"><is><t> {text}</t></is></c></row>'
        for number, (key, text) in enumerate(rows)
    )
    namespace = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(
            "xl/worksheets/sheet1.xml", f'<worksheet xmlns="{namespace}"><sheetData>{cells}</sheetData></worksheet>'
        )
    return path


def test_a_benchmark_joins_questions_and_translations(tmp_path: Path) -> None:
    english = tmp_path / "vicuna.jsonl"
    rows = [{"question_id": n, "category": "math", "turns": [f"Question {n}?"]} for n in (1, 2)]
    english.write_text("".join(json.dumps(row) + "\n" for row in rows))
    book = sheet(tmp_path / "Nepali.xlsx", [("प्रश्न", "पाठ"), ("1", "प्रश्न एक?"), ("2", "प्रश्न दुई?")])
    questions = judging.benchmark(str(english), str(book))
    assert questions[1] == {"id": "2", "category": "math", "english": "Question 2?", "instruction": "प्रश्न दुई?"}
    translated = tmp_path / "ne.jsonl"
    translated.write_text(json.dumps({"question_id": 1, "text": "प्रश्न एक?"}) + "\n")
    with pytest.raises(UserError, match="no translation of question 2"):
        judging.benchmark(str(english), str(translated))
    with pytest.raises(UserError, match="not a spreadsheet"):
        judging.read_sheet(english)


def test_a_benchmark_is_answered_and_graded_on_the_last_section(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Three outputs: a whole chain, one that answers in English, and one that was cut."""
    answer = "यो नेपाली भाषाको लामो उत्तर हो"
    outputs = [
        render_chain({**PARTS, "response_xx": text}, "Nepali")
        for text in (answer, "this is an english answer, not a nepali one")
    ]
    outputs.append("Instruction in English: cut")
    asked: list[tuple[str, str]] = []

    def answer_all(model: object, tokenizer: object, pairs: list[tuple[str, str]], config: Config) -> list[str]:
        asked.extend(pairs)
        return outputs

    monkeypatch.setattr(evaluation, "answer_all", answer_all)
    files = {name: tmp_path / f"{name}.jsonl" for name in ("questions", "translated_questions", "judgements")}
    rows: dict[str, list[dict[str, Any]]] = {
        "questions": [{"question_id": n, "category": "math", "turns": [f"Question {n}?"]} for n in (1, 2, 3)],
        "translated_questions": [{"question_id": n, "text": f"प्रश्न {n}?"} for n in (1, 2, 3)],
        "judgements": [{"id": 1, "judgement": "Rating: [[9]]"}, {"id": 2, "judgement": "Rating: [[2]]"}],
    }
    for name, lines in rows.items():
        files[name].write_text("".join(json.dumps(line) + "\n" for line in lines))
    config = override(PRESETS["smoke"], {name: str(path) for name, path in files.items()})
    nothing: Any = None
    with runs.temporary("taco", config) as run:
        metrics = evaluation.benchmark(nothing, nothing, "Nepali", config, run)
        requests = (run.path / "judge_requests-Nepali.jsonl").read_text().splitlines()
        answers = [json.loads(line) for line in (run.path / "answers-Nepali.jsonl").read_text().splitlines()]
    assert asked == [(f"प्रश्न {n}?", "") for n in (1, 2, 3)]
    assert metrics["benchmark_parsed"] == pytest.approx(2 / 3)
    assert metrics["benchmark_in_language"] == 0.5
    assert metrics["rating_overall"] == (9 + 2 + 1) / 3
    assert [row["answer"] for row in answers][::2] == [answer, ""]
    # The judge never sees the English part of a chain, and nothing of one that was cut.
    assert len(requests) == 2
    assert not any("Name a fruit" in request for request in requests)


def test_ratings_of_a_benchmark(tmp_path: Path) -> None:
    replies = tmp_path / "replies.jsonl"
    rows = [{"id": 1, "judgement": "Rating: [[8]]"}, {"id": 2, "judgement": "none"}, {"id": 3, "judgement": "[[9]]"}]
    replies.write_text("".join(json.dumps(row) + "\n" for row in rows))
    items = [{"id": "1", "category": "math", "answer": "x"}, {"id": "3", "category": "math", "answer": ""}]
    # An item without an answer gets the lowest grade.
    assert judging.ratings(items, str(replies)) == [("math", 8.0), ("math", 1.0)]
    with pytest.raises(UserError, match="no verdict"):
        judging.ratings([{"id": "2", "category": "math", "answer": "x"}], str(replies))
    request = judging.judge_request("q", "a", "7", "gpt-4")
    assert request["custom_id"] == "7"
    assert request["body"]["model"] == "gpt-4"
    assert parse_rating(request["body"]["messages"][0]["content"]) is None


# --- Configuration ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"languages": ()}, "languages is empty"),
        ({"source": "files"}, "records names 0 files"),
        ({"source": "hub"}, "needs a model"),
        ({"segment_weights": (0.0, 0.0, 0.0)}, "segment_weights"),
        ({"training.long_documents": "truncate"}, "long_documents"),
        ({"base": "x/y", "curriculum": False}, "raw_base"),
        ({"questions": "q.jsonl"}, "belong together"),
    ],
)
def test_settings_that_mean_nothing_are_refused(changes: dict, message: str) -> None:
    with pytest.raises(UserError, match=message):
        override(Config(), changes)


def test_the_planned_tokens_are_those_of_the_rows() -> None:
    config = PRESETS["tiny"]
    tokenizer = data.number_tokenizer(config.largest)
    chains = train.stage_rows(tokenizer, ["Nepali"], config)
    english = data.english_rows(tokenizer, data.load_records(config, "Nepali"), config, 1, "x")[0]
    first, second = workload(config)
    assert first.tokens == config.english.steps * config.english.batch_size * len(english["input_ids"])
    assert second.tokens == 2 * config.training.steps * config.training.batch_size * chains.tokens


# --- Runs -------------------------------------------------------------------------------------------------------------


def smoke(variant: str, **changes: object) -> Config:
    return override(with_variant(PRESETS["smoke"], VARIANTS, variant), changes)


@pytest.mark.parametrize(
    "config",
    [
        smoke("taco", segment_weights=(1.0, 2.0, 1.0)),
        smoke("en_only"),
        smoke("taco_mixed", adapter="lora", lora_rank=4),
        smoke("joint", languages=("Nepali", "Persian")),
        smoke("no_curriculum"),
        smoke("direct_tokens"),
        smoke("no_instruction_en", mask_prompt=False),
        smoke("no_response_en"),
    ],
    ids=["weights", "en_only", "lora", "joint", "no_curriculum", "tokens", "no_instruction_en", "no_response_en"],
)
def test_smoke(config: Config) -> None:
    with runs.temporary("taco", config) as run:
        train.train(config, run)
        measured = evaluation.evaluate(config, run)
        assert measured.metrics["accuracy"] == pytest.approx(
            sum(measured.units["accuracy"].values()) / len(measured.units["accuracy"])
        )
        assert len(measured.units["accuracy"]) == config.test_items * len(config.languages)
        assert {"twice_accuracy", "all_steps"} <= set(measured.units)
        assert {"parsed", "english_skill"} <= set(measured.metrics)
        folder = run.artifact / train.folder_name(config, config.languages[0])
        facts = json.loads((folder / "taco.json").read_text())
        assert facts["languages"] == (list(config.languages) if config.joint else [config.languages[0]])
        if config.budget == "tokens":
            assert facts["steps"] > 1.8 * config.training.steps
        assert (folder / ("adapter_config.json" if config.adapter == "lora" else "model.safetensors")).exists()


def test_weighted_training_with_equal_weights_is_plain_training() -> None:
    """The collate and loss of `segment_weights` give the numbers of the default path."""
    from core.training.fit import fit

    config = smoke("taco")
    losses = []
    for options in (False, True):
        with runs.temporary("taco", config) as run:
            from core.models import loading

            model, tokenizer = loading.load(train.starting_point(config, run), dtype="float32")
            rows = train.stage_rows(tokenizer, ["Nepali"], config).rows
            extra = {"collate": train.padded(tokenizer), "loss_fn": train.weighted_loss} if options else {}
            losses.append(fit(model, rows, config.training, run, seed=0, **extra).losses)
    assert losses[0] == pytest.approx(losses[1], rel=1e-4)


def test_the_worked_example(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The page's example: build from two files, train on the result, score outputs, ask the model."""
    language_rows = {name: data.number_rows(name, 5) for name in ("English", "Nepali")}
    for name, rows in language_rows.items():
        (tmp_path / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    records = tmp_path / "taco-Nepali.jsonl"
    files = ["--english", str(tmp_path / "English.jsonl"), "--translated", str(tmp_path / "Nepali.jsonl")]
    use.main(["build", *files, "--language", "Nepali", "--out", str(records)])
    assert "57 records" in capsys.readouterr().out

    with runs.temporary("taco", PRESETS["smoke"]) as run:
        english = train.starting_point(PRESETS["smoke"], run)  # stands in for an instruction model of the user's
        config = smoke("taco", base=english, records=(str(records),), source="files")
        train.train(config, run)
        assert evaluation.evaluate(config, run).metrics["parsed"] >= 0
        folder = run.artifact / "Nepali"
        capsys.readouterr()
        use.main(["ask", "--model", str(folder), "--prompt", "सात जोड चार कति हुन्छ ?", "--show-chain"])
        assert set(json.loads(capsys.readouterr().out)) == {"instruction_en", "response_en", "response_xx", "ok"}
        monkeypatch.setattr("sys.stdin", io.StringIO("सात जोड चार कति हुन्छ ?\nएक जोड एक कति हुन्छ ?\n"))
        use.main(["ask", "--model", str(folder), "--show-chain"])
        assert len(capsys.readouterr().out.splitlines()) == 2

    outputs = tmp_path / "outputs.jsonl"
    rows = [{"id": row["id"], "output": row["output"]} for row in data.file_records(str(records), "Nepali")]
    rows[0]["output"] = "Instruction in English: cut"
    outputs.write_text("".join(json.dumps(row) + "\n" for row in rows))
    use.main(
        ["score", "--outputs", str(outputs), "--references", str(records), "--language", "Nepali", "--measure", "exact"]
    )
    shown = dict(line.split() for line in capsys.readouterr().out.splitlines())
    assert shown["n"] == "57"
    assert float(shown["ok"]) == float(shown["all_steps"]) == pytest.approx(56 / 57, abs=1e-4)


def test_the_python_of_the_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page = (find("taco").folder / "README.md").read_text(encoding="utf-8")
    blocks = re.findall(r"^```python\n(.*?)^```", page, re.DOTALL | re.MULTILINE)
    assert len(blocks) == 2
    monkeypatch.chdir(tmp_path)
    with runs.temporary("taco", PRESETS["smoke"]) as run:
        train.train(PRESETS["smoke"], run)
        shutil.copytree(run.artifact / "Nepali", tmp_path / "runs/taco/tiny/taco/seed0/artifact/Nepali")
    for block in blocks:
        exec(compile(block, "README.md", "exec"), {})


def test_mistakes_are_one_sentence_and_code_2(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        use.main(["build", "--english", "missing.jsonl", "--translated", "x", "--language", "Nepali", "--out", "y"])
    assert stop.value.code == 2
    assert "missing.jsonl" in capsys.readouterr().err
    rows = tmp_path / "en.jsonl"
    rows.write_text(json.dumps(ENGLISH[1]) + "\n")
    for translator, message in (("", "Give either"), (str(tmp_path / "none"), "there is no model folder")):
        with pytest.raises(SystemExit):
            use.main(["build", "--english", str(rows), "--translator", translator, "--language", "Nepali"])
        assert message in capsys.readouterr().err
    with pytest.raises(SystemExit):
        use.main(["ask", "--model", str(tmp_path), "--prompt", "x"])
    assert "taco.json" in capsys.readouterr().err
