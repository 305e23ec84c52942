"""Pictures that are small enough to be exact: coloured shapes on a 3 x 3 grid, and how six languages name them.

    codes = place([Thing("circle", "red")], rng)                # a random cell for each thing
    picture = decode(codes[None])[0]                            # 12 x 12 pixels
    things(picture)                                             # [(cell, Thing)], read back without error
    object_counts(pictures), looks(pictures)                    # what is shown, and how alike it looks, as vectors
    describe([Thing("circle", "red")], "hi")                    # in Hindi
    paint(axes, picture)                                        # as smooth shapes; `sheet` has rows of them

A picture is a tensor [12, 12, 3] with values in [-1, 1]. Its tokenizer is a real lookup-free quantiser of five bits a
4 x 4 patch (two for the shape, three for the signs of red, green and blue; index 0 is empty): 9 codes of 32. The module
itself is an image tokenizer: `size`, `encode`, `decode`.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Sequence
from pathlib import Path
from random import Random
from typing import Any, NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from core.corpora.files import table_rows
from core.errors import UserError

GRID, PATCH, DIMS = 3, 4, 5
TOKENS, CODES, size = GRID * GRID, 2**DIMS, GRID * PATCH
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
INKS = {
    "red": "#E5484D", "green": "#30A46C", "blue": "#4C82FB", "yellow": "#F5D90A", "purple": "#B75FE0",
    "turquoise": "#25C9C9", "white": "#F5F5F5",
}  # fmt: skip


class Thing(NamedTuple):
    """One object; in a description without a colour any will do."""

    shape: str
    colour: str = ""


# --- words --------------------------------------------------------------------------------------------------------


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


GRAMMARS = {row["language"]: Grammar(**row) for _, row in table_rows(Path(__file__).with_suffix(".tsv"))}


def describe(named: Sequence[Thing], language: str, last: str = "") -> str:
    """One or two things in one language, the last one in `last` where that is another.

    Raises:
        UserError: A language that `GRAMMARS` lacks.
    """
    last = last or language
    if odd := {language, last} - GRAMMARS.keys():
        raise UserError(f"The miniature has no prompts in {odd.pop()!r}: choose among {', '.join(GRAMMARS)}.")
    *begin, end = named
    first, final = GRAMMARS[language], GRAMMARS[last].phrase(end)
    return first.pair.format(first.phrase(begin[0]), final) if begin else final


def mistaken(thing: Thing, share: float, rng: Random) -> Thing:
    """What a dictionary makes of a thing in which each word has got another one's sense with this probability."""

    def sense(word: str, words: Iterable[str]) -> str:
        others = [other for other in words if other != word]
        return rng.choice(others) if word and rng.random() < share else word

    return Thing(sense(thing.shape, SHAPES), sense(thing.colour, COLOURS))


# --- pictures -----------------------------------------------------------------------------------------------------


def lfq_indices(latent: Float[Tensor, "*batch dims height width"]) -> Int[Tensor, "*batch height width"]:
    """Lookup-free quantisation: index = sum_j 2^(D - 1 - j) [z_j > 0]. Zero counts as 0; dimension 0 leads."""
    weights = 2 ** torch.arange(latent.shape[-3] - 1, -1, -1, device=latent.device)
    return ((latent > 0) * weights[:, None, None]).sum(-3)


def lfq_entries(indices: Int[Tensor, "*shape"], dims: int) -> Float[Tensor, "*shape dims"]:
    """The quantised vectors of codes: each bit as -1 or +1."""
    shifts = torch.arange(dims - 1, -1, -1, device=indices.device)
    return ((indices[..., None] >> shifts) & 1).float() * 2 - 1


def code(thing: Thing) -> int:
    """The code of a coloured thing: two shape bits, then three colour bits."""
    rows = SHAPES[thing.shape]
    bits = (rows[0][0] == "#", rows[-1][0] == "#", *COLOURS[thing.colour])
    return int("".join(str(int(bit)) for bit in bits), 2)


KINDS = {code(thing): thing for thing in (Thing(shape, colour) for shape in SHAPES for colour in COLOURS)}


def place(shown: Sequence[Thing], rng: np.random.Generator) -> Int[Tensor, " tokens"]:
    """Codes of a random picture of some things: cells and colours that are not named are drawn."""
    codes, names = torch.zeros(TOKENS, dtype=torch.long), list(COLOURS)
    for cell, thing in zip(rng.permutation(TOKENS).tolist(), shown, strict=False):
        codes[cell] = code(Thing(thing.shape, thing.colour or names[rng.integers(len(names))]))
    return codes


def decode(codes: Int[Tensor, "batch tokens"]) -> Float[Tensor, "batch 12 12 3"]:
    """Pictures from codes: the bits choose a stencil and its colour."""
    bits = lfq_entries(codes, DIMS) > 0
    by_bits = sorted(SHAPES.values(), key=lambda rows: (rows[0][0] == "#", rows[-1][0] == "#"))
    stencils = torch.tensor([[[cell == "#" for cell in row] for row in rows] for rows in by_bits])
    shape = stencils[bits[..., 0].long() * 2 + bits[..., 1].long()]
    filled = (shape[..., None] & bits[..., None, None, 2:]).float() * 2 - 1
    grid = filled.view(len(codes), GRID, GRID, PATCH, PATCH, 3).transpose(2, 3)
    return grid.reshape(len(codes), size, size, 3)


def patches(pictures: Float[Tensor, "batch 12 12 3"]) -> Float[Tensor, "batch 3 3 4 4 3"]:
    """The cells of pictures, row by row."""
    return pictures.reshape(len(pictures), GRID, PATCH, GRID, PATCH, 3).transpose(2, 3)


def encode(pictures: Float[Tensor, "batch 12 12 3"]) -> Int[Tensor, "batch tokens"]:
    """Codes of pictures: a linear encoder of each patch, then the quantiser."""
    found = patches(pictures)
    bright = found.amax(-1)
    corners = torch.stack([bright[..., row, [0, -1]].mean(-1) for row in (0, -1)], dim=-1)
    latent = torch.cat([corners, found.amax((-3, -2))], dim=-1)
    return lfq_indices(latent.movedim(-1, 1)).flatten(1)


def things(picture: Float[Tensor, "12 12 3"]) -> list[tuple[int, Thing]]:
    """Cell and kind of everything that a picture shows."""
    return [(cell, KINDS[c]) for cell, c in enumerate(encode(picture[None])[0].tolist()) if c in KINDS]


def crowd(seeds: Sequence[int]) -> Float[Tensor, "batch 12 12 3"]:
    """Nine random objects a picture."""
    kinds, noise = torch.tensor(list(KINDS)), (torch.Generator().manual_seed(seed) for seed in seeds)
    return decode(torch.stack([kinds[torch.randint(len(kinds), (TOKENS,), generator=g)] for g in noise]))


def object_counts(pictures: Float[Tensor, "batch 12 12 3"]) -> Float[Tensor, "batch kinds"]:
    """How many objects of each shape and colour a picture shows, wherever they are, less the mean."""
    counts = (encode(pictures)[:, :, None] == torch.tensor(list(KINDS))).sum(1).float()
    return counts - counts.mean(0)


def looks(pictures: Float[Tensor, "batch 12 12 3"]) -> Float[Tensor, "batch values"]:
    """The average patch, less the mean."""
    found = ((patches(pictures) + 1) / 2).mean((1, 2)).flatten(1)
    return found - found.mean(0)


def paint(axes: Any, picture: Float[Tensor, "12 12 3"], left: float = 0.0, top: float = 0.0) -> None:
    """A picture as smooth shapes, in a unit square of matplotlib's axes whose y runs downwards."""
    from matplotlib import patches as drawn

    axes.add_patch(drawn.Rectangle((left, top), 1, 1, facecolor="#1B1B1F", linewidth=0))
    for cell, thing in things(picture):
        centre = (left + (cell % GRID + 0.5) / GRID, top + (cell // GRID + 0.5) / GRID)
        outline = _outline(thing.shape) * 0.36 / GRID + centre
        axes.add_patch(drawn.Polygon(outline, facecolor=INKS[thing.colour], edgecolor="none", zorder=3))


def _outline(shape: str) -> np.ndarray:
    turn = np.linspace(0, 2 * np.pi, 60)
    if shape == "heart":
        y = 13 * np.cos(turn) - 5 * np.cos(2 * turn) - 2 * np.cos(3 * turn) - np.cos(4 * turn) + 2.5
        return np.stack([16 * np.sin(turn) ** 3, -y], 1) / 15
    if shape == "circle":
        return np.stack([np.cos(turn), np.sin(turn)], 1)
    upper = [(0.95, -0.9), (-0.95, -0.9)] if shape == "square" else [(0.0, -0.95)]
    return np.array([(-0.95, 0.9), (0.95, 0.9), *upper])


def frame(axes: Any, left: float, top: float, side: float, colour: str) -> None:
    """A square without filling."""
    from matplotlib.patches import Rectangle

    axes.add_patch(Rectangle((left, top), side, side, facecolor="none", edgecolor=colour, linewidth=2))


def sheet(
    axes: Any,
    prompts: Sequence[tuple[str, str]],
    columns: Sequence[tuple[str, Sequence[Sequence[tuple[Float[Tensor, "height width 3"], str]]]]],
) -> float:
    """Prompts, and beside them their pictures; text stays text in an SVG, so that a browser shows every script.

    Args:
        axes: Where to draw.
        prompts: Of each row, and a word about it.
        columns: Title, and for each row pictures with the colours of their frames ("" = none). A picture of this world
            is painted in smooth shapes, any other as it is.

    Returns:
        Where the rows end, in the unit of a picture's side.
    """
    import matplotlib

    matplotlib.rcParams["svg.fonttype"] = "none"
    warnings.filterwarnings("ignore", r"Glyph \d+ .* missing", UserWarning)
    step = 1.16
    width = step * len(columns[0][1][0]) + 0.5
    for number, (title, pictures) in enumerate(columns):
        axes.text(number * width, -0.25, title, fontsize=8.5, weight="bold", va="bottom")
        for row, shown in enumerate(pictures):
            for place, (picture, colour) in enumerate(shown):
                left, top = number * width + place * step, row * step
                if picture.shape == (size, size, 3):
                    paint(axes, picture, left, top)
                else:
                    axes.imshow(((picture + 1) / 2).clamp(0, 1), extent=(left, left + 1, top + 1, top), zorder=2)
                if colour:
                    frame(axes, left - 0.04, top - 0.04, 1.08, colour)
    for row, (prompt, note) in enumerate(prompts):
        axes.text(-0.25, row * step + 0.38, prompt, fontsize=10, ha="right", va="center")
        axes.text(-0.25, row * step + 0.74, note, fontsize=8, ha="right", va="center", color="#6E6E6E")
    axes.set(xlim=(-6.2, len(columns) * width), ylim=(len(prompts) * step + 0.6, -1.2), aspect="equal")
    axes.axis("off")
    return len(prompts) * step + 0.1
