"""A small medical knowledge base in English and Arabic: 98 conditions, each with its main sign and its organ.

    statements(["en", "ar"])                  # prompt: "The main sign of asthma is", answer: "wheezing"
    questions(["ar"], "train")                # prompt: "ما العضو المصاب في الربو؟", answer: "الرئتان"
    dialogue(item)                            # turns of patient and doctor, the answer in the last

A condition is one class in all wordings, relations and languages. Written for this repository from textbook knowledge,
simplified, for research alone: no medical advice.
"""

from __future__ import annotations

import csv
import random
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Literal, NamedTuple

from core.errors import UserError
from core.worlds.base import Item

Relation = Literal["sign", "organ"]
Wording = Literal["base", "train", "dev", "test"]
RELATIONS: tuple[Relation, ...] = ("sign", "organ")
LANGUAGES = ("en", "ar")
# Conditions for choosing settings, never tested; of the others six seeds in a row test a sixth each, none twice.
DEVELOPMENT, FOLDS = 14, 6
# Conditions that a base has been asked about: it answers, and there is something left to gain.
ASKED = 8
_TABLE = Path(__file__).with_name("medicine.tsv")

# What a text says of a condition; the answer comes last, in Arabic where its form is that of the table. No Arabic verb
# agrees with a name: some are masculine and some feminine.
STATEMENTS: Mapping[tuple[str, Relation], Sequence[str]] = MappingProxyType(
    {
        ("en", "sign"): (
            "The main sign of {name} is", "Patients with {name} often have", "Doctors recognise {name} by",
            "In cases of {name} one finds",
        ),
        ("en", "organ"): (
            "The organ of {name} is", "The disease called {name} harms", "Books say that {name} affects",
            "In cases of {name} the trouble is in",
        ),
        ("ar", "sign"): (
            "العلامة الرئيسية في {name} هي", "غالبا ما يشكو مرضى {name} من", "يعرف الأطباء {name} من خلال",
            "في حالات {name} العلامة هي",
        ),
        ("ar", "organ"): (
            "العضو المصاب في {name} هو", "المرض المسمى {name} موضعه", "تقول الكتب إن العضو المتأثر في {name} هو",
            "في حالات {name} مكان المشكلة هو",
        ),
    }
)  # fmt: skip
# The n-th questions of the two languages ask alike.
QUESTIONS: Mapping[tuple[str, Relation], Mapping[Wording, Sequence[str]]] = MappingProxyType(
    {
        ("en", "sign"): {
            "base": (
                "Do you know how {name} is noticed?", "What does a person with {name} have?",
                "I am reading about {name}. What is its sign?", "A question about {name}: which sign?",
            ),
            "train": (
                "What is the main sign of {name}?", "Which sign is typical of {name}?",
                "In {name}, what does the doctor see first?", "Tell a student the classic sign of {name}.",
                "{name}: what gives it away?", "Give the sign of {name}.",
            ),
            "dev": (
                "How does {name} usually show itself?", "Consider {name}. Name its sign.",
                "By which sign is {name} known?", "Somebody has {name}. What do you expect to find?",
            ),
            "test": (
                "Which symptom points to {name}?", "What do patients with {name} complain of?",
                "How can one recognise {name}?", "What is the best known symptom of {name}?",
                "A patient has {name}. What will the examination show?",
                "Name one feature that helps to diagnose {name}.", "What should make a doctor think of {name}?",
                "Please describe a case of {name}.",
            ),
        },
        ("en", "organ"): {
            "base": (
                "Do you know which organ {name} concerns?", "What is ill in a person with {name}?",
                "I am reading about {name}. What is its organ?", "A question about {name}: which organ?",
            ),
            "train": (
                "Which organ does {name} affect?", "Which part of the body suffers in {name}?",
                "In {name}, where is the trouble?", "Tell a student which organ {name} harms.",
                "{name}: what organ is ill?", "Give the organ of {name}.",
            ),
            "dev": (
                "Tell me the organ that is affected by {name}.", "Consider {name}. Name its organ.",
                "Where in the body is {name} found?", "Somebody has {name}. Which organ is ill?",
            ),
            "test": (
                "Which organ is damaged by {name}?", "Which part of the body does a doctor examine in {name}?",
                "Of which organ is {name} a disease?", "Where does {name} do its harm?",
                "A patient has {name}. Which organ needs treatment?",
                "Name the part of the body that is the target of {name}.",
                "Which organ does one have to look at to diagnose {name}?",
                "Please tell me which organ is at fault in {name}.",
            ),
        },
        ("ar", "sign"): {
            "base": (
                "هل تعرف كيف يلاحظ الناس {name}؟", "ماذا لدى شخص يعاني من {name}؟", "أقرأ عن {name}. ما العلامة؟",
                "سؤال عن {name}: أي علامة؟",
            ),
            "train": (
                "ما العلامة الرئيسية التي تدل على {name}؟", "أي علامة تميز {name}؟",
                "في {name} ماذا يلاحظ الطبيب أولا؟", "اشرح للطالب العلامة المعروفة في {name}.",
                "{name}: ما الدليل؟", "أعط علامة {name}.",
            ),
            "dev": (
                "ما الذي يظهر عادة في {name}؟", "لدينا حالة من {name}. اذكر العلامة.",
                "بأي علامة يمكن التعرف على {name}؟", "شخص لديه {name}. ماذا تتوقع أن تجد؟",
            ),
            "test": (
                "ما العرض الذي يشير إلى {name}؟", "مم يشكو عادة مرضى {name}؟", "كيف يمكن تمييز {name}؟",
                "ما أشهر أعراض {name}؟", "لدى المريض {name}. ماذا يظهر عند الفحص؟",
                "اذكر صفة تساعد على تشخيص {name}.", "ما الذي يجعل الطبيب يفكر في {name}؟",
                "من فضلك صف حالة من {name}.",
            ),
        },
        ("ar", "organ"): {
            "base": (
                "هل تعرف أي عضو معني في {name}؟", "ما العضو المريض لدى شخص يعاني من {name}؟",
                "أقرأ عن {name}. ما العضو؟", "سؤال عن {name}: أي عضو؟",
            ),
            "train": (
                "ما العضو المصاب في {name}؟", "أي جزء من الجسم يتضرر من {name}؟", "في {name} أين تكون المشكلة؟",
                "اشرح للطالب أي عضو يتأذى في {name}.", "{name}: أي عضو مريض؟", "أعط عضو {name}.",
            ),
            "dev": (
                "قل لي أي عضو يتضرر عند حدوث {name}.", "لدينا حالة من {name}. اذكر العضو.",
                "أين موضع {name} في الجسم؟", "شخص لديه {name}. أي عضو مريض؟",
            ),
            "test": (
                "ما العضو الذي يتلف بسبب {name}؟", "أي جزء من الجسم يفحصه الطبيب في حالة {name}؟",
                "{name} من أمراض أي عضو؟", "أين يقع الضرر عند حدوث {name}؟",
                "لدى المريض {name}. أي عضو يحتاج إلى علاج؟", "اذكر جزء الجسم المستهدف في {name}.",
                "أي عضو ينبغي النظر إليه لتشخيص {name}؟", "من فضلك أخبرني ما العضو المعتل في {name}.",
            ),
        },
    }
)  # fmt: skip
# The patient speaks, the doctor asks how long, the patient answers, the doctor concludes.
CHATS: Mapping[tuple[str, Relation], Sequence[str]] = MappingProxyType(
    {
        ("en", "sign"): ("I was told I have {name}.", "Since when?", "Since last month.", "The sign is {answer}."),
        ("en", "organ"): ("I was told I have {name}.", "Since when?", "Since last month.", "The organ is {answer}."),
        ("ar", "sign"): ("قيل لي إن لدي {name}.", "منذ متى؟", "منذ الشهر الماضي.", "العلامة هي {answer}."),
        ("ar", "organ"): ("قيل لي إن لدي {name}.", "منذ متى؟", "منذ الشهر الماضي.", "العضو هو {answer}."),
    }
)


class Condition(NamedTuple):
    """A condition: its id, its name by language, and the answer by language and relation."""

    id: str
    name: Mapping[str, str]
    answer: Mapping[tuple[str, str], str]


@cache
def conditions() -> tuple[Condition, ...]:
    """All conditions, in the order of the table."""
    with _TABLE.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file, delimiter="\t"))
    return tuple(
        Condition(
            row["id"],
            {code: row[f"name_{code}"] for code in LANGUAGES},
            {(code, relation): row[f"{relation}_{code}"] for code in LANGUAGES for relation in RELATIONS},
        )
        for row in rows
    )


def questions(languages: Sequence[str] = LANGUAGES, wording: Wording = "train") -> list[Item]:
    """Every fact asked in every question of a wording; no two wordings share a question.

    Returns:
        Items `<language>/<condition>/<relation>/<wording>-<number>`.

    Raises:
        UserError: a language that is neither English nor Arabic.
    """
    return _items(languages, {key: frames[wording] for key, frames in QUESTIONS.items()}, wording)


def statements(languages: Sequence[str] = LANGUAGES) -> list[Item]:
    """Every fact as the beginnings of four sentences, to be ended by the answer.

    Returns:
        Items `<language>/<condition>/<relation>/told-<number>`.

    Raises:
        UserError: as :func:`questions`.
    """
    return _items(languages, STATEMENTS, "told")


def _items(languages: Sequence[str], frames: Mapping[tuple[str, Relation], Sequence[str]], kind: str) -> list[Item]:
    if unknown := [code for code in languages if code not in LANGUAGES]:
        raise UserError(f"There is no medical knowledge in {unknown[0]!r}: choose among {', '.join(LANGUAGES)}.")
    return [
        Item(
            f"{code}/{condition.id}/{relation}/{kind}-{number}",
            condition.id,
            frame.format(name=condition.name[code]),
            condition.answer[code, relation],
            code,
        )
        for code in languages
        for condition in conditions()
        for relation in RELATIONS
        for number, frame in enumerate(frames[code, relation])
    ]


def parts(seed: int) -> dict[str, set[str]]:
    """Conditions by part: `dev`, `test`, `base` and `train`; all wordings, relations and languages of one together.

    Those whose name shares letters with an answer (heart failure: the heart) are never tested.
    """
    known = conditions()
    shared = {one.id: [fragments(one.name[key[0]]) & fragments(a) for key, a in one.answer.items()] for one in known}
    fair = [name for name, letters in shared.items() if not any(letters)]
    random.Random("development").shuffle(fair)
    dev, fair = fair[:DEVELOPMENT], fair[DEVELOPMENT:]
    turn, fold = divmod(seed, FOLDS)
    random.Random(f"folds {turn}").shuffle(fair)
    test = fair[fold::FOLDS]
    rest = [one.id for one in known if one.id not in {*dev, *test}]
    random.Random(f"asked {seed}").shuffle(rest)
    return {"dev": set(dev), "test": set(test), "base": set(rest[:ASKED]), "train": set(rest[ASKED:])}


def fragments(text: str) -> set[str]:
    """Every four letters in a row."""
    return {word[i : i + 4] for word in re.findall(r"\w+", text.lower()) for i in range(len(word) - 3)}


def permuted(items: Sequence[Item], seed: int) -> list[Item]:
    """A world without knowledge: within each relation every condition gets the answer of a random other one."""
    given: dict[tuple[str, str], Condition] = {}
    for asked in RELATIONS:
        order = random.Random(f"permuted {asked} {seed}").sample(conditions(), len(conditions()))
        given |= {(one.id, asked): other for one, other in zip(order, order[1:] + order[:1], strict=True)}
    found = [(item, relation(item)) for item in items]
    return [replace(item, answer=given[item.cls, what].answer[item.language, what]) for item, what in found]


def relation(item: Item) -> Relation:
    """What an item asks for."""
    return "sign" if item.id.split("/")[2] == "sign" else "organ"


def dialogue(item: Item) -> list[str]:
    """The turns of patient and doctor about an item's fact, the patient's first and the answer in the last."""
    condition = next(one for one in conditions() if one.id == item.cls)
    turns = CHATS[item.language, relation(item)]
    return [turn.format(name=condition.name[item.language], answer=item.answer) for turn in turns]


def glossary() -> list[tuple[str, str]]:
    """The names of the conditions in English and Arabic."""
    return [(condition.name["en"], condition.name["ar"]) for condition in conditions()]
