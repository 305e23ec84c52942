"""Agreement beside libraries, published numbers and hand computation."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats
from sklearn.metrics import cohen_kappa_score

from core.metrics import agreement
from core.metrics.correlations import spearman

BATTLES = np.random.default_rng(3)


def test_kappa_is_scikit_learns() -> None:
    first, second = BATTLES.integers(0, 4, (2, 60))
    assert agreement.kappa(first.tolist(), second.tolist()) == pytest.approx(cohen_kappa_score(first, second))
    assert agreement.kappa("aabb", "abab") == 0
    assert agreement.kappa("ab", "ab") == 1
    assert math.isnan(agreement.kappa("aa", "aa"))
    assert agreement.percent_agreement("aabb", "aaba") == 0.75


def test_concordance_by_hand_and_against_friedman() -> None:
    assert agreement.kendall_w([[1, 2, 3], [1, 2, 3]]) == 1
    assert agreement.kendall_w([[1, 2, 3], [3, 2, 1]]) == 0
    ratings = BATTLES.integers(0, 4, (5, 12)).astype(float)  # with ties
    friedman = stats.friedmanchisquare(*ratings.T).statistic
    assert agreement.kendall_w(ratings) == pytest.approx(friedman / (5 * 11))
    with pytest.raises(ValueError, match="no order"):
        agreement.kendall_w([[1, 1], [2, 2]])


@pytest.mark.parametrize(
    ("rho", "low", "high"), [(0.855, 0.682, 0.937), (0.682, 0.392, 0.849), (0.473, 0.116, 0.722), (0.30, -0.076, 0.601)]
)
def test_interval_of_a_published_rho(rho: float, low: float, high: float) -> None:
    assert agreement.rank_interval(rho, 30) == pytest.approx((low, high), abs=6e-4)


def test_means_of_correlations() -> None:
    assert agreement.fisher_mean([0.818, 0.735, 0.767, 0.801, 0.803]) == pytest.approx(0.7866, abs=1e-4)
    with pytest.raises(ValueError, match="Fisher"):
        agreement.fisher_mean([0.5, 1.0])


def test_mcnemar() -> None:
    assert agreement.mcnemar(5, 5).p == 1
    assert agreement.mcnemar(0, 6).p == pytest.approx(2 * 0.5**6)
    found = agreement.mcnemar(10, 30)
    assert found.statistic == pytest.approx(19**2 / 40)
    assert found.p == pytest.approx(stats.chi2.sf(19**2 / 40, 1))
    assert agreement.mcnemar(20, 20).p == 1
    with pytest.raises(ValueError, match="negative"):
        agreement.mcnemar(-1, 2)


def test_the_bootstrap_covers_a_mean() -> None:
    draw = np.random.default_rng(0)
    hits = 0
    for trial in range(60):
        values = draw.normal(1.0, 1.0, 40)
        found = agreement.bootstrap(lambda rows, v=values: float(v[rows].mean()), 40, draws=400, seed=trial)  # type: ignore[misc]
        hits += 1.0 in found
        assert found.estimate == pytest.approx(values.mean())
    assert 52 <= hits <= 60


def test_a_statistic_that_some_draws_lack() -> None:
    x = np.arange(30.0)
    found = agreement.bootstrap(lambda rows: spearman(x[rows], x[rows] ** 2), 30, draws=100)
    assert found.estimate == found.low == found.high == pytest.approx(1)
    with pytest.raises(ValueError, match="has no value in"):
        agreement.bootstrap(lambda rows: math.nan if len({*rows.tolist()}) < 3 else 1.0, 3, draws=100)
    with pytest.raises(ValueError, match="two units"):
        agreement.bootstrap(lambda rows: 1.0, 1)
