"""The contact sheet: one row a language, one column a prompt, a frame that tells right from wrong.

write("samples.png", {"en": images, "fr": images}, prompts)
"""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from core.errors import UserError
from core.experiment.report import COLOURS
from core.files import replacing
from core.text.languages import name as language_name

if TYPE_CHECKING:
    from matplotlib.axes import Axes

RIGHT, WRONG = COLOURS["green"], COLOURS["vermilion"]
GAP = 0.14


def tile(
    axes: Axes,
    images: Mapping[str, Any],
    prompts: Sequence[str],
    right: Mapping[str, Sequence[bool]] | None = None,
    *,
    labels: bool = True,
) -> None:
    """Draw the sheet into axes; images are [n, height, width, 3] in [-1, 1] by language.

    Args:
        axes: Left without ticks and frame.
        images: One row each, in this order from the top.
        prompts: Titles of the columns, on as many lines as they need above the axes.
        right: Whether each image shows what was asked for; None leaves the frames out.
        labels: Whether the rows get the languages' names.
    """
    from matplotlib.patches import Rectangle

    for row, (code, shown) in enumerate(images.items()):
        for column, image in enumerate(np.asarray(shown)):
            left, top = column * (1 + GAP), row * (1 + GAP)
            pixels = np.clip((image + 1) / 2, 0, 1)
            axes.imshow(pixels, extent=(left, left + 1, top + 1, top), interpolation="nearest", zorder=2)
            if right is not None:
                colour = RIGHT if right[code][column] else WRONG
                axes.add_patch(
                    Rectangle((left - 0.03, top - 0.03), 1.06, 1.06, fill=False, edgecolor=colour, lw=1.8, zorder=3)
                )
        if labels and code:
            axes.text(-0.12, row * (1 + GAP) + 0.5, _name(code), ha="right", va="center", fontsize=8.5)
    for column, prompt in enumerate(prompts):
        axes.text(column * (1 + GAP) + 0.5, -0.12, _wrapped(prompt), ha="center", va="bottom", fontsize=7)
    columns, rows = max(len(shown) for shown in images.values()), len(images)
    axes.set_xlim(-0.08, columns * (1 + GAP) - GAP + 0.08)
    axes.set_ylim(rows * (1 + GAP) - GAP + 0.08, -0.08)
    axes.set_aspect("equal")
    axes.axis("off")


def _wrapped(prompt: str) -> str:
    return "\n".join(textwrap.wrap(prompt, 13))


def _name(code: str) -> str:
    try:
        return language_name(code)
    except UserError:  # the user's own label
        return code


def write(
    path: Path, images: Mapping[str, Any], prompts: Sequence[str], right: Mapping[str, Sequence[bool]] | None = None
) -> Path:
    """The sheet as a PNG. Prompts in scripts that the figure font lacks are numbered instead."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    columns, rows = max(len(shown) for shown in images.values()), len(images)
    titles = [prompt if _drawable(prompt) else f"prompt {number}" for number, prompt in enumerate(prompts, start=1)]
    # Inches: an image is one wide; the left margin holds a language's name, the upper one the longest prompt.
    left, above = 1.0 if any(images) else 0.1, 0.2 + 0.125 * max(_wrapped(title).count("\n") + 1 for title in titles)
    width, height = columns * (1 + GAP) - GAP + 0.16, rows * (1 + GAP) - GAP + 0.16
    figure = Figure(figsize=(left + width + 0.1, above + height + 0.1), dpi=110)
    FigureCanvasAgg(figure)
    whole = figure.get_size_inches()
    axes = figure.add_axes((left / whole[0], 0.1 / whole[1], width / whole[0], height / whole[1]))
    tile(axes, images, titles, right)
    with replacing(path) as temporary:
        figure.savefig(temporary)
    return path


def write_2x2(path: Path, images: Any) -> Path:
    """Four images [4, height, width, 3] in [-1, 1] of one prompt as one 2 x 2 picture.

    That is what the scorer of DPG-Bench (and so of m-DPG) reads, one file for each prompt.
    """
    from PIL import Image

    first, second, third, fourth = np.asarray(images)
    picture = np.concatenate([np.concatenate([first, second], 1), np.concatenate([third, fourth], 1)], 0)
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(((picture.clip(-1, 1) + 1) * 127.5).round().astype(np.uint8)).save(path)
    return path


def _drawable(text: str) -> bool:
    from matplotlib import font_manager
    from matplotlib.ft2font import FT2Font

    known = FT2Font(font_manager.findfont("DejaVu Sans")).get_charmap()
    return all(ord(character) in known for character in text)
