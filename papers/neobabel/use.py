"""NeoBabel on your own: draw prompts in any language of a trained model, or in several at once.

    python -m papers.neobabel.use draw runs/mine "un cœur rouge et a blue circle" "两个心形" --out pictures.svg

As a library: :func:`papers.neobabel.load_painter`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from core.errors import UserError
from core.experiment.config import Range
from core.experiment.entrypoint import Verbs, tools
from core.experiment.trying import Try


@dataclass(frozen=True)
class Draw:
    """Draw prompts, in any of the model's languages or in several at once."""

    run: tyro.conf.Positional[Path]
    """Run directory of a training."""
    prompts: tyro.conf.Positional[tuple[str, ...]]
    """One or more of them; the name of a text file stands for its lines."""
    image_tokenizer: str = ""
    """Yours, file.py:function, which is run; empty: the miniature's, and none that a run directory names."""
    out: Path = Path("pictures.svg")
    """File to write; as .svg, prompts in every script are legible."""
    draws: Annotated[int, Range(1)] = 3
    """Pictures of each prompt."""


def draw(options: Draw) -> None:
    """One row a prompt."""
    from matplotlib import pyplot as plt

    from core.experiment.report import style
    from core.files import is_there, read_lines, replacing
    from core.worlds.shapes import sheet
    from papers.neobabel.eval import load_painter

    prompts = [line for given in options.prompts for line in (read_lines(given) if is_there(given) else [given])]
    if not (prompts := [prompt for prompt in prompts if prompt.strip()]):
        raise UserError("There is nothing to draw: write at least one prompt, or name a file with one a line.")
    with style():
        figure, axes = plt.subplots(figsize=(6.5 + 1.1 * options.draws, 1.2 + 1.2 * len(prompts)))
        ending = options.out.suffix[1:]
        if ending not in (known := figure.canvas.get_supported_filetypes()):
            raise UserError(f"{options.out} has no ending of a picture: choose one of {', '.join(known)}.")
        painter = load_painter(options.run, image_tokenizer=options.image_tokenizer)
        rows = [[(image, "") for image in painter([prompt] * options.draws)] for prompt in prompts]
        sheet(axes, [(prompt, "") for prompt in prompts], [("", rows)])
        with replacing(options.out) as temporary:
            figure.savefig(temporary, metadata={"Date": None} if ending == "svg" else None)
        plt.close(figure)
    print(f"{options.out}: {len(prompts)} prompts, {options.draws} pictures each")


VERBS: Verbs = {"draw": (Draw, draw)}

TRY = Try(
    command="draw {model} {data} --out {out}/pictures.svg",
    data="a text file with a prompt a line, in any of the model's languages; the model is a run directory of "
    "`papers.neobabel.train`.",
    means="What the model draws under each prompt, a row each: the same wish in two languages should give the same "
    "row.",
    limits="Consistent pictures may be consistently wrong: look at them. How often they are right or alike, "
    "`papers.neobabel.eval` counts.",
)


def main(arguments: Sequence[str] | None = None) -> None:
    """The command; the user's mistakes end with one sentence and exit code 2."""
    tools("papers.neobabel.use", __doc__, VERBS, arguments)


if __name__ == "__main__":
    main()
