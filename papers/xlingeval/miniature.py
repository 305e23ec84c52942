"""The tiny world: forty health questions in four languages, and speakers whose faults are known.

Questions, experts' answers and one contradiction each are ours (`items.jsonl`): facts of any first-aid leaflet, without
doses. **The contradictions are false on purpose.** None of it is medical advice.

A stand-in answers with the expert's words, the contradiction's, or those of another question, at rates that we set,
leaves out a clause each time, and gives its verdicts in whole sentences. So what the instrument has to find is known:
`even` errs alike in all languages, `uneven` the more the further from English.
"""

from __future__ import annotations

import itertools
import random
import re
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING, NamedTuple

from core.text.segment import words
from core.worlds.base import Item as Classed
from core.worlds.base import split
from papers.xlingeval import method
from papers.xlingeval.data import Candidates, Item, languages_of, read_items

if TYPE_CHECKING:
    from papers.xlingeval.config import Config

ITEMS = Path(__file__).parent / "items.jsonl"
SHARES = {"dev": 0.4, "test": 0.6}


def questions(config: Config) -> list[Item]:
    """The questions of a part; each is a class of its own."""
    items = read_items(ITEMS, (method.PIVOT, *config.languages))
    classed = [Classed(i.id, i.id, i.texts["en"].question, i.texts["en"].answer, "en") for i in items]
    chosen = {item.id for item in split(classed, 0, SHARES)[config.split]}
    return [item for item in items if item.id in chosen]


# --- speakers whose faults are known ----------------------------------------------------------------------------------


class Rates(NamedTuple):
    """How often a stand-in says what, in one language."""

    right: float
    contradictory: float
    """The rest of its answers belongs to other questions."""
    mistaken: float
    """Of its verdicts."""


STAND_INS: Mapping[str, Mapping[str, Rates]] = {
    "even": dict.fromkeys(("en", "es", "zh", "hi"), Rates(0.75, 0.1, 0.15)),
    "uneven": {
        "en": Rates(0.95, 0.02, 0.05),
        "es": Rates(0.85, 0.06, 0.1),
        "zh": Rates(0.7, 0.1, 0.2),
        "hi": Rates(0.5, 0.2, 0.35),
    },
}
# Sentences that mean Yes, No and neither; such as chat models say though they are asked for one word.
SAID: Mapping[str, Mapping[int, tuple[str, ...]]] = {
    "en": {
        1: ("Yes", "Yes.", "Yes, that is correct.", "Yes, the diagnosis is right.", "Yes, this is normal advice.",
            "Correct."),
        0: ("No", "No.", "No, that is wrong.", "This is not a correct answer.", "Incorrect."),
        -1: ("I do not know.", "Not sure.", "It depends."),
    },
    "es": {
        1: ("Yes", "Sí.", "Sí, es correcto.", "Sí, la respuesta es correcta.", "Es correcta, sí.", "Correcto."),
        0: ("No", "No.", "No es correcto.", "La respuesta es falsa.", "Incorrecto."),
        -1: ("No sé.", "Depende.", "No estoy seguro."),
    },
    "zh": {
        1: ("Yes", "是的。", "对。", "正确。", "这个答案是正确的。", "可能是正确的。"),
        0: ("No", "不是。", "不正确。", "这个答案是错误的。", "错误。"),
        -1: ("不确定。", "无法判断。", "我不知道。"),
    },
    "hi": {
        1: ("Yes", "हाँ।", "जी हाँ।", "हाँ, यह सही है।", "यह उत्तर सही है।", "सही।"),
        0: ("No", "नहीं।", "यह सही नहीं है।", "यह उत्तर ग़लत है।", "ग़लत।"),
        -1: ("पता नहीं।", "यह निर्भर करता है।", "मैं निश्चित नहीं हूँ।"),
    },
}  # fmt: skip
UNSURE = 0.05


class StandIn:
    """A speaker of :data:`STAND_INS`; what it says is drawn by seed, question and language."""

    def __init__(self, name: str, items: Sequence[Item], seed: int) -> None:
        self.name, self.items, self.seed = name, items, seed

    def answers(
        self, code: str, count: int = 1, what: str = "answer", only: Collection[str] = ()
    ) -> tuple[dict[str, list[str]], dict[str, list[str]]]:
        """Answers to every question, or to some; and of whom each is: `right`, `contradictory`, or the other's id."""
        said: dict[str, list[str]] = {}
        meant: dict[str, list[str]] = {}
        for item in (item for item in self.items if not only or item.id in only):
            draw, rates = self._draw(what, item, code), STAND_INS[self.name][code]
            texts = {"right": item.texts[code].answer, "contradictory": item.texts[code].contradiction}
            others = {other.id: other.texts[code].answer for other in self.items if other.id != item.id}
            shares = (rates.right, rates.contradictory, 1 - rates.right - rates.contradictory)
            kinds = draw.choices(("right", "contradictory", "other"), shares, k=count)
            meant[item.id] = [draw.choice([*others]) if kind == "other" else kind for kind in kinds]
            said[item.id] = [shortened((texts | others)[kind], draw) for kind in meant[item.id]]
        return said, meant

    def verdicts(self, asked: Candidates, code: str) -> tuple[dict[str, list[str]], dict[str, list[int]]]:
        """What it says about every candidate, and what it means: 1, 0 or -1."""
        said: dict[str, list[str]] = {}
        meant: dict[str, list[int]] = {}
        for item in self.items:
            draw, rates = self._draw("verdict", item, code), STAND_INS[self.name][code]
            meant[item.id] = [
                -1 if draw.random() < UNSURE else int((place == 0) != (draw.random() < rates.mistaken))
                for place in range(len(asked[item.id]))
            ]
            said[item.id] = [draw.choice(SAID[code][value]) for value in meant[item.id]]
        return said, meant

    def _draw(self, what: str, item: Item, code: str) -> random.Random:
        return random.Random(f"{what}/{self.name}/{self.seed}/{item.id}/{code}")


def shortened(text: str, draw: random.Random) -> str:
    """A text without one of its clauses, where it has three."""
    clauses = re.split(r"(?<=[,;:，；：、])", text)
    if len(clauses) > 2:
        del clauses[draw.randrange(len(clauses))]
    return "".join(clauses).strip().rstrip(",;:，；：、")


def same_source(meant: Mapping[str, Sequence[str]]) -> dict[str, float]:
    """Share of the pairs of answers to each question that are of the same text."""
    return {key: fmean(float(a == b) for a, b in itertools.combinations(kinds, 2)) for key, kinds in meant.items()}


# --- who knows nothing ------------------------------------------------------------------------------------------------


def trivial(items: Sequence[Item], asked: Candidates) -> dict[str, float]:
    """AUC of who takes the longest or shortest answer, or the one with most of the question's words; and with `right_`
    how often that is the expert's of the expert's, the contradiction and an unrelated one. Over all languages.
    """
    found: dict[str, list[float]] = defaultdict(list)
    for code, item in itertools.product(languages_of(items), items):
        text = item.texts[code]
        known, wrong = {*words(text.question.lower())}, [texts[code] for texts in asked[item.id][1:]]
        for name, score in (
            ("longest", len), ("shortest", lambda answer: -len(answer)),
            ("overlap", lambda answer: len(known & {*words(answer.lower())})),  # noqa: B023
        ):  # fmt: skip
            right, contradiction, *others = map(float, map(score, (text.answer, text.contradiction, *wrong)))
            found[name].append(method.auc(right, others))
            if text.contradiction:
                three = [right, contradiction, others[0]]
                found[f"right_{name}"].append((right == max(three)) / three.count(max(three)))
    found |= {"chance": [1 / 2], "right_chance": [1 / 3]}
    return {f"trivial_{name}": fmean(values) for name, values in found.items()}


def toy(folder: Path) -> None:
    """Save a small untrained chat model that spells in bytes, for tests; it is an encoder too."""
    from core.models.architectures import miniature
    from core.models.loading import from_config
    from core.models.tokenization import train_bpe
    from core.tasks.samples import CHAT_TEMPLATE

    tokenizer = train_bpe([item.texts["en"].answer for item in read_items(ITEMS, ("en",))], vocabulary_size=300)
    tokenizer.chat_template = CHAT_TEMPLATE
    shape = miniature(
        len(tokenizer), width=16, layers=2, heads=2, feed_forward=32, positions=2048, initializer_range=0.2
    )
    from_config(shape, seed=0).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
