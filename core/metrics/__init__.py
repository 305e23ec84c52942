"""Metrics: pure functions, and `evaluate` modules over them that load without a network.

    from core import metrics
    metrics.load("chrf").compute(predictions=["le chat"], references=[["un chat"]])

Each metric is a function of one module here and quick to import: `answers`, `calls`, `classification` and `steps` of
answers, `translation`, `retrieval`, `likelihood`, `representation`; `confusion`, `languages` and `gaps` between
languages; `agreement`, `correlations`, `lines` and `scaling` over units. Of measurements with seeds and units,
`comparison` says what is drawn and paired, `intervals` and `correlations` compute intervals, and
:mod:`core.metrics.stats` has them all, with outcomes and tests. `load` imports `evaluate`, which imports torch and
transformers; its metrics are in `modules`.
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
