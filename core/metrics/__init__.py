"""Metrics: pure functions, and `evaluate` modules over them that load without a network.

    from core import metrics
    metrics.load("chrf").compute(predictions=["le chat"], references=[["un chat"]])

Each metric is a function of one module here (`classification`, `answers`, `translation`, `retrieval`, `confusion`,
`languages`, `likelihood`, `correlations`, `representation`) and quick to import; intervals, tests and verdicts are in
:mod:`core.metrics.stats`. `load` imports `evaluate`, which imports torch and transformers.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import evaluate

__all__ = ["available", "load"]


def available() -> dict[str, str]:
    """Names that :func:`load` takes, with a sentence on each."""
    from core.metrics.modules import SPECIFICATIONS

    return {name: specification.description for name, specification in SPECIFICATIONS.items()}


def load(name: str, **defaults: Any) -> evaluate.Metric:
    """An `evaluate.Metric` by name; nothing is downloaded.

    Args:
        name: A key of :func:`available`.
        defaults: Arguments of `compute` to fix beforehand (`language="ar"`, `k=10`).

    Raises:
        UserError: unknown metric or argument.
    """
    from core.metrics.modules import build

    return build(name, defaults)
