"""A world that is small enough to be exact: coloured shapes on a 3 x 3 grid, described in the paper's six languages.

An image has 12 x 12 pixels; its tokenizer is a real lookup-free quantiser with five bits for each 4 x 4 patch (two for
the shape, three for the signs of red, green and blue; index 0 is an empty patch), so an image is 9 codes of 32. The
detector reads objects, colours and boxes back from the pixels without error, and takes the place of Mask2Former in
GenEval's own decision code (`core.tasks.geneval`).

    item = items("test", seed=1)[0]
    item.prompt("hi")                                   # the prompt in Hindi
    pixels = decode(draw_item(item, rng)[None])         # an image of it, [1, 12, 12, 3]
    detect(pixels[0])                                   # {"circle": [Detection(...)]}

What is held out are pairs of coloured shapes by class: two shapes and two colours, whichever has which. Of a class in
the test neither assignment is trained, since a generator that reads words as a bag would be led astray by the other.
"""

from __future__ import annotations

import itertools
import random
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from core.corpora.files import table_rows
from core.errors import UserError
from core.models.vision import Detection
from core.tasks.geneval import judge
from papers.neobabel.config import LANGUAGES

GRID, PATCH, DIMS = 3, 4, 5
TOKENS, size = GRID * GRID, GRID * PATCH
# The two shape bits say whether the upper and the lower corners are filled.
SHAPES = {
    "circle": (".##.", "####", "####", ".##."),
    "triangle": (".##.", ".##.", "####", "####"),
    "heart": ("#..#", "####", "####", ".##."),
    "square": ("####", "####", "####", "####"),
}
# Signs of red, green and blue.
COLOURS = {
    "red": (1, 0, 0), "green": (0, 1, 0), "blue": (0, 0, 1), "yellow": (1, 1, 0), "purple": (1, 0, 1),
    "turquoise": (0, 1, 1), "white": (1, 1, 1),
}  # fmt: skip
# Of the 126 classes of pairs a sixth is for development, never trained; of the rest the seeds 5n to 5n + 4 test a fifth
# each.
DEVELOPMENT, FOLDS = 21, 5
# Share of each kind of prompt in training: what is measured, and is hardest, most often.
TASKS = {"single_object": 0.1, "two_object": 0.1, "colors": 0.25, "color_attr": 0.55}
# Share of words that the dictionary gets wrong; chosen, see the page.
WRONG_SENSES = 0.1
Part = Literal["train", "dev", "test"]


class Grammar(NamedTuple):
    """How one language says it, in the order of `SHAPES` and `COLOURS`; Dutch colours have a form for het-words."""

    language: str
    pair: str
    coloured: str
    plain: str
    shapes: str
    colours: str
    neuter: str

    def phrase(self, thing: Thing) -> str:
        """`a red circle`, or `a circle`."""
        noun = self.shapes.split()[list(SHAPES).index(thing.shape)]
        if not thing.colour:
            return self.plain.format(shape=noun)
        forms = self.neuter if self.neuter and thing.shape in ("heart", "square") else self.colours
        return self.coloured.format(shape=noun, colour=forms.split()[list(COLOURS).index(thing.colour)])


GRAMMARS = {row["language"]: Grammar(**row) for _, row in table_rows(Path(__file__).with_name("words.tsv"))}


class Thing(NamedTuple):
    """One object of a prompt; without a colour any will do."""

    shape: str
    colour: str = ""


@dataclass(frozen=True)
class Item:
    """One prompt in any language: GenEval's name of its kind, what to show, the class of a pair, which draw."""

    task: str
    things: tuple[Thing, ...]
    cls: str = ""
    draw: int = 0

    @property
    def key(self) -> str:
        """Its path below the task, the same in every language: `circle-square-blue-red/red-circle+blue-square`."""
        names = "+".join("-".join(filter(None, (t.colour, t.shape))) for t in self.things)
        return "/".join(map(str, filter(None, (self.cls, names, self.draw))))

    def prompt(self, language: str) -> str:
        """The prompt in one language."""
        return self.mixed(language, language)

    def mixed(self, first: str, second: str) -> str:
        """The prompt that begins in one language and names its last object in another."""
        *begin, last = self.things
        if odd := {first, second} - GRAMMARS.keys():
            raise UserError(f"The miniature has no prompts in {odd.pop()!r}: choose among {', '.join(GRAMMARS)}.")
        before, end = GRAMMARS[first], GRAMMARS[second].phrase(last)
        return before.pair.format(before.phrase(begin[0]), end) if begin else end

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
    turn, fold = divmod(seed, FOLDS)
    random.Random(f"folds {turn}").shuffle(rest)
    tested = rest[fold::FOLDS]
    return {name: "dev" if name in development else "test" if name in tested else "train" for name in names}


@cache
def items(part: Part, seed: int, limit: int = 0) -> tuple[Item, ...]:
    """The prompts of a part, at most `limit` of each task. Only pairs of coloured shapes differ between parts.

    Training names a pair in either order, the others each assignment in one of them; few prompts are drawn repeatedly.
    """
    single, two = (range(1), range(1)) if part == "train" else (range(6), range(2))
    shapes = [tuple(map(Thing, pair)) for pair in itertools.permutations(SHAPES, 2)]
    found = [
        [Item("single_object", (Thing(shape),), draw=n) for n in single for shape in SHAPES],
        [Item("two_object", pair, draw=n) for n in two for pair in shapes],
        [Item("colors", (Thing(shape, colour),)) for shape in SHAPES for colour in COLOURS],
        pairs := list[Item](),
    ]
    for number, cls in enumerate(sorted(name for name, where in parts(seed).items() if where == part)):
        a, b, x, y = cls.split("-")
        for place, (one, other) in enumerate([(Thing(a, x), Thing(b, y)), (Thing(a, y), Thing(b, x))]):
            both = [(one, other), (other, one)]
            both = both if part == "train" else [both[(number + place) % 2]]
            pairs += [Item("color_attr", things, cls) for things in both]
    return tuple(item for task in found for item in task[: limit or None])


@lru_cache(2)
def training_rows(seed: int, n: int) -> list[dict[str, Any]]:
    """Codes of random images of the training prompts, with their captions in all languages."""
    by_task = {task: [item for item in items("train", seed) if item.task == task] for task in TASKS}
    captions = {item.key: {language: item.prompt(language) for language in LANGUAGES} for item in items("train", seed)}
    rng = np.random.default_rng(seed)
    rows = []
    for task in rng.choice(list(TASKS), size=n, p=list(TASKS.values())).tolist():
        item = by_task[task][rng.integers(len(by_task[task]))]
        rows.append({"codes": draw_item(item, rng).tolist(), "captions": captions[item.key], "id": item.key})
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
            prompt = item.mixed(first, second)
            rng = random.Random(f"{seed}/{language}/{prompt}")
            said = zip([*[first] * (len(item.things) - 1), second], item.things, strict=True)
            things = tuple(thing if code == "en" else _misread(thing, rng) for code, thing in said)
            found[language, prompt] = Item("", things).prompt("en")
    return found


def _misread(thing: Thing, rng: random.Random) -> Thing:
    def sense(word: str, words: Sequence[str]) -> str:
        others = [other for other in words if other != word]
        return rng.choice(others) if word and rng.random() < WRONG_SENSES else word

    return Thing(sense(thing.shape, list(SHAPES)), sense(thing.colour, list(COLOURS)))


# --- images -------------------------------------------------------------------------------------------------------


def lfq_indices(latent: Float[Tensor, "*batch dims height width"]) -> Int[Tensor, "*batch height width"]:
    """Lookup-free quantisation: index = sum_j 2^(D - 1 - j) [z_j > 0]. Zero counts as 0; dimension 0 leads."""
    weights = 2 ** torch.arange(latent.shape[-3] - 1, -1, -1, device=latent.device)
    return ((latent > 0) * weights[:, None, None]).sum(-3)


def lfq_entries(indices: Int[Tensor, "*shape"], dims: int) -> Float[Tensor, "*shape dims"]:
    """The quantised vectors of codes: each bit as -1 or +1."""
    shifts = torch.arange(dims - 1, -1, -1, device=indices.device)
    return ((indices[..., None] >> shifts) & 1).float() * 2 - 1


def code(shape: str, colour: str) -> int:
    """The image code of one object: two shape bits, then three colour bits."""
    rows = SHAPES[shape]
    bits = (rows[0][0] == "#", rows[-1][0] == "#", *COLOURS[colour])
    return int("".join(str(int(bit)) for bit in bits), 2)


KINDS = {code(shape, colour): Thing(shape, colour) for shape in SHAPES for colour in COLOURS}


def draw_item(item: Item, rng: np.random.Generator) -> Int[Tensor, " tokens"]:
    """Codes of a random image of what an item asks for: cells and unspecified colours are drawn."""
    codes, names = torch.zeros(TOKENS, dtype=torch.long), list(COLOURS)
    cells = rng.permutation(TOKENS)[: len(item.things)].tolist()
    for cell, thing in zip(cells, item.things, strict=True):
        codes[cell] = code(thing.shape, thing.colour or names[rng.integers(len(names))])
    return codes


def decode(codes: Int[Tensor, "batch tokens"]) -> Float[Tensor, "batch 12 12 3"]:
    """Images with values in [-1, 1] from codes: the bits choose a stencil and its colour."""
    bits = lfq_entries(codes, DIMS) > 0
    by_bits = sorted(SHAPES.values(), key=lambda rows: (rows[0][0] == "#", rows[-1][0] == "#"))
    stencils = torch.tensor([[[cell == "#" for cell in row] for row in rows] for rows in by_bits])
    shape = stencils[bits[..., 0].long() * 2 + bits[..., 1].long()]
    patches = (shape[..., None] & bits[..., None, None, 2:]).float() * 2 - 1
    grid = patches.view(len(codes), GRID, GRID, PATCH, PATCH, 3).transpose(2, 3)
    return grid.reshape(len(codes), GRID * PATCH, GRID * PATCH, 3)


def encode(images: Float[Tensor, "batch 12 12 3"]) -> Int[Tensor, "batch tokens"]:
    """Codes of images with values in [-1, 1]: a linear encoder of each patch, then the quantiser."""
    patches = _patches(images)
    bright = patches.amax(-1)
    corners = torch.stack([bright[..., row, [0, -1]].mean(-1) for row in (0, -1)], dim=-1)
    latent = torch.cat([corners, patches.amax((-3, -2))], dim=-1)
    return lfq_indices(latent.movedim(-1, 1)).flatten(1)


def _patches(images: Float[Tensor, "batch 12 12 3"]) -> Float[Tensor, "batch 3 3 4 4 3"]:
    return images.reshape(len(images), GRID, PATCH, GRID, PATCH, 3).transpose(2, 3)


def detect(image: Float[Tensor, "12 12 3"]) -> dict[str, list[Detection]]:
    """Objects by shape with their boxes in pixels and their colours, read from the pixels."""
    found: dict[str, list[Detection]] = {}
    for cell, value in enumerate(encode(image[None])[0].tolist()):
        if value in KINDS:
            y, x = (PATCH * place for place in divmod(cell, GRID))
            thing = KINDS[value]
            found.setdefault(thing.shape, []).append(Detection((x, y, x + PATCH, y + PATCH), thing.colour))
    return found


def verdict(image: Float[Tensor, "12 12 3"], item: Item) -> Literal["exact", "more", "wrong"]:
    """Whether an image shows what an item asks for, and whether anything else, which GenEval lets pass."""
    shown = detect(image)
    if not judge(shown, item.metadata())[0]:
        return "wrong"
    return "exact" if sum(map(len, shown.values())) == len(item.things) else "more"


def object_counts(images: Float[Tensor, "batch 12 12 3"]) -> Float[Tensor, "batch kinds"]:
    """The semantic feature map: how many objects of each shape and colour an image shows, wherever they are."""
    return (encode(images)[:, :, None] == torch.tensor(list(KINDS))).sum(1).float()


def looks(images: Float[Tensor, "batch 12 12 3"]) -> Float[Tensor, "batch values"]:
    """The visual feature map: the average patch, less that of all the images that are given.

    Parts of a shape or colour count. Without the difference all pictures of a generator would look alike for being its
    own, whatever their prompts.
    """
    patches = ((_patches(images) + 1) / 2).mean((1, 2)).flatten(1)
    return patches - patches.mean(0)


FEATURES = {"objects": object_counts, "looks": looks}
