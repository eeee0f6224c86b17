"""Statistics of a few runs: intervals, tests and the cost of picking the best.

With 3 to 20 seeds the Student interval keeps its level; a percentile bootstrap of a nominal 95 % covers about
74 % with 3 and 82 % with 5. A diverged run is not a number: count it apart, and do not drop it in silence.
"""

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import special  # the whole of scipy.stats takes a second to import


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
    return mean, float(special.stdtrit(n - 1, 0.5 + level / 2.0) * runs.std(ddof=1) / math.sqrt(n))


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
    of_first, of_second = first.var(ddof=1) / len(first), second.var(ddof=1) / len(second)
    total = of_first + of_second
    share = of_first / total
    freedom = 1.0 / (share**2 / (len(first) - 1) + (1.0 - share) ** 2 / (len(second) - 1))
    return _two_sided((first.mean() - second.mean()) / math.sqrt(total), freedom)


def paired_t(a: ArrayLike, b: ArrayLike, level: float = 0.95) -> tuple[float, float, float]:
    """Student's t-test of the differences of two methods on the same seeds.

    Arguments:
        a: One number per seed of the first method, at least two ``(n,)``.
        b: Those of the second, in the same order ``(n,)``.
        level: Coverage of the interval, between 0 and 1.

    Returns:
        The mean of a - b, the half-width of its interval and the two-sided p-value; if the differences do not vary
        the p-value is 1 where they are 0, otherwise 0.

    Raises:
        ValueError: If the numbers are not pairs, fewer than two, or not finite.
    """
    first, second = _runs(a, "a", at_least=2), _runs(b, "b", at_least=2)
    if len(first) != len(second):
        raise ValueError(f"a and b must be pairs, but they are {len(first)} and {len(second)} numbers")
    differences = first - second
    mean, half_width = t_interval(differences, level)
    if np.ptp(differences) == 0.0:
        return mean, half_width, 1.0 if mean == 0.0 else 0.0
    error = float(differences.std(ddof=1)) / math.sqrt(len(differences))
    return mean, half_width, _two_sided(mean / error, len(differences) - 1)


def not_separable_from_best(methods: Sequence[ArrayLike], alpha: float = 0.05) -> list[bool]:
    """Which of several methods cannot be told from the one with the lowest mean.

    Each is compared with the best by Welch's test, and Holm's adjustment makes up for there being several. A method
    with fewer than two values cannot be tested: it is never among them and is never the best.

    Arguments:
        methods: The values of each, one per run, lower is better.
        alpha: Level of the family of tests.

    Returns:
        One truth value per method; none is true if fewer than two can be tested.

    Raises:
        ValueError: If a value is not finite.
    """
    testable = [i for i, values in enumerate(methods) if len(np.asarray(values)) > 1]
    answer = [False] * len(methods)
    if len(testable) < 2:
        return answer
    best = min(testable, key=lambda i: float(_runs(methods[i], "methods").mean()))
    others = [i for i in testable if i != best]
    adjusted = holm([welch_t(methods[i], methods[best]) for i in others])
    answer[best] = True
    for i, p in zip(others, adjusted, strict=True):
        answer[i] = bool(p >= alpha)
    return answer


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
    return float(runs @ best_of_k_weights(len(runs), k))


def best_of_k_weights(n: int, k: int) -> NDArray[np.float64]:
    """Chance of each of n runs, ordered from best to worst, to be the best of k that are drawn at random.

    Arguments:
        n: Number of runs.
        k: Number of runs drawn without replacement, from 1 to n.

    Returns:
        ``(n,)``, which sum to 1.

    Raises:
        ValueError: If k is not between 1 and n.
    """
    if not 1 <= k <= n:
        raise ValueError(f"k must be between 1 and the number of runs {n}, but it is {k}")
    i = np.arange(1, n)
    ratios = np.maximum(n - i - k + 1, 0) / (n - i)  # of C(n-i-1, k-1) to C(n-i, k-1)
    return k / n * np.cumprod(np.concatenate([[1.0], ratios]))


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


def _two_sided(t: float, freedom: float) -> float:
    """The p-value of a Student variable."""
    return float(2.0 * special.stdtr(freedom, -abs(t)))


def _runs(values: ArrayLike | Sequence[float], name: str, at_least: int = 1) -> NDArray[np.float64]:
    runs = np.asarray(values, dtype=np.float64)
    if runs.ndim != 1 or len(runs) < at_least:
        raise ValueError(f"{name} must be a vector of at least {at_least} numbers, but its shape is {runs.shape}")
    if not np.isfinite(runs).all():
        raise ValueError(f"{name} contains NaN or infinite values: count failed runs apart")
    return runs
