"""Average checkpoints, one file at a time, so that no more than one shard of them is ever in memory.

    python -m papers.neobabel.merging checkpoints/step-* --kind sma --out merged
    merge(["step-1", "step-2"], "merged", kind="ema")

Works on any `save_pretrained` folders (or single safetensors files) with the same names and shapes.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from core.experiment.entrypoint import exit_codes
from core.models import merging
from papers.neobabel.method import MergeKind, merge_weights


def merge(paths: Sequence[str | Path], out: str | Path, kind: MergeKind = "sma", decay: float = 0.9) -> Path:
    """Write the average of checkpoints, the oldest first; see :func:`core.models.merging.merge`.

    Args:
        paths: Folders or `.safetensors` files.
        out: New folder or file.
        kind: sma, wma (w_i = i) or ema (w_i = decay^(n - i)).
        decay: Of the exponential average.
    """
    return merging.merge(paths, out, merging.average(merge_weights(kind, len(paths), decay)))


def main(arguments: Sequence[str] | None = None) -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkpoints", nargs="+", help="folders or .safetensors files, the oldest first")
    parser.add_argument("--kind", choices=("sma", "wma", "ema"), default="sma")
    parser.add_argument("--decay", type=float, default=0.9, help="of ema")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--dry-run", action="store_true", help="print the weights and stop")
    options = parser.parse_args(arguments)
    with exit_codes(debug=False):
        shares = merge_weights(options.kind, len(options.checkpoints), options.decay)
        for path, share in zip(options.checkpoints, shares, strict=True):
            print(f"{share:.4f}  {path}")
        if options.dry_run:
            return
        print(merge(options.checkpoints, options.out, options.kind, options.decay))


if __name__ == "__main__":
    main()
