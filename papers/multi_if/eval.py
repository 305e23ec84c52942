"""Measure it.

    python -m papers.multi_if.eval tiny --variant related --seed 0

The run's folder then holds measurement.json, from which claims are judged and the figure is drawn.
"""

from __future__ import annotations

from core.experiment.entrypoint import entrypoint
from core.experiment.run import Measurement, Run
from papers.multi_if.config import Config


def evaluate(config: Config, run: Run) -> Measurement:
    """The score of one variant; a claim over languages or items would need `units` too (docs/guide/add-a-paper.md)."""
    from papers.multi_if import data, method

    x, y = data.pairs(config.items, related=config.related, seed=config.seed)
    return Measurement(metrics={"score": method.correlation(x, y), "trivial_guess": 0.0})


if __name__ == "__main__":
    entrypoint(evaluate)
