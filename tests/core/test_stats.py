"""Intervals, tests and verdicts: known values, invariants, and coverage by simulation."""

from __future__ import annotations

import math
import time

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from scipy import stats as scipy_stats

from core.metrics import stats
from core.metrics.intervals import spread_of

FLOATS = st.floats(-1e3, 1e3, allow_nan=False).map(lambda value: round(value, 6))


# ---------------------------------------------------------------- the verdict rule


@pytest.mark.parametrize(
    ("low", "high", "better", "margin", "expected"),
    [
        (0.01, 0.2, "higher", 0.0, "reproduced"),
        (0.0, 0.2, "higher", 0.0, "not reproduced"),
        (-0.1, 0.1, "higher", 0.0, "not reproduced"),
        (-0.2, -0.01, "higher", 0.0, "contradicted"),
        (0.05, 0.2, "higher", 0.1, "not reproduced"),
        (0.11, 0.2, "higher", 0.1, "reproduced"),
        (0.01, 0.09, "higher", 0.1, "contradicted"),
        (-0.04, 0.2, "higher", -0.05, "reproduced"),  # non-inferiority
        (-0.2, -0.06, "higher", -0.05, "contradicted"),
        (-0.2, -0.01, "lower", 0.0, "reproduced"),
        (-0.2, 0.0, "lower", 0.0, "not reproduced"),
        (0.01, 0.2, "lower", 0.0, "contradicted"),
        (-0.2, -0.11, "lower", 0.1, "reproduced"),
        (-0.09, -0.01, "lower", 0.1, "contradicted"),
        (-0.01, 0.01, "equal", 0.01, "reproduced"),
        (-0.02, 0.01, "equal", 0.01, "not reproduced"),
        (-0.5, 0.5, "equal", 0.01, "not reproduced"),
        (0.02, 0.03, "equal", 0.01, "contradicted"),
        (-0.03, -0.02, "equal", 0.01, "contradicted"),
        (-math.inf, math.inf, "higher", 0.0, "not reproduced"),
        (-math.inf, math.inf, "equal", 1.0, "not reproduced"),
        (0.0, 0.0, "equal", 0.0, "reproduced"),
        (math.nan, math.nan, "higher", 0.0, "not reproduced"),
    ],
)
def test_verdict(low, high, better, margin, expected):
    assert stats.verdict((low, high), better, margin) == expected
    assert stats.verdict(stats.Interval(0.0, low, high, ""), better, margin) == expected


@given(FLOATS, FLOATS, st.floats(-5, 5))
def test_lower_is_higher_mirrored(a, b, margin):
    low, high = min(a, b), max(a, b)
    assert stats.verdict((low, high), "lower", margin) == stats.verdict((-high, -low), "higher", margin)


# ---------------------------------------------------------------- intervals of means


def test_standard_error():
    assert stats.standard_error([1, 2, 3, 4]) == pytest.approx(math.sqrt(5 / 3) / 2)
    assert math.isnan(stats.standard_error([1.0]))


def test_bootstrap_of_few_values_is_students():
    values = [0.1, 0.4, 0.2, 0.9]
    found = stats.bootstrap_interval(values)
    expected = scipy_stats.t.interval(0.95, 3, np.mean(values), scipy_stats.sem(values))
    assert (found.low, found.high) == pytest.approx(expected)
    assert found.method == "t over 4 values"


def test_bootstrap_of_many_values_is_bca():
    values = np.random.default_rng(0).exponential(size=50)
    found = stats.bootstrap_interval(values)
    reference = scipy_stats.bootstrap(
        (values,), np.mean, n_resamples=10_000, method="BCa", rng=np.random.default_rng(0)
    )
    assert (found.low, found.high) == pytest.approx(tuple(reference.confidence_interval))
    assert found.low < found.estimate < found.high
    assert found.high - found.estimate > found.estimate - found.low  # skewed as the data are
    assert "BCa" in found.method
    assert stats.bootstrap_interval(values) == found
    assert "percentile" in stats.bootstrap_interval(np.tile(values, 50), n=200).method


def test_bootstrap_of_another_statistic():
    values = np.random.default_rng(0).normal(size=40)
    found = stats.bootstrap_interval(values, np.median, n=500)
    assert found.estimate == np.median(values)
    assert found.low <= found.estimate <= found.high


def test_degenerate_samples():
    constant = stats.bootstrap_interval([0.5] * 20)
    assert (constant.low, constant.high) == (0.5, 0.5)
    single = stats.bootstrap_interval([0.5])
    assert (single.low, single.high) == (-math.inf, math.inf)
    assert math.isnan(single.standard_error)
    for bad in ([], [1.0, math.nan], [[1.0]]):
        with pytest.raises(ValueError, match=r"finite|non-empty"):
            stats.bootstrap_interval(bad)


def test_one_number_per_seed_is_a_paired_t_interval():
    treatment, control = np.array([[0.9], [0.8], [0.85]]), np.array([[0.5], [0.6], [0.4]])
    found = stats.difference_interval(treatment, control)
    difference = (treatment - control).ravel()
    expected = scipy_stats.t.interval(0.95, 2, difference.mean(), scipy_stats.sem(difference))
    assert (found.low, found.high) == pytest.approx(expected)
    assert found.method == "t over 3 seeds"
    assert found.estimate == pytest.approx(difference.mean())


def test_one_seed_resamples_units():
    rng = np.random.default_rng(0)
    values = rng.normal(1, 1, (1, 60))
    found = stats.difference_interval(values, 0.0)
    expected = scipy_stats.t.interval(0.95, 59, values.mean(), scipy_stats.sem(values.ravel()))
    assert (found.low, found.high) == pytest.approx(expected, rel=0.05)
    assert found.method == "bootstrap over 60 units"


def test_nothing_to_resample_decides_nothing():
    found = stats.difference_interval(np.array([[0.9]]), np.array([[0.1]]))
    assert stats.verdict(found) == "not reproduced"
    assert "no interval" in found.method


def test_seeds_that_agree_exactly_leave_no_doubt():
    found = stats.difference_interval(np.full((3, 1), 0.7), 0.5)
    assert (found.low, found.high) == pytest.approx((0.2, 0.2))
    assert stats.verdict(found) == "reproduced"


def test_crossed_standard_error_by_hand():
    """Two seeds, two units: MS_seeds = 4, MS_units = 9, MS_rest = 1, so V = (4 + 9 - 1) / 4 = 3."""
    a, b, c = 2 / 2, 3 / 2, 1 / 2  # effects whose mean squares are 4, 9 and 1
    matrix = np.array([[a + b + c, a - b - c], [-a + b - c, -a - b + c]])
    found = spread_of(matrix)
    assert found.mean == pytest.approx(0)
    assert found.error == pytest.approx(math.sqrt(3))
    assert found.freedom == pytest.approx(12**2 / (16 + 81 + 1))


def test_pairing_matters():
    rng = np.random.default_rng(0)
    units = rng.normal(0, 5, (1, 40))
    control = units + rng.normal(0, 0.1, (3, 40))
    treatment = control + 0.5 + rng.normal(0, 0.1, (3, 40))
    paired = stats.difference_interval(treatment, control)
    unpaired = stats.difference_interval(treatment, control, paired=False)
    assert paired.estimate == pytest.approx(unpaired.estimate)
    assert stats.verdict(paired) == "reproduced"
    assert stats.verdict(unpaired) == "not reproduced"
    assert unpaired.standard_error > 5 * paired.standard_error


def test_unpaired_agrees_with_welch():
    rng = np.random.default_rng(0)
    left, right = rng.normal(1, 1, (1, 50)), rng.normal(0, 3, (1, 80))
    found = stats.difference_interval(left, right, paired=False)
    welch = scipy_stats.ttest_ind(left[0], right[0], equal_var=False).confidence_interval()
    assert (found.low, found.high) == pytest.approx(tuple(welch), abs=0.06)
    with pytest.raises(ValueError, match="Cannot pair"):
        stats.difference_interval(left, right)


def test_dictionaries_are_paired_by_seed_and_unit():
    treatment = {0: {"fr": 1.0, "de": 2.0, "xx": 99.0}, 1: {"fr": 1.5, "de": 2.5}, 7: {"fr": 50.0}}
    control = {1: {"de": 1.0, "fr": 0.5}, 0: {"de": 1.0, "fr": 0.0, "yy": -99.0}}
    found = stats.paired_bootstrap(treatment, control)
    expected = stats.difference_interval(np.array([[1.0, 2.0], [1.5, 2.5]]), np.array([[0.0, 1.0], [0.5, 1.0]]))
    assert found == expected
    assert stats.paired_bootstrap(treatment, 1.0).estimate == pytest.approx(
        np.mean([0.0, 0.5, 49.0])
    )  # fr alone is common
    with pytest.raises(ValueError, match="in common"):
        stats.paired_bootstrap(treatment, {9: {"fr": 1.0}})
    with pytest.raises(ValueError, match="same form"):
        stats.paired_bootstrap(np.ones((1, 2)), control)


MATRICES = st.tuples(st.integers(1, 4), st.integers(1, 14)).flatmap(
    lambda shape: st.lists(FLOATS, min_size=shape[0] * shape[1], max_size=shape[0] * shape[1]).map(
        lambda values: np.array(values).reshape(shape)
    )
)


@settings(max_examples=60, deadline=None)
@example(np.array([[0.0, 0.0], [7.0, 39.53125]]), 0.0, 0.1)  # two estimates of the variance tie
@given(MATRICES, FLOATS, st.floats(0.1, 10))
def test_interval_invariants(matrix, shift, factor):
    """Shifting and scaling the data shifts and scales the interval; the estimate is the mean and lies inside."""
    found = stats.difference_interval(matrix, 0.0, n=300)
    assert found.estimate == pytest.approx(matrix.mean(), abs=1e-9)
    if not math.isfinite(found.low):
        assert matrix.size == 1
        return
    slack = 1e-6 * (1 + abs(shift) + np.abs(matrix).max()) * factor
    assert found.low - slack <= found.estimate <= found.high + slack
    moved = stats.difference_interval(matrix * factor, -shift, n=300)
    assert moved.low == pytest.approx(found.low * factor + shift, abs=slack)
    assert moved.high == pytest.approx(found.high * factor + shift, abs=slack)
    narrower = stats.difference_interval(matrix, 0.0, n=300, level=0.8)
    assert narrower.high - narrower.low <= found.high - found.low + slack


def _coverage(
    rng: np.random.Generator, seeds: int, units: int, spreads: tuple[float, float, float], trials: int
) -> float:
    by_seed, by_unit, rest = spreads
    covered = 0
    for _ in range(trials):
        effects = by_seed * rng.normal(size=(seeds, 1)) + by_unit * rng.normal(size=(1, units))
        found = stats.difference_interval(effects + rest * rng.normal(size=(seeds, units)), 0.0, n=300)
        covered += 0.0 in found
    return covered / trials


@pytest.mark.parametrize(
    ("seeds", "units", "spreads"),
    [
        (3, 1, (1, 0, 0)),
        (3, 20, (1, 0, 0)),  # where the plain two-level bootstrap covers 73 %
        (3, 20, (0, 1, 0)),
        (3, 20, (0, 0, 1)),
        (3, 60, (0.3, 1, 1)),
        (1, 20, (0, 1, 0)),
        (5, 20, (0.3, 1, 1)),
    ],
)
def test_coverage(seeds, units, spreads):
    """95 % intervals cover the truth in 90 % to 99.5 % of 400 simulated experiments (3.5 standard errors around)."""
    assert 0.90 <= _coverage(np.random.default_rng(3), seeds, units, spreads, 400) <= 0.997


def test_ten_thousand_resamples_are_quick():
    matrix = np.random.default_rng(0).normal(size=(3, 100))
    stats.difference_interval(matrix, 0.0)
    start = time.perf_counter()
    stats.difference_interval(matrix, 0.0)
    assert time.perf_counter() - start < 1.0  # about 40 ms on an idle core


# ---------------------------------------------------------------- correlations


def test_correlations_agree_with_scipy():
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(2, 30))
    y = np.round(x + y, 1)  # with ties
    assert stats.pearson(x, y) == pytest.approx(scipy_stats.pearsonr(x, y).statistic)
    assert stats.spearman(x, y) == pytest.approx(scipy_stats.spearmanr(x, y).statistic)
    assert stats.mean_correlation(np.stack([x, x]), np.stack([y, -y])) == pytest.approx(0, abs=1e-12)
    assert math.isnan(stats.pearson([1, 1, 1], [1, 2, 3]))
    with pytest.raises(ValueError, match="Cannot correlate"):
        stats.pearson([1, 2], [1, 2, 3])


def test_pearson_does_not_cancel():
    x = np.array([1.0, 2.0, 3.0, 4.0])
    assert stats.pearson(x + 1e8, x) == pytest.approx(1)
    assert stats.pearson(x * 1e-9, x) == pytest.approx(1)


@settings(max_examples=40, deadline=None)
@given(st.integers(5, 25), st.integers(1, 3), st.floats(0.1, 5), st.floats(-5, 5), st.integers(0, 1000))
def test_correlation_interval_invariants(units, seeds, factor, shift, seed):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(seeds, units))
    y = x + rng.normal(size=(seeds, units))
    found = stats.correlation_interval(x, y, n=300)
    assert -1 <= found.low <= found.high <= 1
    assert found.estimate == pytest.approx(stats.mean_correlation(x, y))
    moved = stats.correlation_interval(factor * x + shift, y, n=300)
    assert (moved.low, moved.high) == pytest.approx((found.low, found.high), abs=1e-6)
    mirrored = stats.correlation_interval(-x, y, n=300)
    assert (mirrored.low, mirrored.high) == pytest.approx((-found.high, -found.low), abs=0.02)
    same = stats.correlation_difference_interval((x, y), (x, y), n=300)
    assert (same.low, same.high) == pytest.approx((0, 0), abs=1e-9)


def test_correlation_against_a_number_and_degenerate_cases():
    rng = np.random.default_rng(0)
    x = rng.normal(size=20)
    y = x + 0.3 * rng.normal(size=20)
    above_half = stats.correlation_difference_interval((x, y), 0.5)
    assert stats.verdict(above_half) == "reproduced"
    assert above_half.estimate == pytest.approx(stats.pearson(x, y) - 0.5)
    assert "20 units" in above_half.method
    for left, right in [(x[:3], y[:3]), (np.ones(20), y)]:
        found = stats.correlation_interval(left, right)
        assert (found.low, found.high) == (-math.inf, math.inf)
    with pytest.raises(ValueError, match="Cannot pair"):
        stats.correlation_difference_interval((x, y), (x[:10], y[:10]))


def test_coverage_of_correlations():
    rng = np.random.default_rng(5)
    covered = {"one": 0, "difference": 0}
    for _ in range(300):
        truth = rng.normal(size=15)
        x = truth + rng.normal(size=15)
        y = truth + rng.normal(size=15)
        covered["one"] += math.sqrt(0.5) in stats.correlation_interval(truth, x, n=300)
        covered["difference"] += 0.0 in stats.correlation_difference_interval((truth, x), (truth, y), n=300)
    assert all(0.89 <= count / 300 <= 0.995 for count in covered.values()), covered


# ---------------------------------------------------------------- tests


@pytest.mark.parametrize(
    ("r23", "z", "p"),
    [(0.3, 1.2589, 0.208), (0.5, 1.4464, 0.148), (0.7, 1.8160, 0.069), (0.8, 2.1947, 0.028), (0.9, 3.0637, 0.002)],
)
def test_steiger_z(r23, z, p):
    """Correlations .682 and .473 over 30 units, for several correlations between the two predictors."""
    found = stats.steiger_z(0.682, 0.473, r23, 30)
    assert found.statistic == pytest.approx(z, abs=5e-5)
    assert found.p == pytest.approx(p, abs=5e-4)
    swapped = stats.steiger_z(0.473, 0.682, r23, 30)
    assert swapped.statistic == pytest.approx(-found.statistic)
    assert swapped.p == pytest.approx(found.p)


def test_steiger_z_with_independent_predictors_is_fishers():
    """Where all correlations are near 0 the covariance vanishes and Z is Fisher's test of two samples."""
    found = stats.steiger_z(0.02, -0.02, 0.0, 103)
    assert found.statistic == pytest.approx((math.atanh(0.02) - math.atanh(-0.02)) * math.sqrt(100 / 2), rel=1e-3)


@pytest.mark.parametrize("arguments", [(1.0, 0.5, 0.5, 30), (0.5, -1.0, 0.5, 30), (0.5, 0.4, 0.3, 3)])
def test_steiger_z_refuses_the_impossible(arguments):
    with pytest.raises(ValueError, match="Steiger"):
        stats.steiger_z(*arguments)


def test_holm_by_hand():
    assert stats.holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert stats.holm([0.5, 0.9]) == pytest.approx([1.0, 1.0])
    with pytest.raises(ValueError, match=r"\[0, 1\]"):
        stats.holm([1.2])


@given(st.lists(st.floats(0, 1), min_size=1, max_size=12), st.randoms())
def test_holm_invariants(values, random):
    adjusted = stats.holm(values)
    assert np.all(adjusted >= np.array(values) - 1e-15)
    assert np.all(adjusted <= np.minimum(1, np.array(values) * len(values)) + 1e-12)  # never worse than Bonferroni
    order = list(range(len(values)))
    random.shuffle(order)
    assert stats.holm([values[i] for i in order]) == pytest.approx(adjusted[order])
    ranked = np.argsort(values, kind="stable")
    assert np.all(np.diff(adjusted[ranked]) >= 0)


def test_sign_flip_is_exact_for_few_units():
    assert stats.sign_flip([1, 2, 3]).p == pytest.approx(2 / 8)  # only +++ and --- are as extreme
    assert stats.sign_flip([1, 2, 3], alternative="greater").p == pytest.approx(1 / 8)
    assert stats.sign_flip([1, 2, 3], alternative="less").p == 1.0
    assert stats.sign_flip([1, -1]).p == 1.0
    assert stats.sign_flip([0.1] * 10).p == pytest.approx(2 / 1024)  # sums in another order still tie


def test_sign_flip_of_many_units():
    rng = np.random.default_rng(0)
    assert stats.sign_flip(rng.normal(1, 1, 40)).p == pytest.approx(1 / 10_001)
    assert stats.sign_flip(rng.normal(0, 1, 40)).p > 0.01
    null = [stats.sign_flip(rng.normal(size=20), n=200).p for _ in range(200)]
    assert 0.005 <= np.mean(np.array(null) <= 0.05) <= 0.11


def test_permutation_test():
    found = stats.permutation_test([3.0, 4.0], [1.0, 2.0])
    assert found.statistic == 2
    assert found.p == pytest.approx(2 / 6)  # of the six ways to divide four values, two are as extreme
    rng = np.random.default_rng(0)
    assert stats.permutation_test(rng.normal(1, 1, 40), rng.normal(0, 1, 30), n=500).p < 0.02
