"""Scaling laws: exact points give the law back, noise an interval that covers it."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.metrics import scaling

X = [1.0, 2.0, 4.0, 8.0, 16.0]


@settings(deadline=None, max_examples=40)
@given(a=st.floats(0.1, 10), b=st.floats(-1.5, 1.5))
def test_a_power_law_is_found(a: float, b: float) -> None:
    law = scaling.fit_power(X, [a * x**b for x in X])
    assert (law.a, law.b) == pytest.approx((a, b), rel=1e-4, abs=1e-4)
    if abs(b) > 0.05:
        assert law.invert(law(3.0)) == pytest.approx(3.0, rel=1e-3)


@settings(deadline=None, max_examples=40)
@given(a=st.floats(0.1, 2), b=st.floats(0.1, 2), c=st.floats(0.5, 3))
def test_a_saturating_law_is_found(a: float, b: float, c: float) -> None:
    law = scaling.fit_saturating(X, [c - a * x**-b for x in X])
    assert (law.a, law.b, law.c) == pytest.approx((-a, -b, c), rel=1e-2, abs=1e-2)
    assert law.r2 > 0.9999
    assert law.invert(c + 1) == float("inf"), "beyond the limit"


def test_what_is_left_out_is_predicted() -> None:
    errors = scaling.left_out_errors(scaling.fit_power, X, [3 * x**0.5 for x in X[:-1]] + [100.0])
    assert max(map(abs, errors[:-1])) > 1, "the last point spoils the others"
    assert abs(errors[-1]) == pytest.approx(100 - 12, rel=1e-3), "and is itself foretold by the law"


def test_an_interval_over_seeds_covers_the_exponent() -> None:
    rng, hits = np.random.default_rng(0), 0
    for trial in range(30):
        ys = 2 * np.array(X) ** 0.4 + rng.normal(0, 0.1, (6, len(X)))
        hits += 0.4 in scaling.fitted_interval(scaling.fit_power, X, ys, lambda law: law.b, draws=120, seed=trial)
    assert hits >= 24


@pytest.mark.parametrize(
    ("fit", "x", "y"),
    [
        (scaling.fit_power, [1.0], [1.0]), (scaling.fit_power, [1.0, 1.0], [1.0, 2.0]),
        (scaling.fit_power, [1.0, 2.0], [1.0, -2.0]), (scaling.fit_power, [0.0, 2.0], [1.0, 2.0]),
        (scaling.fit_saturating, [1.0, 2.0], [1.0, 2.0]), (scaling.fit_power, [1.0, 2.0], [1.0]),
    ],
)  # fmt: skip
def test_what_is_no_law_is_refused(fit: scaling.Fit, x: list[float], y: list[float]) -> None:
    with pytest.raises(ValueError, match="needs"):
        fit(x, y)
