"""Statistics of runs: hand-worked examples, enumeration and simulated coverage."""

import itertools
import math

import numpy as np
import pytest
from scipy import stats

from genexp.reporting.statistics import (
    best_of_k_weights,
    expected_best_of_k,
    holm,
    iqm,
    not_separable_from_best,
    paired_t,
    t_interval,
    welch_t,
)


def test_t_interval_by_hand():
    # mean 2, s = 1, n = 3: half-width t_{2, .975} / sqrt 3 with t = 4.302653
    mean, half_width = t_interval([1.0, 2.0, 3.0])
    assert mean == 2.0
    assert half_width == pytest.approx(4.302653 / math.sqrt(3), rel=1e-6)


def test_t_interval_agrees_with_scipy():
    x = np.random.default_rng(0).standard_normal(7)
    low, high = stats.t.interval(0.9, 6, loc=x.mean(), scale=stats.sem(x))
    mean, half_width = t_interval(x, 0.9)
    assert (mean - half_width, mean + half_width) == pytest.approx((low, high))


@pytest.mark.parametrize("n", [3, 5, 10])
def test_t_interval_covers_at_its_level(n: int):
    runs = np.random.default_rng(n).standard_normal((2000, n))
    covered = [abs(mean) <= half_width for mean, half_width in map(t_interval, runs)]
    assert np.mean(covered) == pytest.approx(0.95, abs=0.017)  # 3.5 binomial sd


def test_one_run_has_no_interval():
    assert t_interval([0.3]) == (0.3, math.inf)


def test_welch_agrees_with_its_formula():
    a, b = np.array([1.0, 2.0, 4.0, 3.5]), np.array([2.5, 5.0, 6.0])
    va, vb = a.var(ddof=1) / 4, b.var(ddof=1) / 3
    t = (a.mean() - b.mean()) / math.sqrt(va + vb)
    freedom = (va + vb) ** 2 / (va**2 / 3 + vb**2 / 2)
    assert welch_t(a, b) == pytest.approx(2 * stats.t.sf(abs(t), freedom))
    assert welch_t(a, b) == pytest.approx(welch_t(b, a))


def test_welch_without_any_spread():
    assert welch_t([8.0, 8.0], [8.0, 8.0]) == 1.0
    assert welch_t([8.0, 8.0], [7.0, 7.0]) == 0.0


@pytest.mark.parametrize(
    ("seeds", "apart", "power"), [(3, 1.0, 0.12), (5, 1.0, 0.26), (10, 1.0, 0.56), (20, 1.0, 0.87), (3, 3.0, 0.67)]
)
def test_welch_has_the_power_that_is_planned_with(seeds: int, apart: float, power: float):
    rng = np.random.default_rng(1)
    found = [welch_t(rng.standard_normal(seeds), rng.standard_normal(seeds) + apart) < 0.05 for _ in range(1500)]
    assert np.mean(found) == pytest.approx(power, abs=0.045)  # 3.5 binomial sd


def test_a_bootstrap_of_three_runs_covers_too_rarely():
    rng = np.random.default_rng(3)
    runs = rng.standard_normal((1500, 3))
    means = runs[:, rng.integers(0, 3, size=(1000, 3))].mean(axis=2)
    low, high = np.percentile(means, [2.5, 97.5], axis=1)
    assert np.mean((low <= 0) & (high >= 0)) == pytest.approx(0.74, abs=0.04)


def test_holm_by_hand():
    # sorted .005 .01 .03 .04 times 4 3 2 1 = .02 .03 .06 .04, made monotone: .02 .03 .06 .06
    assert holm([0.01, 0.04, 0.03, 0.005]).tolist() == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.7, 0.6]).tolist() == [1.0, 1.0]
    assert holm([0.03]).tolist() == [0.03]


def test_expected_best_of_k_is_the_mean_over_all_subsets():
    runs = np.random.default_rng(2).standard_normal(7).tolist()
    for k in range(1, 8):
        enumerated = np.mean([min(subset) for subset in itertools.combinations(runs, k)])
        assert expected_best_of_k(runs, k) == pytest.approx(enumerated)
    assert expected_best_of_k(runs, 1) == pytest.approx(np.mean(runs))
    assert expected_best_of_k(runs, 7) == pytest.approx(min(runs))


def test_iqm_by_hand():
    assert iqm([100.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, -90.0]) == pytest.approx(3.5)
    assert iqm([1.0, 2.0, 6.0]) == pytest.approx(3.0)  # fewer than four: nothing to cut
    x = np.random.default_rng(3).standard_normal(21)
    assert iqm(x) == pytest.approx(stats.trim_mean(x, 0.25))


def test_bad_input_is_refused():
    with pytest.raises(ValueError, match="values contains NaN or infinite values: count failed runs apart"):
        t_interval([1.0, float("nan")])
    with pytest.raises(ValueError, match="level must be between 0 and 1"):
        t_interval([1.0, 2.0], 95)
    with pytest.raises(ValueError, match="at least 2 numbers"):
        welch_t([1.0], [1.0, 2.0])
    with pytest.raises(ValueError, match="between 0 and 1"):
        holm([0.5, 1.5])
    with pytest.raises(ValueError, match="k must be between 1 and the number of runs 2"):
        expected_best_of_k([1.0, 2.0], 3)


def test_paired_t_agrees_with_scipy():
    a, b = np.random.default_rng(4).standard_normal((2, 6))
    mean, half_width, p = paired_t(a, b)
    expected = stats.ttest_rel(a, b)
    low, high = expected.confidence_interval()
    assert p == pytest.approx(expected.pvalue)
    assert (mean - half_width, mean + half_width) == pytest.approx((low, high))
    assert paired_t([1.0, 2.0], [0.5, 1.5]) == (0.5, 0.0, 0.0)
    assert paired_t([1.0, 2.0], [1.0, 2.0]) == (0.0, 0.0, 1.0)
    with pytest.raises(ValueError, match="must be pairs"):
        paired_t([1.0, 2.0], [1.0, 2.0, 3.0])


def test_what_cannot_be_told_from_the_best():
    best, near, far, single = [1.0, 1.1, 0.9], [1.1, 1.2, 0.9], [5.0, 5.1, 4.9], [0.0]
    assert not_separable_from_best([far, best, single, near]) == [False, True, False, True]
    assert not_separable_from_best([best, single, []]) == [False, False, False]  # nothing to compare with
    assert not_separable_from_best([best, best]) == [True, True]


def test_the_best_is_told_apart_no_more_often_than_the_level_says():
    rng = np.random.default_rng(5)
    kept = [all(not_separable_from_best(rng.standard_normal((4, 5)))) for _ in range(300)]
    # all four are equal; the best is chosen by its mean, so that the tests are not quite at their level
    assert np.mean(kept) > 0.8


def test_holm_is_used_between_the_comparisons():
    rng = np.random.default_rng(6)
    best, other = rng.standard_normal(5), rng.standard_normal(5) + 2.0
    p = welch_t(best, other)
    assert not_separable_from_best([best, other], alpha=1.01 * p) == [True, False]
    others = [other + 1e-9 * i for i in range(3)]
    assert not_separable_from_best([best, *others], alpha=1.01 * p) == [True] * 4
    assert not_separable_from_best([best, *others], alpha=3.01 * p) == [True, False, False, False]


def test_best_of_k_weights_are_exact():
    for n in (1, 2, 7, 60):
        for k in range(1, n + 1):
            exact = [math.comb(n - i, k - 1) / math.comb(n, k) for i in range(1, n + 1)]
            assert best_of_k_weights(n, k) == pytest.approx(exact, abs=1e-14)
