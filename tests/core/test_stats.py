"""Intervals, comparisons, outcomes and tests: known values and invariants. Coverage is in test_coverage.py."""

from __future__ import annotations

import math
from dataclasses import asdict
from random import Random

import numpy as np
import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st
from scipy import stats as scipy_stats

from core.errors import UserError
from core.metrics import stats
from core.metrics.comparison import change
from core.metrics.intervals import half_widths, leaf_error, spread_of

FLOATS = st.floats(-1e3, 1e3, allow_nan=False).map(lambda value: round(value, 6))


# ---------------------------------------------------------------- outcomes


@pytest.mark.parametrize(
    ("low", "high", "options", "expected"),
    [
        (0.01, 0.2, {}, "reproduced"),
        (0.0, 0.2, {}, "undecided"),
        (-0.1, 0.1, {}, "undecided"),
        (-0.2, 0.0, {}, "undecided"),
        (-0.2, -0.01, {}, "contradicted"),
        (0.05, 0.2, {"m": 0.1}, "smaller than claimed"),
        (0.1, 0.2, {"m": 0.1}, "smaller than claimed"),
        (0.11, 0.2, {"m": 0.1}, "reproduced"),
        (-0.01, 0.2, {"m": 0.1}, "undecided"),  # short of the margin is never contradicted
        (-0.02, 0.02, {"s": 0.02}, "absent"),
        (-0.02, 0.03, {"s": 0.02}, "undecided"),
        (0.01, 0.02, {"s": 0.02}, "reproduced"),
        (0.01, 0.02, {"s": 0.02, "m": 0.1}, "smaller than claimed"),
        (-0.02, -0.01, {"s": 0.02}, "contradicted"),  # as small a positive one is reproduced
        (-0.03, -0.01, {"s": 0.02}, "contradicted"),
        (0.0, 0.0, {}, "undecided"),
        (-0.04, 0.2, {"m": 0.05, "noninferiority": True}, "reproduced"),
        (-0.05, 0.2, {"m": 0.05, "noninferiority": True}, "undecided"),
        (-0.2, -0.06, {"m": 0.05, "noninferiority": True}, "contradicted"),
        (-0.2, -0.04, {"m": 0.05, "noninferiority": True}, "undecided"),
        (-0.2, -0.01, {"direction": "lower"}, "reproduced"),
        (0.01, 0.2, {"direction": "lower"}, "contradicted"),
        (-0.2, -0.05, {"direction": "lower", "m": 0.1}, "smaller than claimed"),
        (-0.1, 0.04, {"direction": "lower", "m": 0.05, "noninferiority": True}, "reproduced"),
        (-0.01, 0.01, {"direction": "equal", "m": 0.01}, "reproduced"),
        (-0.02, 0.01, {"direction": "equal", "m": 0.01}, "undecided"),
        (-0.5, 0.5, {"direction": "equal", "m": 0.01}, "undecided"),
        (0.02, 0.03, {"direction": "equal", "m": 0.01}, "contradicted"),
        (-0.03, -0.02, {"direction": "equal", "m": 0.01}, "contradicted"),
        (-math.inf, math.inf, {"s": 1.0}, "undecided"),
        (-math.inf, math.inf, {"direction": "equal", "m": 1.0}, "undecided"),
        (math.nan, math.nan, {"m": 0.1, "s": 0.1}, "undecided"),
    ],
)
def test_outcome(low, high, options, expected):
    assert stats.outcome((low, high), **options) == expected
    assert stats.outcome(stats.Interval(0.0, low, high, ""), **options) == expected


@pytest.mark.parametrize("options", [{"m": -0.1}, {"s": -0.1}, {"direction": "equal", "noninferiority": True}])
def test_outcome_refuses_what_has_no_meaning(options):
    with pytest.raises(ValueError, match=r"at least 0|either"):
        stats.outcome((0.0, 1.0), **options)


SIZES = st.floats(0, 5)
RANK = {"contradicted": 0, "absent": 1, "undecided": 1, "smaller than claimed": 2, "reproduced": 3}


@given(FLOATS, FLOATS, SIZES, SIZES, st.booleans(), st.floats(0, 10))
def test_a_higher_difference_never_counts_less(a, b, m, s, noninferiority, shift):
    low, high = min(a, b), max(a, b)
    outcome = stats.outcome((low, high), m, s, noninferiority)
    assert outcome in RANK
    assert RANK[stats.outcome((low + shift, high + shift), m, s, noninferiority)] >= RANK[outcome]
    assert stats.outcome((-high, -low), m, s, noninferiority, "lower") == outcome
    if outcome == "contradicted":  # always the wrong side of zero
        assert high < 0
    if not noninferiority:
        assert (low <= 0 <= high) == (outcome in {"absent", "undecided"})


@given(FLOATS, FLOATS, SIZES, SIZES, st.sampled_from(["higher", "equal"]), st.floats(0, 1), st.floats(0, 1))
def test_more_data_never_takes_back_what_was_decided(a, b, m, s, direction, left, right):
    """An interval inside another keeps its sign, and what was reproduced stays so."""
    low, high = min(a, b), max(a, b)
    inner = sorted((low + left * (high - low), low + right * (high - low)))
    assume(low <= inner[0] and inner[1] <= high)
    before = stats.outcome((low, high), m, s, direction=direction)
    after = stats.outcome((inner[0], inner[1]), m, s, direction=direction)
    allowed = {
        "reproduced": {"reproduced"},
        "smaller than claimed": {"smaller than claimed", "reproduced"},
        "absent": {"absent", "smaller than claimed", "reproduced", "contradicted"},
        "contradicted": {"contradicted"},
        "undecided": set(RANK),
    }
    assert after in allowed[before]


# ---------------------------------------------------------------- intervals of means


def test_standard_error():
    assert stats.standard_error([1, 2, 3, 4]) == pytest.approx(math.sqrt(5 / 3) / 2)
    assert math.isnan(stats.standard_error([1.0]))


def test_one_number_per_seed_is_a_paired_t_interval():
    treatment, control = np.array([[0.9], [0.8], [0.85]]), np.array([[0.5], [0.6], [0.4]])
    found = stats.difference_interval(treatment, control)
    difference = (treatment - control).ravel()
    expected = scipy_stats.t.interval(0.95, 2, difference.mean(), scipy_stats.sem(difference))
    assert (found.low, found.high) == pytest.approx(expected)
    assert found.method == "t over 3 seeds"
    assert found.estimate == pytest.approx(difference.mean())


def test_one_seed_rests_on_units():
    values = np.random.default_rng(0).normal(1, 1, (1, 60))
    found = stats.difference_interval(values, 0.0)
    expected = scipy_stats.t.interval(0.95, 59, values.mean(), scipy_stats.sem(values.ravel()))
    assert (found.low, found.high) == pytest.approx(expected)
    assert found.method == "t over 60 units"
    assert found.standard_error == pytest.approx(scipy_stats.sem(values.ravel()))


@pytest.mark.parametrize("values", [[[0.9]], [[0.7], [0.7], [0.7]], [[0.1 + 0.2, 0.3]]])
def test_nothing_that_differs_decides_nothing(values):
    """Three numbers that agree say that the seed had no effect here, not that it never has."""
    found = stats.difference_interval(np.array(values), 0.1)
    assert (found.low, found.high) == (-math.inf, math.inf)
    assert stats.outcome(found) == "undecided"
    assert "no interval" in found.method


def test_bad_matrices():
    for bad in (np.empty((0, 3)), np.array([[1.0, math.nan]]), np.ones(3)):
        with pytest.raises(ValueError, match=r"finite|non-empty"):
            stats.difference_interval(bad, 0.0)


def test_crossed_interval_by_hand():
    """Two seeds, two units: MS_seeds = 4, MS_units = 9, MS_rest = 1, so V = (4 + 9 - 1) / 4 = 3."""
    a, b, c = 2 / 2, 3 / 2, 1 / 2  # effects whose mean squares are 4, 9 and 1
    matrix = np.array([[a + b + c, a - b - c], [-a + b - c, -a - b + c]])
    found = stats.difference_interval(matrix, 0.0)
    assert found.estimate == pytest.approx(0)
    assert found.standard_error == pytest.approx(math.sqrt(3))
    assert found.high == pytest.approx(math.sqrt(3) * scipy_stats.t.isf(0.025, 1))
    assert spread_of(matrix) == pytest.approx((3 / 2, 8 / 2, 1, False, 0))


def test_the_quantile_lies_between_those_of_seeds_and_units():
    """With MS_rest = 0 the seeds contribute MS_seeds / (MS_seeds + MS_units) of the variance."""
    rows, columns = np.array([-1.0, 0.0, 1.0])[:, None], np.linspace(-1, 1, 10)
    found = stats.difference_interval(rows + columns, 0.0)
    by_seed, by_unit = 10 * rows.var(ddof=1), 3 * columns.var(ddof=1)
    share = by_seed / (by_seed + by_unit)
    quantile = share * scipy_stats.t.isf(0.025, 2) + (1 - share) * scipy_stats.t.isf(0.025, 9)
    assert found.high == pytest.approx(math.sqrt((by_seed + by_unit) / 30) * quantile)


def test_pairing_matters():
    rng = np.random.default_rng(0)
    units = rng.normal(0, 5, (1, 40))
    control = units + rng.normal(0, 0.1, (3, 40))
    treatment = control + 0.5 + rng.normal(0, 0.1, (3, 40))
    paired = stats.difference_interval(treatment, control)
    unpaired = stats.difference_interval(treatment, control, paired=False)
    assert paired.estimate == pytest.approx(unpaired.estimate)
    assert stats.outcome(paired) == "reproduced"
    assert stats.outcome(unpaired) == "undecided"
    assert unpaired.standard_error > 5 * paired.standard_error


def test_unpaired_variances_add():
    rng = np.random.default_rng(0)
    left, right = rng.normal(1, 1, (1, 50)), rng.normal(0, 3, (1, 80))
    found = stats.difference_interval(left, right, paired=False)
    welch = scipy_stats.ttest_ind(left[0], right[0], equal_var=False).confidence_interval()
    assert (found.low, found.high) == pytest.approx(tuple(welch), abs=0.02)
    assert found.standard_error == pytest.approx(math.hypot(*(scipy_stats.sem(side[0]) for side in (left, right))))
    with pytest.raises(ValueError, match="Cannot pair"):
        stats.difference_interval(left, right)


MATRICES = st.tuples(st.integers(1, 4), st.integers(1, 14)).flatmap(
    lambda shape: st.lists(FLOATS, min_size=shape[0] * shape[1], max_size=shape[0] * shape[1]).map(
        lambda values: np.array(values).reshape(shape)
    )
)


@settings(max_examples=60, deadline=None)
@example(np.array([[0.0, 0.0], [7.0, 39.53125]]), 0.0, 0.1)  # two estimates of the variance tie
@example(np.eye(2), 0.0, 1.0)  # no spread between rows nor columns
@given(MATRICES, FLOATS, st.floats(0.1, 10))
def test_interval_invariants(matrix, shift, factor):
    """Shifting and scaling the data shifts and scales the interval; its middle is the mean."""
    assume(np.ptp(matrix) > 1e-3)
    found = stats.difference_interval(matrix, 0.0)
    assert found.estimate == pytest.approx(matrix.mean(), abs=1e-9)
    assume(np.isfinite(found.low))  # of values whose rows and columns have one mean nothing is known
    slack = 1e-6 * (1 + abs(shift) + np.abs(matrix).max()) * factor
    assert (found.low + found.high) / 2 == pytest.approx(found.estimate, abs=slack)
    moved = stats.difference_interval(matrix * factor, -shift)
    assert moved.low == pytest.approx(found.low * factor + shift, abs=slack)
    assert moved.high == pytest.approx(found.high * factor + shift, abs=slack)
    narrower = stats.difference_interval(matrix, 0.0, level=0.8)
    assert narrower.high - narrower.low <= found.high - found.low + slack
    assert (
        found.standard_error**2 * matrix.size
        >= (matrix.shape[0] * matrix.mean(axis=0).var(ddof=1) if matrix.shape[1] > 1 else 0) - slack
    )


# ---------------------------------------------------------------- comparisons


PATHS = st.lists(
    st.tuples(st.sampled_from("abc"), st.sampled_from("xyz"), st.sampled_from("12")), min_size=1, max_size=18
)


def test_a_drawn_unit_is_the_mean_of_its_leaves():
    """Unequal clusters count alike; the difference is taken leaf by leaf."""
    treatment = {
        0: {"de/1": 0.9, "de/2": 0.7, "fr/5": 0.2, "sw/6": 0.4},
        1: {"de/1": 0.5, "de/2": 0.7, "fr/5": 0.3, "sw/6": 0.1},
    }
    control = {seed: dict.fromkeys(leaves, 0.1 * (seed + 1)) for seed, leaves in treatment.items()}
    found = stats.compare(treatment, control)
    matrix = np.array([[0.7, 0.1, 0.3], [0.4, 0.1, -0.1]])
    again = stats.difference_interval(matrix, 0.0)
    assert (found.interval.low, found.interval.high) == pytest.approx((again.low, again.high))
    assert found.treatment == pytest.approx(np.mean([0.8, 0.2, 0.4, 0.6, 0.3, 0.1]))
    assert found.control == pytest.approx(0.15)
    assert found.interval.estimate == pytest.approx(found.treatment - found.control)
    assert found.spread is not None
    assert found.spread[:3] == pytest.approx(spread_of(matrix)[:3])
    assert asdict(found.sample) == {"seeds": 2, "units": 3, "leaves": 4, "overlap": 1.0, "left_out": 0, "nested": False}
    number = stats.difference_interval(np.array([[0.8, 0.2, 0.4], [0.6, 0.3, 0.1]]), 0.25)
    assert stats.compare(treatment, 0.25).interval.low == pytest.approx(number.low)
    assert stats.compare(treatment, control, depth=2).sample.units == 4
    assert stats.compare(treatment, control, depth=9).interval == stats.compare(treatment, control, depth=2).interval


def test_seeds_alone_are_drawn_at_depth_0():
    treatment = {seed: {"de/1": 1.5 + seed, "de/2": 2.5, "fr/1": 0.3} for seed in range(3)}
    found = stats.compare(treatment, 1.0, depth=0)
    assert found.interval == stats.difference_interval(np.array([[4.3 / 3], [5.3 / 3], [6.3 / 3]]), 1.0)
    assert found.interval.method == "t over 3 seeds"
    assert (found.sample.units, found.sample.leaves) == (1, 3)


def test_one_number_a_seed():
    values = {0: {"all": 3.0}, 1: {"all": 4.0}, 2: {"all": 3.5}}
    assert stats.compare(values, 3.1).interval == stats.difference_interval(np.array([[3.0], [4.0], [3.5]]), 3.1)
    single = stats.compare({0: {"all": 3.0}}, 3.1)
    assert not math.isfinite(single.interval.low)
    assert single.spread is None


def test_only_what_both_sides_and_all_seeds_have_is_compared():
    treatment = {0: {"fr": 1.0, "de": 2.0, "xx": 99.0}, 1: {"fr": 1.5, "de": 2.5, "xx": 99.0}, 7: {"fr": 50.0}}
    control = {1: {"de": 1.0, "fr": 0.5, "xx": 0.0}, 0: {"de": 1.0, "fr": 0.0, "yy": -99.0}}
    found = stats.compare(treatment, control)
    assert found.interval == stats.difference_interval(np.array([[1.0, 1.0], [1.0, 1.5]]), 0.0)
    assert (found.sample.seeds, found.sample.units, found.sample.left_out) == (2, 2, 2)
    for other in ({9: {"fr": 1.0}}, {0: {"it": 1.0}}, {0: {}}, {}):
        with pytest.raises(UserError, match="Nothing to compare"):
            stats.compare(treatment, other)


def test_leaves_that_a_seed_lacks_are_left_out_of_its_cluster():
    treatment = {0: {"de/1": 1.0, "de/2": 3.0, "fr/1": 4.5}, 1: {"de/1": 2.0, "fr/1": 5.5}}
    found = stats.compare(treatment, 0.5)
    assert found.interval == stats.difference_interval(np.array([[2.0, 4.5], [2.0, 5.5]]), 0.5)
    assert found.sample.overlap == pytest.approx(2 / 3)


def test_units_of_their_own_are_nested_in_seeds():
    treatment = {seed: {f"item-{seed}-{k}": float(seed + k) for k in range(3 + seed)} for seed in range(3)}
    found = stats.compare(treatment, 0.0)
    assert found.interval == stats.difference_interval(np.array([[1.0], [2.5], [4.0]]), 0.0)
    sample = found.sample
    assert (sample.nested, sample.overlap, sample.units, sample.leaves, sample.left_out) == (True, 0.0, 12, 12, 0)


def test_clusters_that_seeds_draw_from_one_list_are_one_leaf_each():
    """Three languages agree about a word: thirty words are not ninety, nor eight draws of them eight samples."""
    rng = np.random.default_rng(0)
    words = {seed: rng.choice(30, 15, replace=False) for seed in range(8)}
    one = {s: {f"{w}/de": float(w % 2) for w in own} for s, own in words.items()}
    three = {s: {f"{w}/{code}": float(w % 2) for w in own for code in ("de", "es", "fr")} for s, own in words.items()}
    few, many = stats.compare(one, 0.5).interval, stats.compare(three, 0.5).interval
    assert (many.method, many.low, many.high) == (few.method, pytest.approx(few.low), pytest.approx(few.high))
    assert stats.compare(three, 0.5, depth=2).interval.standard_error < few.standard_error


def test_leaves_that_all_units_share_are_drawn_too():
    """An item that gains in every language: 20 languages do not make 4 items certain."""
    rng = np.random.default_rng(0)
    item, noise = rng.normal(size=4), 0.01 * rng.normal(size=(3, 20, 4))
    leaves = item + noise
    names = {seed: {f"{u}/{i}": leaves[seed, u, i] for u in range(20) for i in range(4)} for seed in range(3)}
    own = {seed: {f"{u}/{u}-{i}": leaves[seed, u, i] for u in range(20) for i in range(4)} for seed in range(3)}
    shared, apart = stats.compare(names, 0.0).interval, stats.compare(own, 0.0).interval
    assert shared.method == "t over 3 seeds x 20 units with the same 4 leaves"
    assert shared.standard_error == pytest.approx(item.std(ddof=1) / 2, rel=0.05)
    assert apart.standard_error < 0.01
    assert stats.compare(names, 0.0).spread.shared == pytest.approx(item.var(ddof=1) / 4, rel=0.05)
    del names[0]["3/2"]  # still most leaves
    assert stats.compare(names, 0.0).interval.method == "t over 3 seeds x 20 units with the same 3 leaves"


def test_unpaired_sides_have_their_own_samples():
    treatment = {seed: {f"a{k}": float(seed + k) for k in range(3)} for seed in range(2)}
    control = {seed: {f"b{k}": float(seed - k) for k in range(4)} for seed in range(3)}
    found = stats.compare(treatment, control, paired=False)
    left = np.array([[0.0, 1.0, 2.0], [1.0, 2.0, 3.0]])
    right = np.arange(3)[:, None] - np.arange(4.0)
    assert found.interval == stats.difference_interval(left, right, paired=False)
    assert (found.sample.units, found.control_sample.units) == (3, 4)
    assert found.interval.method == "t over 2 seeds x 3 units and 3 seeds x 4 units"


def test_items_that_all_agree_leave_doubt():
    """Three seeds, forty 0/1 items, no disagreement: the rule of three, not a point."""
    right = {seed: {f"{k}": 1.0 for k in range(40)} for seed in range(3)}
    equal = stats.compare(right, right, depth=0)
    assert equal.interval.estimate == 0
    assert 2.4 / 40 < equal.interval.high < 3.7 / 40
    assert equal.interval.low == -equal.interval.high
    assert equal.interval.method == "0/1 leaves of 3 seeds"
    wrong = {seed: dict.fromkeys(leaves, 0.0) for seed, leaves in right.items()}
    better = stats.compare(right, wrong).interval
    assert 0.85 < better.low < better.estimate == 1
    against_number = stats.compare(right, 0.9).interval
    assert 2.4 / 40 < against_number.high - against_number.estimate < 3.7 / 40
    unpaired = stats.compare(right, right, paired=False).interval
    assert unpaired.high == pytest.approx(math.sqrt(2) * (against_number.high - against_number.estimate))
    fresh = {seed: {f"{seed}-{k}": 1.0 for k in range(40)} for seed in range(3)}
    assert stats.compare(fresh, fresh).interval.high < 0.4 * equal.interval.high  # 120 items, not 40
    loss = {seed: dict.fromkeys(leaves, 0.5) for seed, leaves in right.items()}
    assert stats.compare(loss, loss).interval.high == math.inf


def test_leaf_error_is_bonett_and_prices():
    """8 items gained and 3 lost of 50."""
    values = np.array([1.0] * 8 + [-1.0] * 3 + [0.0] * 39)
    gained, lost = 9 / 52, 4 / 52
    expected = math.sqrt((gained + lost - (gained - lost) ** 2) / 52)
    assert leaf_error(values, np.full(50, 1 / 50)) == pytest.approx(expected)
    agresti_coull = math.sqrt((10 / 54) * (44 / 54) / 54)
    assert leaf_error(np.array([1.0] * 8 + [0.0] * 42), np.full(50, 1 / 50), (0, 0, 1, 1)) == pytest.approx(
        agresti_coull
    )


@settings(max_examples=50, deadline=None)
@given(PATHS, st.integers(1, 3), st.integers(0, 3), st.integers(0, 10**6))
def test_comparison_invariants(paths, seeds, depth, draw):
    """Neither the order of seeds and paths nor their names matter; swapping the arms mirrors the interval."""
    random = Random(draw)
    names = sorted({"/".join(path) for path in paths})
    treatment, control = ({s: {name: random.gauss(0, 1) for name in names} for s in range(seeds)} for _ in range(2))
    found = stats.compare(treatment, control, depth)
    shuffled = {s + 10: dict(random.sample(list(treatment[s].items()), len(names))) for s in reversed(range(seeds))}
    renamed = stats.compare(shuffled, {s + 10: control[s] for s in range(seeds)}, depth)
    assert renamed.sample == found.sample
    assert (renamed.interval.low, renamed.interval.high) == pytest.approx(
        (found.interval.low, found.interval.high), rel=1e-4, abs=1e-6, nan_ok=True
    )
    mirrored = stats.compare(control, treatment, depth).interval
    assert (mirrored.low, mirrored.high) == pytest.approx(
        (-found.interval.high, -found.interval.low), rel=1e-4, abs=1e-6, nan_ok=True
    )
    assert found.interval.estimate == pytest.approx(found.treatment - found.control)
    assert found.sample.leaves == len(names)


def test_bad_values_are_named():
    with pytest.raises(UserError, match=r"'de/2' in seed 1 is nan"):
        stats.compare({0: {"de/2": 1.0}, 1: {"de/2": math.nan}}, 0.0)
    with pytest.raises(UserError, match="depth is -1"):
        stats.compare({0: {"de": 1.0}}, 0.0, depth=-1)


# ---------------------------------------------------------------- power


SPREADS = [
    (stats.Spread(1.0, 0.0, 0.0), 3, 1),
    (stats.Spread(0.0, 1.0, 0.2), 3, 20),
    (stats.Spread(0.3, 0.5, 1.0), 3, 8),
    (stats.Spread(0.3, 0.5, 1.0), 8, 20),
    (stats.Spread(0.3, 0.5, 1.0), 1, 20),
    (stats.Spread(0.3, 0.0, 2.0, nested=True), 5, 10),
]


@pytest.mark.parametrize(("spread", "seeds", "units"), SPREADS)
def test_expected_half_width_is_that_of_simulated_experiments(spread, seeds, units):
    rng = np.random.default_rng(5)
    n = 4000
    values = math.sqrt(spread.seeds) * rng.normal(size=(n, seeds, 1))
    values = values + math.sqrt(spread.units) * rng.normal(size=(n, 1, units))
    values = values + math.sqrt(spread.rest) * rng.normal(size=(n, seeds, units))
    matrix = values.mean(axis=-1, keepdims=True) if spread.nested else values
    _, half = half_widths([(matrix,)])
    assert stats.half_width(spread, seeds, units) == pytest.approx(half.mean(), rel=0.03)


def test_the_pilot_gives_back_its_variances():
    rng = np.random.default_rng(0)
    n, seeds, units = 2000, 4, 6
    effects = 1.0 * rng.normal(size=(n, seeds, 1)) + 2.0 * rng.normal(size=(n, 1, units))
    pilots = effects + 0.5 * rng.normal(size=(n, seeds, units))
    found = np.mean([spread_of(pilot)[:3] for pilot in pilots], axis=0)
    assert found == pytest.approx([1.0, 4.0, 0.25], rel=0.06)
    nested = np.mean(
        [spread_of(rng.normal(0, 1, (5, 1)) + rng.normal(0, 2, (5, 8)), nested=True)[:3] for _ in range(2000)], axis=0
    )
    assert nested == pytest.approx([1.0, 0.0, 4.0], rel=0.12)


@pytest.mark.parametrize("spread", [spread for spread, _, _ in SPREADS])
@pytest.mark.parametrize("effect", [0.4, 0.8, 1.6])
def test_seeds_needed_are_the_fewest(spread, effect):
    found = stats.seeds_needed(spread, effect, units=10)
    if found is None:
        assert stats.half_width(spread, 8, 1000) >= effect
        return
    assert stats.half_width(spread, *found) < effect
    if found.seeds > 2:
        assert stats.half_width(spread, found.seeds - 1, found.units) >= effect
    if found.units > 10:  # seeds alone did not do
        assert stats.half_width(spread, 8, found.units - 1) >= effect


def test_what_a_pilot_cannot_say():
    single = spread_of(np.array([[0.1, 0.4, 0.2]]))
    assert math.isnan(single.seeds)
    assert stats.half_width(single, 1, 12) > 0
    with pytest.raises(UserError, match="two or more"):
        stats.half_width(single, 3, 12)
    with pytest.raises(UserError, match="no interval"):
        stats.half_width(stats.Spread(1, 1, 1), 1, 1)
    with pytest.raises(UserError, match="give a size"):
        stats.seeds_needed(stats.Spread(1, 1, 1), 0.0, 5)


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
    found = stats.correlation_interval(x, y)
    assert -1 <= found.low <= found.high <= 1
    assert found.estimate == pytest.approx(stats.mean_correlation(x, y))
    moved = stats.correlation_interval(factor * x + shift, y)
    assert (moved.low, moved.high) == pytest.approx((found.low, found.high), abs=1e-6)
    mirrored = stats.correlation_interval(-x, y)
    assert (mirrored.low, mirrored.high) == pytest.approx((-found.high, -found.low))
    other = stats.correlation_difference_interval((x, y), (x, x + y))
    swapped = stats.correlation_difference_interval((x, x + y), (x, y))
    assert (swapped.low, swapped.high) == pytest.approx((-other.high, -other.low))
    assert other.low <= other.estimate <= other.high
    same = stats.correlation_difference_interval((x, y), (2 * x, y))
    assert "no spread" in same.method


def test_correlation_against_a_number_and_degenerate_cases():
    rng = np.random.default_rng(0)
    x = rng.normal(size=20)
    y = x + 0.3 * rng.normal(size=20)
    above_half = stats.correlation_difference_interval((x, y), 0.5)
    assert stats.outcome(above_half) == "reproduced"
    assert above_half.estimate == pytest.approx(stats.pearson(x, y) - 0.5)
    assert "20 units" in above_half.method
    for left, right in [(x[:3], y[:3]), (np.ones(20), y), (np.eye(20)[0], y), (x, x)]:
        found = stats.correlation_interval(left, right)
        assert (found.low, found.high) == (-math.inf, math.inf)
    with pytest.raises(ValueError, match="Cannot pair"):
        stats.correlation_difference_interval((x, y), (x[:10], y[:10]))


def test_correlation_interval_is_nearly_fishers():
    """One seed of normal data: the jackknife's standard error of atanh r is near 1 / sqrt(n - 3)."""
    rng = np.random.default_rng(1)
    x = rng.normal(size=4000)
    y = x + rng.normal(size=4000)
    found = stats.correlation_interval(x, y)
    z = math.atanh(found.estimate)
    half = scipy_stats.norm.isf(0.025) / math.sqrt(4000 - 3)
    assert (found.low, found.high) == pytest.approx((math.tanh(z - half), math.tanh(z + half)), abs=2e-3)
    assert found.standard_error == pytest.approx((1 - found.estimate**2) / math.sqrt(4000), rel=0.1)


def test_a_few_units_that_all_seeds_share_do_not_stand_for_the_others():
    """Four languages in every seed and five of its own: judged over all, with seeds as the sample."""
    old = {f"old-{k}": 0.0 for k in range(4)}
    treatment = {seed: {**old, **{f"new-{seed}-{k}": float(seed) for k in range(5)}} for seed in (1, 2, 3)}
    found = stats.compare(treatment, 0.0)
    assert found.interval == stats.difference_interval(np.array([[5 / 9], [10 / 9], [15 / 9]]), 0.0)
    assert (found.sample.nested, found.sample.units, found.sample.left_out) == (True, 19, 0)


def test_correlations_are_over_drawn_units():
    """Two metrics with other leaves below the same languages."""
    rng = np.random.default_rng(0)
    languages = [f"l{k}" for k in range(12)]
    truth = dict(zip(languages, rng.normal(size=12), strict=True))
    score = {s: {f"{name}/{i}": truth[name] + rng.normal() for name in languages for i in range(3)} for s in range(3)}
    task = {s: {name: truth[name] + 0.1 * rng.normal() for name in languages[1:]} for s in range(4)}
    found = stats.compare_correlations((score, task), 0.2)
    x = np.array(
        [[np.mean([score[s][f"{name}/{i}"] for i in range(3)]) for name in sorted(languages[1:])] for s in range(3)]
    )
    y = np.array([[task[s][name] for name in sorted(languages[1:])] for s in range(3)])
    assert found.interval == stats.correlation_difference_interval((x, y), 0.2)
    assert found.treatment == stats.mean_correlation(x, y)
    assert found.control == 0.2
    assert (found.sample.seeds, found.sample.units, found.sample.left_out) == (3, 11, 1)
    against = stats.compare_correlations((score, task), (task, score))
    assert against.treatment == pytest.approx(against.control)
    with pytest.raises(UserError, match="Nothing to correlate"):
        stats.compare_correlations((score, {0: {"zz": 1.0}}), 0.0)


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


def test_permutation_test():
    found = stats.permutation_test([3.0, 4.0], [1.0, 2.0])
    assert found.statistic == 2
    assert found.p == pytest.approx(2 / 6)  # of the six ways to divide four values, two are as extreme
    rng = np.random.default_rng(0)
    assert stats.permutation_test(rng.normal(1, 1, 40), rng.normal(0, 1, 30), n=500).p < 0.02


def test_an_interval_is_written_with_its_ends():
    assert f"{stats.Interval(0.5, 0.25, 1.0, 'x'):+.2f}" == "+0.50 [+0.25, +1.00]"
    assert f"{stats.Interval(0.5, math.nan, math.nan, 'x'):.1f}" == "0.5"
    assert f"{stats.Interval(0.5, 0.0, 1.0, 'x')}".startswith("Interval(estimate=0.5")


def test_a_change_for_people_to_read():
    assert change([0.5, 0.0, 1.0], [1.0, 0.5, 1.0]).startswith("0.500 -> 0.833   +0.333 [")
    assert change([0.5], [1.0]) == "0.500 -> 1.000"
