"""Average checkpoints, one file at a time, so that no more than one shard of them is ever in memory.

    python -m papers.neobabel.merging checkpoints/step-* --kind sma --out merged
    merge(["step-1", "step-2"], "merged", kind="ema")

Works on any `save_pretrained` folders (or single safetensors files) with the same names and shapes.
"""

from __future__ import annotations

import argparse
import shutil
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

from core.errors import UserError
from core.files import replacing
from papers.neobabel.method import MergeKind, merge_weights


def merge(paths: Sequence[str | Path], out: str | Path, kind: MergeKind = "sma", decay: float = 0.9) -> Path:
    """Write the average of checkpoints, the oldest first.

    Args:
        paths: Folders or `.safetensors` files. What is no weight (configuration, tokenizer) comes from the last folder.
        out: New folder or file.
        kind: sma, wma (w_i = i) or ema (w_i = decay^(n - i)).
        decay: Of the exponential average.

    Raises:
        UserError: Nothing to merge, or checkpoints with different files, names or shapes.
    """
    if not paths:
        raise UserError("There is nothing to merge: give at least one checkpoint.")
    weights = merge_weights(kind, len(paths), decay)
    sources, out = [Path(path) for path in paths], Path(out)
    if all(path.is_file() for path in sources):
        with replacing(out) as temporary:
            save_file(average(sources, weights), temporary, metadata={"format": "pt"})
        return out
    names = sorted(path.name for path in sources[-1].glob("*.safetensors") if not path.name.startswith("optimizer"))
    if not names:
        raise UserError(f"{sources[-1]} has no *.safetensors: give folders that save_pretrained wrote.")
    out.mkdir(parents=True, exist_ok=True)
    for path in sources[-1].iterdir():
        if path.is_file() and path.suffix != ".safetensors":
            shutil.copy2(path, out / path.name)
    for name in names:
        with replacing(out / name) as temporary:
            save_file(average([path / name for path in sources], weights), temporary, metadata={"format": "pt"})
    return out


def average(files: Sequence[Path], weights: Sequence[float]) -> dict[str, Tensor]:
    """Weighted average of the tensors of several files, accumulated in float32, in each tensor's own dtype.

    Raises:
        UserError: A file that is missing or has other tensors than the first.
    """
    missing = [path for path in files if not path.is_file()]
    if missing:
        raise UserError(f"{missing[0]} does not exist: merge checkpoints of one training run.")
    totals: dict[str, Tensor] = {}
    kinds: dict[str, torch.dtype] = {}
    for path, weight in zip(files, weights, strict=True):
        with safe_open(path, framework="pt") as file:
            if totals and set(file.keys()) != set(totals):
                raise UserError(f"{path} has other tensors than {files[0]}: merge checkpoints of one training run.")
            for name in file.keys():  # noqa: SIM118, the handle is not a mapping
                tensor = file.get_tensor(name)
                if name in totals and totals[name].shape != tensor.shape:
                    raise UserError(f"{path}: {name} has another shape than in {files[0]}.")
                kinds[name] = tensor.dtype
                part = tensor.float() * weight
                totals[name] = totals[name] + part if name in totals else part
    return {name: total.to(kinds[name]) for name, total in totals.items()}


def average_states(files: Sequence[Path], kind: MergeKind, decay: float = 0.9) -> Mapping[str, Tensor]:
    """The merged state dictionary of checkpoint files, for a model that is already in memory."""
    return average(files, merge_weights(kind, len(files), decay))


def main(arguments: Sequence[str] | None = None) -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkpoints", nargs="+", help="folders or .safetensors files, the oldest first")
    parser.add_argument("--kind", choices=("sma", "wma", "ema"), default="sma")
    parser.add_argument("--decay", type=float, default=0.9, help="of ema")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--dry-run", action="store_true", help="print the weights and stop")
    options = parser.parse_args(arguments)
    shares = merge_weights(options.kind, len(options.checkpoints), options.decay)
    for path, share in zip(options.checkpoints, shares, strict=True):
        print(f"{share:.4f}  {path}")
    if options.dry_run:
        return
    try:
        print(merge(options.checkpoints, options.out, options.kind, options.decay))
    except UserError as error:
        print(error, file=sys.stderr)
        raise SystemExit(2) from None


if __name__ == "__main__":
    main()
