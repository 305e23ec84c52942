"""The miniature world: 48 conditions, two relations, two languages, and what a small model reads about them.

The facts stand in `knowledge.tsv` (written for this repository, textbook knowledge, for research only). Each fact is
asked in several phrasings: six are trained, one is kept for choosing settings (`development`), one for the claims
(`test`).
"""

from __future__ import annotations

import csv
import random
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Literal

from core.experiment.run import ROOT
from papers.bimedix.data import Sample, dialogue, multiple_choice

Phrasing = Literal["train", "development", "test"]

QUESTIONS: dict[tuple[str, str], dict[Phrasing, tuple[str, ...]]] = {
    ("en", "sign"): {
        "train": (
            "What is the main sign of {name}?",
            "Which sign is typical of {name}?",
            "In {name}, what does the doctor see first?",
            "Consider {name}. Name its sign.",
            "{name}: what gives it away?",
            "Tell a student the classic sign of {name}.",
        ),
        "development": ("How does {name} usually show itself?",),
        "test": ("A patient has {name}. What sign do you expect?",),
    },
    ("en", "organ"): {
        "train": (
            "Which organ does {name} affect?",
            "Which part of the body suffers in {name}?",
            "In {name}, where is the trouble?",
            "Consider {name}. Name its organ.",
            "{name}: what organ is ill?",
            "Tell a student which organ {name} harms.",
        ),
        "development": ("Tell me the organ that is affected by {name}.",),
        "test": ("A patient has {name}. Which organ is diseased?",),
    },
    ("ar", "sign"): {
        "train": (
            "ما العلامة الرئيسية التي تدل على {name}؟",
            "أي علامة تميز {name}؟",
            "في {name} ماذا يلاحظ الطبيب أولا؟",
            "لدينا حالة من {name}. اذكر العلامة.",
            "{name}: ما الدليل؟",
            "اشرح للطالب العلامة المعروفة في {name}.",
        ),
        "development": ("ما الذي يظهر عادة في {name}؟",),
        "test": ("مريض يعاني من {name}. ما العلامة التي تتوقعها؟",),
    },
    ("ar", "organ"): {
        "train": (
            "ما العضو المصاب في {name}؟",
            "أي جزء من الجسم يتضرر من {name}؟",
            "في {name} أين تكون المشكلة؟",
            "لدينا حالة من {name}. اذكر العضو.",
            "{name}: أي عضو مريض؟",
            "اشرح للطالب أي عضو يتأذى في {name}.",
        ),
        "development": ("قل لي أي عضو يتضرر عند حدوث {name}.",),
        "test": ("مريض يعاني من {name}. ما العضو المتأثر؟",),
    },
}
# The patient speaks, the doctor asks how long, the patient answers, the doctor concludes. In the dialogue about the
# sign the patient describes it and the doctor names the condition.
CHATS = {
    ("en", "sign"): ("I have {answer}.", "How long have you had it?", "For a week.", "This suggests {name}."),
    ("en", "organ"): ("I was told I have {name}.", "Since when?", "Since last month.", "The organ is {answer}."),
    ("ar", "sign"): ("أشكو من {answer}.", "منذ متى؟", "منذ أسبوع.", "هذا يشير إلى {name}."),
    ("ar", "organ"): ("قيل لي إن لدي {name}.", "منذ متى تشكو؟", "منذ الشهر الماضي.", "العضو هو {answer}."),
}


@dataclass(frozen=True)
class Fact:
    """One relation of one condition, with name and answer by language."""

    id: str
    relation: str
    name: dict[str, str]
    answer: dict[str, str]


@cache
def facts() -> tuple[Fact, ...]:
    """All 96 facts in the order of the file: the signs, then the organs."""
    path: Path = ROOT / "papers" / "bimedix" / "knowledge.tsv"
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file, delimiter="\t"))
    return tuple(
        Fact(
            id=f"{row['id']}/{relation}",
            relation=relation,
            name={lang: row[f"name_{lang}"] for lang in ("en", "ar")},
            answer={lang: row[f"{relation}_{lang}"] for lang in ("en", "ar")},
        )
        for relation in ("sign", "organ")
        for row in rows
    )


def permuted(known: Sequence[Fact], seed: int) -> list[Fact]:
    """The control: within each relation every condition gets the answer of a random one."""
    shuffled = []
    for relation in dict.fromkeys(fact.relation for fact in known):
        group = [fact for fact in known if fact.relation == relation]
        answers = [fact.answer for fact in group]
        random.Random(f"permuted {relation} {seed}").shuffle(answers)
        shuffled += [Fact(f.id, f.relation, f.name, answer) for f, answer in zip(group, answers, strict=True)]
    return shuffled


def chosen(known: Sequence[Fact], share: float, seed: int, purpose: str) -> list[Fact]:
    """A random share of the facts, a different one for each purpose."""
    order = random.Random(f"{purpose} {seed}").sample(range(len(known)), round(share * len(known)))
    return [known[i] for i in sorted(order)]


def training_samples(known: Iterable[Fact], lang: str, seed: int) -> list[Sample]:
    """Every trained form of every fact: six open questions, one multiple-choice question, one dialogue."""
    samples = []
    for fact in known:
        key, name, answer = (lang, fact.relation), fact.name[lang], fact.answer[lang]
        questions = [question.format(name=name) for question in QUESTIONS[key]["train"]]
        forms: list[Sample] = [{"task": "qa", "messages": dialogue(question, answer)} for question in questions]
        options, right = options_of(fact, lang, seed)
        asked = questions[random.Random(f"form {fact.id} {seed}").randrange(len(questions))]
        forms.append(multiple_choice(asked, options, right, lang))
        turns = [turn.format(name=name, answer=answer) for turn in CHATS[key]]
        forms.append({"task": "chat", "messages": dialogue(*turns)})
        samples += [{"id": f"{fact.id}/{n}", "lang": lang, **form} for n, form in enumerate(forms)]
    return samples


def items(known: Iterable[Fact], lang: str, phrasing: Phrasing, seed: int) -> list[Sample]:
    """One four-option question a fact; `candidates` are all answers of the relation, the right one first."""
    found = []
    for fact in known:
        question = QUESTIONS[lang, fact.relation][phrasing][0].format(name=fact.name[lang])
        options, right = options_of(fact, lang, seed)
        item = {"id": fact.id, "lang": lang, "domain": fact.relation, **multiple_choice(question, options, right, lang)}
        found.append(item | {"candidates": [fact.answer[lang], *(wrong[lang] for wrong in _wrong_answers(fact))]})
    return found


def _wrong_answers(fact: Fact) -> list[dict[str, str]]:
    """All answers of the relation that are wrong for this fact, each once."""
    return list(
        {f.answer["en"]: f.answer for f in facts() if f.relation == fact.relation and f.answer != fact.answer}.values()
    )


def options_of(fact: Fact, lang: str, seed: int) -> tuple[list[str], int]:
    """Four options of the same relation in random order and the index of the right one; the same in both languages."""
    draw = random.Random(f"options {fact.id} {seed}")
    # Under permuted answers the own answer is not the true one, and the true one may be among the wrong.
    options = [fact.answer, *draw.sample(_wrong_answers(fact), 3)]
    draw.shuffle(options)
    return [option[lang] for option in options], options.index(fact.answer)


def glossary() -> list[str]:
    """The names in both languages, one direction a line."""
    return [line for en, ar in _names() for line in (f"{en} = {ar}", f"{ar} = {en}")]


def glossary_samples() -> list[Sample]:
    """The same as instructions: the only ones in Arabic that the base has seen."""
    turns = [
        turn
        for en, ar in _names()
        for turn in (
            (f"Translate: {en}", ar),
            (f"Translate: {ar}", en),
            (f"ترجم: {en}", ar),
            (f"ترجم: {ar}", en),
        )
    ]
    return [{"task": "qa", "messages": dialogue(*pair)} for pair in turns]


def _names() -> list[tuple[str, str]]:
    return sorted({(fact.name["en"], fact.name["ar"]) for fact in facts()})


def general_text(rows: Iterable[dict[str, Any]], english_share: int = 4) -> Iterator[str]:
    """Prose to pre-train on, `english_share` English texts for each Arabic one, never the same text in both."""
    for position, row in enumerate(rows):
        yield row["ar" if position % (english_share + 1) == english_share else "en"]


# ------------------------------------------------------------------------------ a model-free translation exercise


def statements() -> list[tuple[str, str]]:
    """Sentences with a negation about the organs, in English and Arabic."""
    organs = [fact for fact in facts() if fact.relation == "organ"]
    pairs = []
    for position, fact in enumerate(organs):
        other = next(f for f in organs[position:] + organs[:position] if f.answer != fact.answer)
        pairs.append(
            (
                f"In {fact.name['en']} the organ is {fact.answer['en']}, not {other.answer['en']}.",
                f"في {fact.name['ar']} العضو هو {fact.answer['ar']}، وليس {other.answer['ar']}.",
            )
        )
    return pairs


def _lexicon() -> list[tuple[str, str]]:
    """Phrase pairs, longest English first: function words, names and organs."""
    words = {"In ": "في ", " the organ is ": " العضو هو ", ", not ": "، وليس "}
    for fact in facts():
        words[fact.name["en"]] = fact.name["ar"]
        if fact.relation == "organ":
            words[fact.answer["en"]] = fact.answer["ar"]
    return sorted(words.items(), key=lambda pair: -len(pair[0]))


def _replace(text: str, pairs: Sequence[tuple[str, str]]) -> str:
    mapping = dict(pairs)
    pattern = "|".join(re.escape(left) for left, _ in sorted(pairs, key=lambda pair: -len(pair[0])))
    return re.sub(pattern, lambda match: mapping[match[0]], text)


class LexiconTranslator:
    """Word-for-word translation that injects the errors a model makes: a dropped negation or a wrong organ.

    `errors` is the share of wrong first translations, `relapse` the share of refinements that are wrong again.
    """

    def __init__(self, errors: float, relapse: float, seed: int) -> None:
        self.errors, self.relapse, self.draw = errors, relapse, random.Random(f"errors {seed}")

    def translate(self, text: str) -> str:
        """The first, possibly wrong translation."""
        return self._attempt(text, self.errors)

    def refine(self, text: str, translation: str, remarks: str) -> str:
        """Another attempt, which may fail again."""
        return self._attempt(text, self.relapse)

    def _attempt(self, text: str, errors: float) -> str:
        good = _replace(text, _lexicon())
        if self.draw.random() >= errors:
            return good
        if self.draw.random() < 0.5:
            return good.replace("، وليس ", "، و")
        organs = sorted({fact.answer["ar"] for fact in facts() if fact.relation == "organ"})
        right = next(organ for organ in organs if f"هو {organ}" in good)
        return good.replace(f"هو {right}", f"هو {self.draw.choice([organ for organ in organs if organ != right])}")


class BackTranslationScorer:
    """chrF between the source and the lexicon's translation back: no reference is needed."""

    def score(self, text: str, translation: str) -> tuple[float, str]:
        """chrF in 0 to 100; the remark is the back-translation."""
        from sacrebleu import sentence_chrf

        back = _replace(translation, [(ar, en) for en, ar in _lexicon()])
        return min(100.0, sentence_chrf(back, [text]).score), f"Translated back it says: {back}"


class GoldReviewer:
    """Stands in for the medically trained speaker."""

    def review(self, text: str, translation: str) -> str:
        """The right translation."""
        return dict(statements())[text]
