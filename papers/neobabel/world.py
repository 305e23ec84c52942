"""A world that is small enough to be exact: coloured shapes on a 3 x 3 grid, described in the paper's six languages.

An image has 12 x 12 pixels; its tokenizer is a real lookup-free quantiser with five bits for each 4 x 4 patch (two for
the shape, three for the signs of red, green and blue; index 0 is an empty patch), so an image is 9 codes of 32. The
detector reads objects, colours and boxes back from the pixels without error, and takes the place of Mask2Former in
GenEval's own decision code (`benchmark.py`).

    item = items("test")[0]
    item.prompt("hi")                                   # the prompt in Hindi
    pixels = decode(draw_item(item, rng)[None])         # an image of it, [1, 12, 12, 3]
    detect(pixels[0])                                   # {"circle": [Detection(...)]}
"""

from __future__ import annotations

import hashlib
import itertools
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Literal

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from core.errors import UserError
from papers.neobabel.benchmark import Detection
from papers.neobabel.method import lfq_entries, lfq_indices

GRID, PATCH, DIMS = 3, 4, 5
TOKENS, CODES = GRID * GRID, 2**DIMS
# The two shape bits say whether the upper and the lower corners are filled.
SHAPES = {
    "circle": (".##.", "####", "####", ".##."),
    "triangle": (".##.", ".##.", "####", "####"),
    "heart": ("#..#", "####", "####", ".##."),
    "square": ("####", "####", "####", "####"),
}
# Signs of red, green and blue.
COLOURS = {
    "red": (1, 0, 0),
    "green": (0, 1, 0),
    "blue": (0, 0, 1),
    "yellow": (1, 1, 0),
    "purple": (1, 0, 1),
    "turquoise": (0, 1, 1),
    "white": (1, 1, 1),
}
LANGUAGES = ("en", "zh", "nl", "fr", "hi", "fa")
TASKS = ("single_object", "two_object", "counting", "colors", "color_attr")
Split = Literal["train", "dev", "test"]


# --- words --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Grammar:
    """How one language says it. Dutch adjectives come plain and inflected, for het- and de-words."""

    carriers: tuple[str, str, str]
    join: str
    noun_phrase: str
    bare_phrase: str
    counted: str
    shapes: dict[str, tuple[str, str]]
    colours: dict[str, tuple[str, str]]
    numbers: dict[int, str]
    neuter: tuple[str, ...] = ()

    def phrase(self, shape: str, colour: str, count: int) -> str:
        """`a red circle`, `a circle` or `three circles`."""
        singular, plural = self.shapes[shape]
        if count > 1:
            return self.counted.format(number=self.numbers[count], shape=plural)
        if not colour:
            return self.bare_phrase.format(shape=singular)
        return self.noun_phrase.format(shape=singular, colour=self.colours[colour][shape not in self.neuter])


def _same(**words: str) -> dict[str, tuple[str, str]]:
    return {name: (word, word) for name, word in words.items()}


GRAMMARS = {
    "en": Grammar(
        ("a picture of {}", "a drawing with {}", "{}"), " and ", "a {colour} {shape}", "a {shape}", "{number} {shape}",
        {name: (name, f"{name}s") for name in SHAPES},
        {name: (name, name) for name in COLOURS},
        {2: "two", 3: "three", 4: "four"},
    ),
    "zh": Grammar(
        ("图中有{}", "画面上是{}", "{}"), "和", "一个{colour}的{shape}", "一个{shape}", "{number}个{shape}",
        _same(circle="圆形", triangle="三角形", heart="心形", square="正方形"),
        _same(red="红色", green="绿色", blue="蓝色", yellow="黄色", purple="紫色", turquoise="青色", white="白色"),
        {2: "两", 3: "三", 4: "四"},
    ),
    "nl": Grammar(
        ("een afbeelding met {}", "een tekening van {}", "{}"), " en ", "een {colour} {shape}", "een {shape}",
        "{number} {shape}",
        {"circle": ("cirkel", "cirkels"), "triangle": ("driehoek", "driehoeken"), "heart": ("hart", "harten"),
         "square": ("vierkant", "vierkanten")},
        {"red": ("rood", "rode"), "green": ("groen", "groene"), "blue": ("blauw", "blauwe"),
         "yellow": ("geel", "gele"), "purple": ("paars", "paarse"), "turquoise": ("turquoise", "turquoise"),
         "white": ("wit", "witte")},
        {2: "twee", 3: "drie", 4: "vier"}, ("heart", "square"),
    ),
    "fr": Grammar(
        ("une image avec {}", "un dessin avec {}", "{}"), " et ", "un {shape} {colour}", "un {shape}",
        "{number} {shape}",
        {"circle": ("cercle", "cercles"), "triangle": ("triangle", "triangles"), "heart": ("cœur", "cœurs"),
         "square": ("carré", "carrés")},
        _same(red="rouge", green="vert", blue="bleu", yellow="jaune", purple="violet", turquoise="turquoise",
              white="blanc"),
        {2: "deux", 3: "trois", 4: "quatre"},
    ),
    "hi": Grammar(
        ("तस्वीर में {}", "चित्र में {}", "{}"), " और ", "एक {colour} {shape}", "एक {shape}", "{number} {shape}",
        _same(circle="वृत्त", triangle="त्रिभुज", heart="दिल", square="वर्ग"),
        _same(red="लाल", green="हरा", blue="नीला", yellow="पीला", purple="बैंगनी", turquoise="फ़िरोज़ी", white="सफ़ेद"),
        {2: "दो", 3: "तीन", 4: "चार"},
    ),
    "fa": Grammar(
        ("تصویری از {}", "نقاشی با {}", "{}"), " و ", "یک {shape} {colour}", "یک {shape}", "{number} {shape}",
        _same(circle="دایره", triangle="مثلث", heart="قلب", square="مربع"),
        _same(red="قرمز", green="سبز", blue="آبی", yellow="زرد", purple="بنفش", turquoise="فیروزه‌ای", white="سفید"),
        {2: "دو", 3: "سه", 4: "چهار"},
    ),
}  # fmt: skip


# --- what is asked for --------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Thing:
    """One object of a prompt; without a colour any will do."""

    shape: str
    colour: str = ""
    count: int = 1


@dataclass(frozen=True)
class Item:
    """One prompt of the benchmark, in any language.

    Attributes:
        task: GenEval's name of the kind of prompt.
        things: What is to be seen.
    """

    task: str
    things: tuple[Thing, ...]

    @property
    def key(self) -> str:
        """Its name, the same in every language: `colors/red-circle`."""
        names = (
            f"{t.count}-{t.shape}" if t.count > 1 else "-".join(filter(None, (t.colour, t.shape))) for t in self.things
        )
        return f"{self.task}/{'+'.join(names)}"

    def prompt(self, language: str, carrier: int = 0) -> str:
        """The prompt in one language, in the first of its three carrier sentences."""
        return self.mixed(language, language, carrier)

    def mixed(self, first: str, second: str, carrier: int = 0) -> str:
        """The prompt that begins in one language and names its last object in another."""
        before, after = _grammar(first), _grammar(second)
        phrases = [before.phrase(t.shape, t.colour, t.count) for t in self.things]
        if second != first:
            last = self.things[-1]
            phrases[-1] = after.phrase(last.shape, last.colour, last.count)
        return before.carriers[carrier].format(before.join.join(phrases))

    def training_prompt(self, language: str) -> str:
        """One of the three carriers, by hash, so that each prompt of a language is seen in one form."""
        digest = hashlib.sha256(f"{self.key}/{language}".encode()).digest()
        return self.prompt(language, digest[0] % 3)

    def metadata(self) -> dict[str, object]:
        """GenEval's description, English in every language."""
        include = [
            {"class": t.shape, "count": t.count, **({"color": t.colour} if t.colour else {})} for t in self.things
        ]
        exclude = [{"class": t.shape, "count": t.count + 1} for t in self.things if self.task == "counting"]
        return {"tag": self.task, "include": include, **({"exclude": exclude} if exclude else {})}


def held_out_pairs() -> dict[tuple[Thing, Thing], Split]:
    """A quarter of the unordered pairs of coloured shapes, by a fixed draw: some for development, some for the test.

    The others are for training, as are all single coloured shapes: what is tested is the combination.
    """
    pairs = [
        (Thing(a, x), Thing(b, y))
        for a, b in itertools.combinations(SHAPES, 2)
        for x, y in itertools.permutations(COLOURS, 2)
    ]
    order = np.random.default_rng(0).permutation(len(pairs))[: len(pairs) // 4]
    # As many as there are coloured shapes, so that the mean over both kinds of prompts weighs them equally.
    size = len(SHAPES) * len(COLOURS)
    return {pairs[index]: "dev" if place < size else "test" for place, index in enumerate(order[: 2 * size])} | {
        pairs[index]: "dev" for index in order[2 * size :]
    }


@cache
def items(split: Split, tasks: tuple[str, ...] = TASKS) -> tuple[Item, ...]:
    """All prompts of a split. Only `color_attr` differs between splits: its combinations are held out."""
    held = held_out_pairs()
    counts = (2, 3, 4)
    found: dict[str, list[tuple[Thing, ...]]] = {
        "single_object": [(Thing(shape),) for shape in SHAPES],
        "two_object": [(Thing(a), Thing(b)) for a, b in itertools.permutations(SHAPES, 2)],
        "counting": [(Thing(shape, count=n),) for shape in SHAPES for n in counts],
        "colors": [(Thing(shape, colour),) for shape in SHAPES for colour in COLOURS],
        "color_attr": [],
    }
    if split == "train":
        for a, b in itertools.combinations(SHAPES, 2):
            for x, y in itertools.permutations(COLOURS, 2):
                pair = (Thing(a, x), Thing(b, y))
                if pair not in held:
                    found["color_attr"] += [pair, pair[::-1]]
    else:
        chosen = [pair for pair, where in held.items() if where == split][: len(SHAPES) * len(COLOURS)]
        # Either order of naming them, in turn.
        found["color_attr"] = [pair if i % 2 else pair[::-1] for i, pair in enumerate(chosen)]
    return tuple(Item(task, things) for task in TASKS if task in tasks for things in found[task])


def chosen(split: Split, limit: int = 0) -> list[Item]:
    """The first `limit` prompts of each task of a split; all with 0."""
    seen: dict[str, int] = {}
    kept = []
    for item in items(split):
        seen[item.task] = seen.get(item.task, 0) + 1
        if not limit or seen[item.task] <= limit:
            kept.append(item)
    return kept


# --- the baseline that translates ---------------------------------------------------------------------------------


def read(prompt: str, *languages: str) -> tuple[Thing, ...]:
    """The objects that a prompt names, looked up word by word in the dictionaries of some languages.

    The longest word wins; words that are in no dictionary (articles, carriers) are passed over.
    """
    return _things([(kind, value) for kind, value, _ in _words(prompt, languages)])


def _words(prompt: str, languages: tuple[str, ...]) -> list[tuple[str, str, str]]:
    pattern, meaning = _dictionary(languages)
    return [meaning[word] for word in pattern.findall(prompt)]


def _grammar(language: str) -> Grammar:
    if language not in GRAMMARS:
        raise UserError(f"The miniature has no prompts in {language!r}: choose among {', '.join(LANGUAGES)}.")
    return GRAMMARS[language]


def _things(words: Sequence[tuple[str, str]]) -> tuple[Thing, ...]:
    shapes, colours, numbers = ([value for kind, value in words if kind == k] for k in ("shape", "colour", "number"))
    # Each language names colours in the order of its shapes, whether before or behind them.
    colours = colours if len(colours) == len(shapes) else [""] * len(shapes)
    numbers = numbers if len(numbers) == len(shapes) else ["1"] * len(shapes)
    return tuple(Thing(s, c, int(n)) for s, c, n in zip(shapes, colours, numbers, strict=True))


@cache
def _dictionary(languages: tuple[str, ...]) -> tuple[re.Pattern[str], dict[str, tuple[str, str, str]]]:
    meaning: dict[str, tuple[str, str, str]] = {}
    for language in languages:
        grammar = _grammar(language)
        for kind, words in (("shape", grammar.shapes), ("colour", grammar.colours)):
            meaning |= {form: (kind, name, language) for name, forms in words.items() for form in forms}
        meaning |= {word: ("number", str(count), language) for count, word in grammar.numbers.items()}
    return re.compile("|".join(re.escape(word) for word in sorted(meaning, key=len, reverse=True))), meaning


def translate(prompt: str, language: str, wrong: float, seed: int) -> str:
    """The prompt in English by a word dictionary that gives a wrong sense to a share of the words.

    Args:
        prompt: In `language`; words that are English already stay.
        language: Of the dictionary.
        wrong: Probability that a shape, colour or number becomes another one.
        seed: Together with the prompt it decides which.
    """
    senses = {"shape": list(SHAPES), "colour": list(COLOURS), "number": ["2", "3", "4"]}
    rng = np.random.default_rng(list(hashlib.sha256(f"{seed}/{language}/{prompt}".encode()).digest()))
    words = []
    for kind, value, origin in _words(prompt, ("en", language)):
        mistaken = origin != "en" and rng.random() < wrong
        others = [other for other in senses[kind] if other != value]
        words.append((kind, str(rng.choice(others)) if mistaken else value))
    return Item("", _things(words)).prompt("en")


# --- images -------------------------------------------------------------------------------------------------------


def code(shape: str, colour: str) -> int:
    """The image code of one object: two shape bits, then three colour bits."""
    rows = SHAPES[shape]
    bits = (rows[0][0] == "#", rows[-1][0] == "#", *COLOURS[colour])
    return int("".join(str(int(bit)) for bit in bits), 2)


def draw_item(item: Item, rng: np.random.Generator) -> Int[Tensor, " tokens"]:
    """Codes of a random image of what an item asks for: cells and unspecified colours are drawn."""
    wanted = [t for t in item.things for _ in range(t.count)]
    cells = rng.permutation(TOKENS)[: len(wanted)]
    codes = torch.zeros(TOKENS, dtype=torch.long)
    names = list(COLOURS)
    for cell, thing in zip(cells.tolist(), wanted, strict=True):
        codes[cell] = code(thing.shape, thing.colour or names[rng.integers(len(names))])
    return codes


def decode(codes: Int[Tensor, "batch tokens"]) -> Float[Tensor, "batch 12 12 3"]:
    """Images with values in [-1, 1] from codes: the bits choose a stencil and its colour."""
    bits = lfq_entries(codes, DIMS) > 0
    stencils = torch.stack([torch.tensor([[c == "#" for c in row] for row in rows]) for rows in _by_bits()])
    shape = stencils[bits[..., 0].long() * 2 + bits[..., 1].long()]
    patches = (shape[..., None] & bits[..., None, None, 2:]).float() * 2 - 1
    grid = patches.view(len(codes), GRID, GRID, PATCH, PATCH, 3).transpose(2, 3)
    return grid.reshape(len(codes), GRID * PATCH, GRID * PATCH, 3)


def _by_bits() -> list[tuple[str, ...]]:
    return sorted(SHAPES.values(), key=lambda rows: (rows[0][0] == "#", rows[-1][0] == "#"))


def encode(images: Float[Tensor, "batch 12 12 3"]) -> Int[Tensor, "batch tokens"]:
    """Codes of images with values in [-1, 1]: a linear encoder of each patch, then the quantiser."""
    patches = images.view(len(images), GRID, PATCH, GRID, PATCH, 3).transpose(2, 3)
    bright = patches.amax(-1)
    corners = torch.stack([bright[..., row, [0, -1]].mean(-1) for row in (0, -1)], dim=-1)
    latent = torch.cat([corners, patches.amax((-3, -2))], dim=-1)
    return lfq_indices(latent.movedim(-1, 1)).flatten(1)


def detect(image: Float[Tensor, "12 12 3"]) -> dict[str, list[Detection]]:
    """Objects by shape with their boxes in pixels and their colours, read from the pixels."""
    shapes = {code(shape, colour): (shape, colour) for shape in SHAPES for colour in COLOURS}
    found: dict[str, list[Detection]] = {}
    for cell, value in enumerate(encode(image[None])[0].tolist()):
        if value in shapes:
            shape, colour = shapes[value]
            y, x = (PATCH * place for place in divmod(cell, GRID))
            found.setdefault(shape, []).append(Detection((x, y, x + PATCH, y + PATCH), colour))
    return found


def object_counts(images: Float[Tensor, "batch 12 12 3"]) -> Float[Tensor, "batch kinds"]:
    """The semantic feature map: how many objects of each shape and colour an image shows, wherever they are."""
    kinds = torch.tensor([code(shape, colour) for shape in SHAPES for colour in COLOURS])
    return (encode(images)[:, :, None] == kinds).sum(1).float()


def pixels(images: Float[Tensor, "batch 12 12 3"]) -> Float[Tensor, "batch values"]:
    """The spatial feature map: the picture itself, black as zero."""
    return (images.flatten(1) + 1) / 2
