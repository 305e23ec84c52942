"""Accuracy and F1 of label predictions, and means of groups of values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import fmean
from typing import Any

import numpy as np


def accuracy(predictions: Sequence[Any], references: Sequence[Any]) -> float:
    """Share of predictions that equal their reference, in [0, 1].

    Raises:
        ValueError: unequal numbers, or none.
    """
    check_lengths(predictions, references)
    return sum(p == r for p, r in zip(predictions, references, strict=True)) / len(references)


def macro_f1(predictions: Sequence[Any], references: Sequence[Any], labels: Sequence[Any] | None = None) -> float:
    """Unweighted mean over labels of F1 = 2 tp / (2 tp + fp + fn), in [0, 1].

    Args:
        predictions: One label each.
        references: One label each.
        labels: The labels to average over; None takes all that occur on either side. A label that occurs on neither
            side scores 0.

    Raises:
        ValueError: unequal numbers, or none.
    """
    from sklearn.metrics import f1_score

    check_lengths(predictions, references)
    chosen = sorted({*predictions, *references}, key=str) if labels is None else list(labels)
    number = {label: index for index, label in enumerate(chosen)}
    left, right = ([number.get(label, -1) for label in side] for side in (predictions, references))
    scores = f1_score(right, left, labels=range(len(chosen)), average=None, zero_division=0.0)
    return float(np.mean(scores))


def check_lengths(predictions: Sequence[Any], references: Sequence[Any]) -> None:
    """Refuse sides that do not correspond."""
    if len(predictions) != len(references):
        raise ValueError(f"{len(predictions)} predictions but {len(references)} references.")
    if not len(references):
        raise ValueError("There is nothing to score: predictions and references are empty.")


def macro_mean(values: Mapping[str, float]) -> float:
    """The mean of groups, each the mean of its values, by the first part of their paths (`task/item`)."""
    groups: dict[str, list[float]] = {}
    for path, value in values.items():
        groups.setdefault(path.partition("/")[0], []).append(value)
    return fmean(map(fmean, groups.values()))
