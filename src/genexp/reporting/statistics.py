"""Statistics of a few runs: intervals, tests and the cost of picking the best.

With 3 to 20 seeds the Student interval keeps its level; a percentile bootstrap of a nominal 95 % covers about
74 % with 3 and 82 % with 5. A diverged run is not a number: count it apart, and do not drop it in silence.
"""

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats


def t_interval(values: ArrayLike, level: float = 0.95) -> tuple[float, float]:
    r"""Student interval of the mean, :math:`\bar x \pm t_{n-1} s/\sqrt n`.

    Arguments:
        values: One number per run ``(n,)``.
        level: Coverage, between 0 and 1.

    Returns:
        The mean and the half-width; the half-width is infinite for one run, which says nothing about spread.

    Raises:
        ValueError: If there are no values, one is not finite, or the level is not in (0, 1).
    """
    runs = _runs(values, "values")
    if not 0.0 < level < 1.0:
        raise ValueError(f"level must be between 0 and 1, but it is {level}")
    mean, n = float(runs.mean()), len(runs)
    if n == 1:
        return mean, math.inf
    return mean, float(stats.t.ppf(0.5 + level / 2.0, n - 1) * runs.std(ddof=1) / math.sqrt(n))


def welch_t(a: ArrayLike, b: ArrayLike) -> float:
    """Two-sided p-value of Welch's t-test that two methods have the same mean.

    Arguments:
        a: One number per run of the first method, at least two.
        b: One number per run of the second, at least two.

    Returns:
        The p-value. If neither method varies at all: 1 for equal values, otherwise 0.

    Raises:
        ValueError: If a method has fewer than two values or one is not finite.

    References:
        The generalization of Student's problem when several different population variances are involved
        (Welch, 1947), https://doi.org/10.1093/biomet/34.1-2.28
    """
    first, second = _runs(a, "a", at_least=2), _runs(b, "b", at_least=2)
    if np.ptp(first) == 0.0 and np.ptp(second) == 0.0:
        return 1.0 if first[0] == second[0] else 0.0
    return float(stats.ttest_ind(first, second, equal_var=False).pvalue)


def holm(pvalues: ArrayLike) -> NDArray[np.float64]:
    r"""Holm's adjustment of the p-values of several comparisons.

    Sorted upwards, :math:`\tilde p_{(i)} = \max_{j \le i} \min(1, (m-j+1)\, p_{(j)})`.

    Arguments:
        pvalues: ``(m,)``.

    Returns:
        Adjusted p-values in the order given; those below α are significant with family-wise error at most α.

    Raises:
        ValueError: If there are none or one is not in [0, 1].

    References:
        A simple sequentially rejective multiple test procedure (Holm, 1979),
        https://www.jstor.org/stable/4615733
    """
    p = _runs(pvalues, "pvalues")
    if (p < 0).any() or (p > 1).any():
        raise ValueError("pvalues must be between 0 and 1")
    order = np.argsort(p, kind="stable")
    scaled = p[order] * np.arange(len(p), 0, -1)
    adjusted = np.empty_like(p)
    adjusted[order] = np.minimum(1.0, np.maximum.accumulate(scaled))
    return adjusted


def expected_best_of_k(values: ArrayLike, k: int) -> float:
    r"""Expected minimum of k of the n runs drawn without replacement: what a budget of k trials buys.

    .. math:: E[\min_k] = \sum_i x_{(i)} \binom{n-i}{k-1} \Big/ \binom{n}{k}

    Arguments:
        values: One number per run ``(n,)``, lower is better (negate those where higher is).
        k: Number of trials, from 1 (the mean) to n (the minimum).

    Returns:
        The expectation.

    Raises:
        ValueError: If k is not between 1 and n, or a value is not finite.

    References:
        Are GANs Created Equal? A Large-Scale Study (Lucic et al., 2018), for comparing at equal budgets,
        https://arxiv.org/abs/1711.10337
    """
    runs = np.sort(_runs(values, "values"))
    n = len(runs)
    if not 1 <= k <= n:
        raise ValueError(f"k must be between 1 and the number of runs {n}, but it is {k}")
    subsets = math.comb(n, k)
    weights = np.array([math.comb(n - i, k - 1) / subsets for i in range(1, n + 1)])
    return float(runs @ weights)


def iqm(values: ArrayLike) -> float:
    """Interquartile mean: the mean after a quarter of the runs (rounded down) is cut at either end.

    Arguments:
        values: ``(n,)``, for instance normalised scores of datasets times seeds.

    Returns:
        The trimmed mean.

    Raises:
        ValueError: If there are no values or one is not finite.

    References:
        Deep Reinforcement Learning at the Edge of the Statistical Precipice (Agarwal et al., 2021),
        https://arxiv.org/abs/2108.13264
    """
    runs = np.sort(_runs(values, "values"))
    cut = len(runs) // 4
    return float(runs[cut : len(runs) - cut].mean())


def _runs(values: ArrayLike | Sequence[float], name: str, at_least: int = 1) -> NDArray[np.float64]:
    runs = np.asarray(values, dtype=np.float64)
    if runs.ndim != 1 or len(runs) < at_least:
        raise ValueError(f"{name} must be a vector of at least {at_least} numbers, but its shape is {runs.shape}")
    if not np.isfinite(runs).all():
        raise ValueError(f"{name} contains NaN or infinite values: count failed runs apart")
    return runs
