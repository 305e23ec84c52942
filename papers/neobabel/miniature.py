"""The tiny world's prompts, what is held out, and what is seen in a picture (the pictures are core.worlds.shapes).

What is held out are pairs of coloured shapes by class: two shapes and two colours, whichever has which. Of a class in
the test neither assignment is trained. So a generator that reads words as a bag draws a pair right as often as with its
colours exchanged: the difference is what binding there is.
"""

from __future__ import annotations

import itertools
import random
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import Any, Literal

import numpy as np
from jaxtyping import Float
from torch import Tensor

from core.models.vision import Detection
from core.tasks.geneval import judge
from core.worlds import shapes
from core.worlds.base import Part, dealt
from core.worlds.shapes import COLOURS, KINDS, SHAPES, Thing
from papers.neobabel.config import LANGUAGES

# Of the 126 classes of pairs a sixth is for development, never trained; of the rest the seeds 5n to 5n + 4 test a fifth
# each.
DEVELOPMENT, FOLDS = 21, 5
# Share of each kind of prompt in training: what is measured, and is hardest, most often.
TASKS = {"single_object": 0.1, "two_object": 0.1, "colors": 0.25, "color_attr": 0.55}
# Share of words that the dictionary gets wrong; chosen, see the page.
WRONG_SENSES = 0.1
# Of consistency, by its metrics' names: the semantic feature map in place of EVA-CLIP, the visual one of DINOv2.
FEATURES = {"objects": shapes.object_counts, "looks": shapes.looks}


@dataclass(frozen=True)
class Item:
    """One prompt in any language: GenEval's name of its kind, what to show, the class of a pair, which draw."""

    task: str
    things: tuple[Thing, ...]
    cls: str = ""
    draw: int = 0

    @property
    def key(self) -> str:
        """Its path, the same in every language: `circle-square-blue-red/red-circle+blue-square`."""
        names = "+".join("-".join(filter(None, (t.colour, t.shape))) for t in self.things)
        return "/".join(map(str, filter(None, (self.cls, names, self.draw))))

    def prompt(self, language: str, last: str = "") -> str:
        """The prompt; `last` is the language of its last object, where that is another."""
        return shapes.describe(self.things, language, last)

    def metadata(self) -> dict[str, Any]:
        """GenEval's description, English in every language."""
        clauses = ({"class": t.shape, "count": 1, "color": t.colour} for t in self.things)
        return {"tag": self.task, "include": [{k: v for k, v in clause.items() if v} for clause in clauses]}

    def exchanged(self) -> Item:
        """The same shapes and colours the other way round."""
        one, other = self.things
        return Item(self.task, (Thing(one.shape, other.colour), Thing(other.shape, one.colour)), self.cls)


def parts(seed: int) -> dict[str, Part]:
    """The part of every class of pairs; neither development nor test classes of a seed are trained with it."""
    names = ["-".join(a + x) for a in itertools.combinations(SHAPES, 2) for x in itertools.combinations(COLOURS, 2)]
    random.Random("development").shuffle(names)
    development, rest = names[:DEVELOPMENT], names[DEVELOPMENT:]
    tested = dealt(rest, len(rest) // FOLDS, seed, FOLDS)
    return {name: "dev" if name in development else "test" if name in tested else "train" for name in names}


@cache
def items(part: Part, seed: int, limit: int = 0) -> tuple[Item, ...]:
    """The prompts of a part, at most `limit` of each task. Only pairs of coloured shapes differ between parts.

    Training names a pair in either order, the others each assignment in one of them; few prompts are drawn repeatedly.
    """
    single, two = (1, 1) if part == "train" else (6, 2)
    things, pairs = [Thing(shape) for shape in SHAPES], list[Item]()
    for number, cls in enumerate(sorted(name for name, where in parts(seed).items() if where == part)):
        a, b, x, y = cls.split("-")
        for turn, (one, other) in enumerate([(Thing(a, x), Thing(b, y)), (Thing(a, y), Thing(b, x))]):
            both = [(one, other), (other, one)]
            both = both if part == "train" else [both[(number + turn) % 2]]
            pairs += [Item("color_attr", pair, cls) for pair in both]
    found = (
        [Item("single_object", (thing,), draw=n) for n in range(single) for thing in things],
        [Item("two_object", pair, draw=n) for n in range(two) for pair in itertools.permutations(things, 2)],
        [Item("colors", (thing,)) for thing in KINDS.values()],
        pairs,
    )
    return tuple(item for task in found for item in task[: limit or None])


def crowd(prompts: Sequence[str], seeds: Sequence[int]) -> Float[Tensor, "batch 12 12 3"]:
    """Nine random objects, whatever the prompt: what asks for presence alone (GenEval) lets some of them pass."""
    return shapes.crowd(seeds)


@lru_cache(2)
def training_rows(seed: int, n: int) -> list[dict[str, Any]]:
    """Codes of random images of the training prompts, with their captions in all languages."""
    by_task = {task: [item for item in items("train", seed) if item.task == task] for task in TASKS}
    captions = {item.key: {language: item.prompt(language) for language in LANGUAGES} for item in items("train", seed)}
    rng = np.random.default_rng(seed)
    rows = []
    for task in rng.choice(list(TASKS), size=n, p=list(TASKS.values())).tolist():
        item = by_task[task][rng.integers(len(by_task[task]))]
        codes = shapes.place(item.things, rng).tolist()
        rows.append({"codes": codes, "captions": captions[item.key], "id": item.key})
    return rows


def orders(item: Item, language: str, reference: str = "en") -> list[tuple[str, str]]:
    """In which languages a prompt begins and ends: in one, and where it names two things also in both."""
    both = [(reference, language), (language, reference)] if len(item.things) > 1 else []
    return [(language, language), *both]


def translations(asked: Sequence[Item], languages: Sequence[str], seed: int) -> dict[tuple[str, str], str]:
    """The baseline's dictionary: prompts in English, in which a word has got another sense now and then.

    By the other language and the prompt; of a prompt in two languages only what is not English is translated.
    """
    found = {}
    for item, language in itertools.product(asked, languages):
        for first, second in orders(item, language):
            prompt = item.prompt(first, second)
            rng = random.Random(f"{seed}/{language}/{prompt}")
            read = [
                thing if code == "en" else shapes.mistaken(thing, WRONG_SENSES, rng)
                for code, thing in zip((first, second)[-len(item.things) :], item.things, strict=True)
            ]
            found[language, prompt] = shapes.describe(read, "en")
    return found


def detect(image: Float[Tensor, "12 12 3"]) -> dict[str, list[Detection]]:
    """Objects by shape with their boxes in pixels and their colours, without error: in place of Mask2Former."""
    found: dict[str, list[Detection]] = {}
    for cell, thing in shapes.things(image):
        y, x = (shapes.PATCH * number for number in divmod(cell, shapes.GRID))
        box = (x, y, x + shapes.PATCH, y + shapes.PATCH)
        found.setdefault(thing.shape, []).append(Detection(box, thing.colour))
    return found


def verdict(image: Float[Tensor, "12 12 3"], item: Item) -> Literal["exact", "more", "wrong"]:
    """Whether an image shows what an item asks for, and whether anything else, which GenEval lets pass."""
    shown = detect(image)
    if not judge(shown, item.metadata())[0]:
        return "wrong"
    return "exact" if sum(map(len, shown.values())) == len(item.things) else "more"


def accuracies(images: Mapping[str, Any], items: Sequence[Item]) -> dict[str, dict[str, float]]:
    """GenEval's decisions: `pairs`, `colors`, ... in English by prompt and abroad by `language/prompt`.

    Of pairs also whether exactly they are shown (`exact`), whether they are with their colours exchanged, and `bound`:
    1 where the pair is shown and the exchanged one is not, -1 the other way round.
    """
    units: dict[str, dict[str, float]] = defaultdict(dict)
    for number, (code, shown) in enumerate(images.items()):
        place, before = ("foreign", f"{code}/") if number else ("en", "")
        for item, image in zip(items, shown, strict=True):
            found = verdict(image, item)
            scores = {"pairs" if item.cls else item.task: float(found != "wrong")}
            if item.cls:
                exchanged = float(verdict(image, item.exchanged()) != "wrong")
                scores |= {"exchanged": exchanged, "bound": scores["pairs"] - exchanged}
                scores["exact"] = float(found == "exact")
            for name, score in scores.items():
                units[f"{name}_{place}"][f"{before}{item.key}"] = score
    return dict(units)


def samples(generate_fn: Callable[..., Any], items: Sequence[Item], languages: Sequence[str]) -> list[dict[str, Any]]:
    """What the figure shows: the first held-out pair in every language and in two at once, drawn three times."""
    item = next(item for item in items if item.cls)
    reference, *foreign = languages
    found = []
    for first, second in [*zip(languages, languages, strict=True), (reference, foreign[0]), (foreign[-1], reference)]:
        prompt = item.prompt(first, second)
        images = generate_fn([prompt] * 3, second if first == reference else first)
        shown = [{"codes": shapes.encode(image[None])[0].tolist(), "verdict": verdict(image, item)} for image in images]
        found.append({"languages": list(dict.fromkeys((first, second))), "prompt": prompt, "drawn": shown})
    return found
