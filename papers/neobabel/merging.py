"""Average checkpoints, one file at a time, so that no more than one shard of them is ever in memory.

    python -m papers.neobabel.use merge checkpoints/step-* --kind sma --out merged
    merge(["step-1", "step-2"], "merged", kind="ema")

Works on any `save_pretrained` folders (or single safetensors files) with the same names and shapes.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

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
