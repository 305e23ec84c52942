"""A least-squares line and its prediction intervals."""

from __future__ import annotations

import math

import numpy as np
import pytest

from core.metrics.lines import fit_line, leave_one_out, residuals


def test_predictions_come_with_students_interval() -> None:
    x, y = [0.1, 0.2, 0.4, 0.7, 0.9], [0.30, 0.42, 0.50, 0.71, 0.88]
    fit = fit_line(x, y)
    slope, intercept = np.polyfit(x, y, 1)
    assert (fit.slope, fit.intercept) == pytest.approx((slope, intercept))
    found = fit.predict(0.5)
    residual = np.sqrt(np.sum((np.array(y) - np.polyval([slope, intercept], x)) ** 2) / 3)
    error = residual * np.sqrt(1 + 1 / 5 + (0.5 - np.mean(x)) ** 2 / np.sum((np.array(x) - np.mean(x)) ** 2))
    assert found.high - found.estimate == pytest.approx(3.182446 * error, rel=1e-5)  # t(.975, 3)
    assert fit.predict(3.0).high - fit.predict(3.0).estimate > found.high - found.estimate
    assert fit_line([0, 1], [0.3, 0.6]).predict(0.5).high == math.inf
    with pytest.raises(ValueError, match="different x"):
        fit_line([0.5, 0.5], [0.1, 0.2])


def test_prediction_intervals_cover_new_points() -> None:
    rng = np.random.default_rng(0)
    inside = 0
    for _ in range(400):
        x = rng.uniform(0, 1, 12)
        y = 0.25 + 0.6 * x + rng.normal(0, 0.05, 12)
        predicted = fit_line(x[1:].tolist(), y[1:].tolist()).predict(float(x[0]))
        inside += predicted.low <= y[0] <= predicted.high
    assert 0.92 <= inside / 400 <= 0.98


def test_leaving_one_unit_out() -> None:
    x_of = {code: 0.1 * i for i, code in enumerate("abcdef")}
    gain = leave_one_out(x_of, {code: 0.3 + 0.5 * x for code, x in x_of.items()})
    assert gain["a"] == pytest.approx(0.15)  # the line is exact, the mean of the others is off by this
    assert leave_one_out(dict.fromkeys("abcde", 0.0), dict(zip("abcde", (1, 2, 3, 4, 5), strict=True)))["a"] == 0


def test_remainders_are_orthogonal_to_the_line_and_give_the_partial_correlation() -> None:
    x, y, z = np.random.default_rng(0).normal(size=(3, 12))
    left, right = (np.array(residuals(z.tolist(), side.tolist())) for side in (x, y))
    assert [left.sum(), left @ z] == pytest.approx([0, 0], abs=1e-9)
    r = np.corrcoef([x, y, z])
    partial = (r[0, 1] - r[0, 2] * r[1, 2]) / math.sqrt((1 - r[0, 2] ** 2) * (1 - r[1, 2] ** 2))
    assert np.corrcoef(left, right)[0, 1] == pytest.approx(partial)
