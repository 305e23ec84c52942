"""NeoBabel on your own: draw with a trained model, average checkpoints, turn pictures into shards of codes.

    python -m papers.neobabel.use draw runs/mine "un cœur rouge et a blue circle" "两个心形" --out pictures.svg
    python -m papers.neobabel.use merge checkpoints/step-* --kind sma --out merged
    python -m papers.neobabel.use prepare cc12m --image-tokenizer magvit.py:load --out data/cc12m

As a library: :func:`papers.neobabel.load_painter`, :func:`papers.neobabel.merge`, :func:`papers.neobabel.write_shards`.
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
from papers.neobabel.config import MergeKind


@dataclass(frozen=True)
class Draw:
    """Draw prompts, in any of the model's languages or in several at once."""

    run: tyro.conf.Positional[Path]
    """Run directory of a training."""
    prompts: tyro.conf.Positional[tuple[str, ...]]
    """One or more of them."""
    out: Path = Path("pictures.svg")
    """File to write; as .svg, prompts in every script are legible."""
    draws: Annotated[int, Range(1)] = 3
    """Pictures of each prompt."""

    def __post_init__(self) -> None:
        """Refuse nothing to draw."""
        if not self.prompts:
            raise UserError("There is nothing to draw: write at least one prompt.")


@dataclass(frozen=True)
class Merge:
    """Average checkpoints, one shard at a time."""

    checkpoints: tyro.conf.Positional[tuple[str, ...]]
    """Folders of save_pretrained or .safetensors files, the oldest first."""
    out: Path
    """New folder or file."""
    kind: MergeKind = "sma"
    """Equal weights, weights that grow with the number, or that fall off exponentially into the past."""
    decay: Annotated[float, Range(0, 1)] = 0.9
    """Of ema."""

    def __post_init__(self) -> None:
        """Refuse nothing to merge."""
        if not self.checkpoints:
            raise UserError("There is nothing to merge: name at least one checkpoint.")


@dataclass(frozen=True)
class Prepare:
    """Turn images with captions into shards of codes, once: at scale, training reads nothing else."""

    folder: tyro.conf.Positional[Path]
    """Images and their captions: captions.csv, translations.json, or imagenet_label_mapping_<language>."""
    image_tokenizer: str
    """Your own, as in train and eval; `world` is the miniature's."""
    out: Path
    """Folder for the shards."""
    rows: Annotated[int, Range(1)] = 10_000
    """Images of one shard."""


def draw(options: Draw) -> None:
    """One row a prompt."""
    from papers.neobabel import figure
    from papers.neobabel.eval import load_painter

    painter = load_painter(options.run)
    rows = [(prompt, painter([prompt] * options.draws)) for prompt in options.prompts]
    figure.write_sheet(options.out, rows)
    print(f"{options.out}: {len(rows)} prompts, {options.draws} pictures each")


def merge(options: Merge) -> None:
    """Print the weights and write the average."""
    from papers.neobabel import model

    shares = model.merge_weights(options.kind, len(options.checkpoints), options.decay)
    for path, share in zip(options.checkpoints, shares, strict=True):
        print(f"{share:.4f}  {path}")
    print(model.merge(options.checkpoints, options.out, options.kind, options.decay))


def prepare(options: Prepare) -> None:
    """Write the shards and say how many images they hold."""
    from papers.neobabel import data

    tokenizer = data.image_tokenizer(options.image_tokenizer)
    print(f"{options.out}: {data.write_shards(options.folder, tokenizer, options.out, options.rows)} images")


VERBS: Verbs = {"draw": (Draw, draw), "merge": (Merge, merge), "prepare": (Prepare, prepare)}


def main(arguments: Sequence[str] | None = None) -> None:
    """The command; the user's mistakes end with one sentence and exit code 2."""
    tools("papers.neobabel.use", __doc__, VERBS, arguments)


if __name__ == "__main__":
    main()
