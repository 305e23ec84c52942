"""Samples: rows of every shape, questions as they are asked, translations with a grade."""

from __future__ import annotations

import json
from typing import Any

import pytest

from core.errors import UserError
from core.models.tokenization import train_bpe
from core.tasks import samples, translated
from core.tasks.choices import LETTERS

# One row of each dataset, with that dataset's columns.
MEDMCQA = {
    "id": "m1", "question": "Q?", "opa": "w", "opb": "x", "opc": "y", "opd": "z", "cop": 2, "choice_type": "single",
    "exp": "because", "subject_name": "Anatomy", "topic_name": None,
}  # fmt: skip
MEDMCQA_ARABIC = {"question": "سؤال؟", "opa": "أ", "opb": "ب", "opc": "ج", "opd": "د", "cop": 0}
MEDQA = {
    "question": "Q?", "answer": "y", "options": {"A": "w", "B": "x", "C": "y", "D": "z"}, "meta_info": "step1",
    "answer_idx": "C", "metamap_phrases": ["a"],
}  # fmt: skip
MMLU_ROW = {"question": "Q?", "subject": "anatomy", "choices": ["w", "x", "y", "z"], "answer": 3}
PUBMEDQA = {
    "pubid": 1, "question": "Does it?", "context": {"contexts": ["One.", "Two."], "labels": ["A", "B"], "meshes": []},
    "long_answer": "Yes, it does.", "final_decision": "no",
}  # fmt: skip
CHATDOCTOR = {"instruction": "Answer as a doctor.", "input": "My knee hurts.", "output": "Rest it."}
BOTH = {
    "instruction": "Add", "input": "x", "output": "3", "instruction_zh": "加", "input_zh": "1 2", "output_zh": "三",
}  # fmt: skip
BIMED = {"conversations": [{"from": "human", "value": "سؤال"}, {"from": "gpt", "value": "جواب"}], "language": "ar"}


@pytest.mark.parametrize(
    ("row", "lang", "options", "answer"),
    [
        (MEDMCQA, "en", ["w", "x", "y", "z"], 2),
        (MEDMCQA_ARABIC, "ar", ["أ", "ب", "ج", "د"], 0),
        (MEDQA, "en", ["w", "x", "y", "z"], 2),
        ({**MEDQA, "answer_idx": 1}, "ar", ["w", "x", "y", "z"], 1),
        (MMLU_ROW, "en", ["w", "x", "y", "z"], 3),
        (PUBMEDQA, "en", ["yes", "no", "maybe"], 1),
        ({**PUBMEDQA, "final_decision": "ربما"}, "ar", ["نعم", "لا", "ربما"], 2),
    ],
)
def test_multiple_choice_rows(row: dict[str, Any], lang: str, options: list[str], answer: int) -> None:
    sample = samples.adapt(row, lang)
    assert (sample["task"], sample["options"], sample["answer"]) == ("mcqa", options, answer)
    prompt, reply = (turn["content"] for turn in sample["messages"])
    assert prompt.splitlines()[-1] == samples.REQUEST[lang]
    assert f"{LETTERS[answer]}. {options[answer]}" in prompt.splitlines()
    assert reply == f"{LETTERS[answer]}. {options[answer]}"


def test_pubmedqa_has_its_abstract_in_the_prompt() -> None:
    assert samples.adapt(PUBMEDQA, "en")["messages"][0]["content"].startswith("One. Two.\nDoes it?\nA. yes")


SAID = samples.dialogue("a", "b")


@pytest.mark.parametrize(
    ("row", "lang", "messages"),
    [
        (CHATDOCTOR, "en", samples.dialogue("Answer as a doctor.\nMy knee hurts.", "Rest it.")),
        (BIMED, "ar", samples.dialogue("سؤال", "جواب")),
        ({**BIMED, "conversations": json.dumps(BIMED["conversations"])}, "en", samples.dialogue("سؤال", "جواب")),
        ({"question": "Q?", "answer": "A."}, "en", samples.dialogue("Q?", "A.")),
        ({"prompt": "a", "prompt_id": "7", "messages": SAID}, "en", SAID),
        (
            {"conversations": [{"from": "system", "value": "s", "weight": None}, {"from": "human", "value": "a"},
                               {"from": "gpt", "value": "b"}]},
            "en",
            [{"role": "system", "content": "s"}, *SAID],
        ),
        ({"instruction": "翻译：\n", "input": "", "output": "好"}, "zh", samples.dialogue("翻译：", "好")),
        ({"instruction": "Add", "input": "1 2", "output": " 3"}, "en", samples.dialogue("Add\n1 2", "3")),
        (BOTH, "zh", samples.dialogue("加\n1 2", "三")),
        (BOTH, "en", samples.dialogue("Add\nx", "3")),
        ({**BOTH, "language": "zh"}, "en", samples.dialogue("加\n1 2", "三")),
        ({**BOTH, "input_zh": None}, "zh", samples.dialogue("加", "三")),
    ],
)  # fmt: skip
def test_dialogue_rows(row: dict[str, Any], lang: str, messages: list[dict[str, str]]) -> None:
    assert samples.adapt(row, lang)["messages"] == messages
    assert samples.adapt(row, lang)["lang"] == row.get("language", "")


@pytest.mark.parametrize(
    ("row", "match"),
    [
        ({"question": "a"}, "columns question"),
        ({"instruction": "a", "output": "b", "instruction_zh": "c"}, "columns instruction"),
        ({"conversations": [{"from": "wizard", "value": "x"}]}, "turn by 'wizard'"),
    ],
)
def test_rows_that_make_no_sample(row: dict[str, Any], match: str) -> None:
    with pytest.raises(UserError, match=match):
        samples.adapt(row, "zh")


def test_a_lesson_has_words_of_the_assistant() -> None:
    row = {"messages": [{"role": "user", "content": "a"}, {"role": "model", "content": "b"}]}
    assert samples.lesson(row, "en")["messages"] == samples.dialogue("a", "b")
    for turn in ({"role": "tool", "content": "b"}, {"role": "gpt", "content": " "}, {"role": "gpt", "content": None}):
        with pytest.raises(UserError, match="no answer to learn"):
            samples.lesson({"messages": [row["messages"][0], turn]}, "en")
    with pytest.raises(UserError, match="no answer to learn"):
        samples.lesson({"messages": [*row["messages"], {"role": "user", "content": 5}]}, "en")


def test_the_language_is_what_the_row_says_or_else_what_its_letters_say() -> None:
    said, arabic = samples.adapt(BIMED, "ar"), samples.adapt(MEDMCQA_ARABIC, "ar")
    english, number = samples.adapt(MEDMCQA, "ar"), samples.adapt({"question": "1 + 1", "answer": "2"}, "ar")
    assert [samples.is_in(s, "ar") for s in (said, arabic, english, number)] == [True, True, False, True]
    assert not samples.is_in(said, "en")
    assert not samples.is_in(arabic, "en")


def test_answers_may_be_index_letter_or_text() -> None:
    options = ["القَلب", "الكبد", "A"]
    index = samples.answer_index
    assert index(1, options) == index("1", options) == index("الكبد", options) == 1
    assert index("القلب", options) == 0, "vowel signs do not matter when strings are compared"
    assert index("A", options) == 2, "a text comes before a letter"
    assert index("b", options) == 1
    with pytest.raises(UserError, match="none of the 3 options"):
        index("D", options)


# --- as it is asked -----------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def tokenizer() -> Any:
    found = train_bpe(["What is it? the heart", "ما هو؟ القلب"] * 3, 400, special_tokens=["[INST]", "[/INST]"])
    found.chat_template = samples.CHAT_TEMPLATE
    return found


def test_a_question_is_asked_by_text_or_by_letter(tokenizer: Any) -> None:
    sample = {"id": "1", **samples.multiple_choice("What is it?", ["the liver", "the heart"], 1, "en")}
    bare = samples.question(tokenizer, sample)
    assert (bare.context, bare.choices) == ("<s>[INST] What is it? [/INST]", (" the liver", " the heart"))
    lettered = samples.question(tokenizer, sample, letters=True)
    assert lettered.choices == (" A", " B")
    assert "A. the liver\nB. the heart" in lettered.context
    assert (bare.answer, lettered.texts) == (1, ("the liver", "the heart"))


def test_the_header_of_a_template_belongs_to_the_prompt(tokenizer: Any) -> None:
    tokenizer = type(tokenizer)(tokenizer_object=tokenizer._tokenizer)
    tokenizer.chat_template = (
        "{% for m in messages %}<{{ m['role'] }}>{{ m['content'] }}\n{% endfor %}"
        "{% if add_generation_prompt %}<assistant>{% endif %}"
    )
    sample = {"id": "1", **samples.multiple_choice("Q?", ["wheezing", "a rash"], 0, "en")}
    assert samples.question(tokenizer, sample).context == "<user>Q?\n<assistant>"
    assert samples.question(tokenizer, sample).choices == ("wheezing", "a rash")


# --- translations -------------------------------------------------------------------------------------------------


def scripted(*attempts: str) -> tuple[Any, Any, Any, list[tuple[str, ...]]]:
    """A translator with a list of attempts, graded by their length, and what it was told."""
    left, heard = list(attempts), []

    def translate(text: str) -> str:
        return left.pop(0)

    def refine(*told: str) -> str:
        heard.append(told)
        return left.pop(0)

    return translate, lambda text, translation: (10.0 * len(translation), f"short: {translation}"), refine, heard


def test_refining_stops_at_the_threshold() -> None:
    translate, grade, refine, heard = scripted("one", "four", "eight888", "never")
    found = translated.translate_text("x", translate, grade, refine, threshold=80)
    assert heard == [("x", "one", "short: one"), ("x", "four", "short: four")]
    assert (found.text, found.score, len(found.rounds)) == ("eight888", 80, 3)


def test_the_best_attempt_goes_on_and_the_doubtful_to_a_person() -> None:
    sample = {"id": "1", "lang": "en", "messages": samples.dialogue("Hello")}
    accepted, review = translated.translate_samples([sample], "ar", *scripted("12345", "123", "1234")[:3], audit=0)
    assert not accepted
    assert (review[0]["messages"][0]["content"], review[0]["score"], review[0]["review"]) == ("12345", 50, "score")
    json.dumps(review)


def test_questions_are_translated_with_their_options_and_some_are_audited() -> None:
    lexicon = {"Q?": "س؟", "the heart": "القلب", "the liver": "الكبد"}
    sample = {"id": "1", "lang": "en", **samples.multiple_choice("Q?", ["the heart", "the liver"], 1, "en")}
    rate = iter([80.0, 95.0, 90.0] * 1000)
    accepted, review = translated.translate_samples(
        [sample] * 1000, "ar", lexicon.__getitem__, lambda *_: (next(rate), ""), audit=0.05, seed=1
    )
    assert accepted[0]["messages"][1]["content"] == "B. الكبد"
    assert (accepted[0]["lang"], accepted[0]["score"], accepted[0]["translated"]) == ("ar", 80, True)
    assert 30 <= len(review) <= 70
    assert {one["review"] for one in review} == {"audit"}


def test_settings_and_grades_out_of_range_are_refused() -> None:
    with pytest.raises(UserError, match="threshold"):
        translated.translate_text("x", str, lambda *_: (0.0, ""), threshold=120)
    with pytest.raises(UserError, match="graded 101"):
        translated.translate_text("x", str, lambda *_: (101.0, ""))
    with pytest.raises(UserError, match="audit"):
        translated.translate_samples([], "ar", str, lambda *_: (0.0, ""), audit=2)


def test_a_prompted_model_translates_and_grades() -> None:
    answers = iter(["ترجمة", "Grade: 85.5. The dose is missing.", "no idea"])
    model = translated.PromptedModel(lambda prompt: next(answers))
    assert model.translate("Text") == "ترجمة"
    assert model.grade("Text", "ترجمة") == (85.5, "Grade: 85.5. The dose is missing.")
    assert model.grade("Text", "ترجمة")[0] == 0
