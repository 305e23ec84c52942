"""Scores of single translations: the reward of GRPO and the metric of the evaluation.

    rate = scorer("comet", device="cuda")
    rate(sources, outputs, references)        # one number each

COMET-22 is the paper's. Its package is not a dependency of this repository (`pip install unbabel-comet`), and its own
loader unpickles the checkpoint; here tensors alone are read from it.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal

import torch

from core.errors import UserError

Scorer = Callable[[Sequence[str], Sequence[str], Sequence[str]], list[float]]
COMET_22 = "Unbabel/wmt22-comet-da"


def scorer(name: Literal["exact", "chrf", "comet"], device: str | torch.device = "cpu") -> Scorer:
    """A function (sources, outputs, references) -> scores: exact match and COMET in [0, 1] (COMET about), chrF++ too.

    Raises:
        UserError: COMET is asked for and its package or checkpoint is missing.
    """
    if name == "comet":
        return _comet(torch.device(device))
    return _exact if name == "exact" else _chrf


def _exact(sources: Sequence[str], outputs: Sequence[str], references: Sequence[str]) -> list[float]:
    return [float(output.strip() == reference.strip()) for output, reference in zip(outputs, references, strict=True)]


def _chrf(sources: Sequence[str], outputs: Sequence[str], references: Sequence[str]) -> list[float]:
    from core.metrics.translation import sentence_chrf

    return [sentence_chrf(out, ref, word_order=2) / 100 for out, ref in zip(outputs, references, strict=True)]


def _comet(device: torch.device, batch_size: int = 64) -> Scorer:
    try:
        from comet import download_model
        from comet.models import str2model
    except ImportError:
        raise UserError("COMET is not installed: run `pip install unbabel-comet`, or choose chrf.") from None
    import yaml

    checkpoint = Path(download_model(COMET_22))
    settings = yaml.safe_load((checkpoint.parents[1] / "hparams.yaml").read_text(encoding="utf-8"))
    model_class = str2model[settings["class_identifier"]]
    known = inspect.signature(model_class.__init__).parameters
    arguments = {name: value for name, value in settings.items() if name in known}
    model = model_class(**{**arguments, "load_pretrained_weights": False})
    state = torch.load(checkpoint, map_location="cpu", weights_only=True)["state_dict"]
    # Libraries stopped to save position ids, which nobody trains; everything else has to be there.
    absent = [key for key in model.load_state_dict(state, strict=False).missing_keys if "position_ids" not in key]
    if absent:
        raise UserError(f"{COMET_22} has no {absent[0]}, which the installed unbabel-comet wants: install version 2.2.")
    model.eval().to(device)

    @torch.inference_mode()
    def rate(sources: Sequence[str], outputs: Sequence[str], references: Sequence[str]) -> list[float]:
        rows = [{"src": s, "mt": m, "ref": r} for s, m, r in zip(sources, outputs, references, strict=True)]
        found: list[float] = []
        for start in range(0, len(rows), batch_size):
            batch: dict[str, Any] = model.prepare_for_inference(rows[start : start + batch_size])
            inputs = {name: value.to(device) for name, value in batch.items()}
            found += model.predict_step(inputs)["scores"].float().tolist()
        return found

    return rate
