r"""Maximum mean discrepancy: unbiased estimators with RBF and polynomial kernels, and a permutation test.

.. math:: \mathrm{MMD}^2_u = \frac{\sum_{i \ne j} k(x_i, x_j)}{n(n-1)}
          + \frac{\sum_{i \ne j} k(y_i, y_j)}{m(m-1)} - \frac{2}{nm} \sum_{ij} k(x_i, y_j)

All samples are used once: averaging over subsets only adds variance.

References:
    A Kernel Two-Sample Test (Gretton et al., 2012), https://jmlr.org/papers/v13/gretton12a.html
    Demystifying MMD GANs (Bińkowski et al., 2018), for the kernel inception distance,
    https://arxiv.org/abs/1801.01401
"""

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import ArrayLike

from genexp.evaluation.metrics.distances import (
    Array,
    as_features,
    as_pair,
    row_slices,
    squared_distance_blocks,
    squared_distances,
)

_MEDIAN_ROWS = 2000


def median_bandwidth(ref: ArrayLike) -> float:
    """The median distance between the rows of a reference: the usual RBF bandwidth.

    Compute it once on the reference and freeze it; a bandwidth that follows the generator makes scores
    incomparable.

    Arguments:
        ref: Features ``(N, d)``; of more than 2000 rows the first 2000 are used, so the rows must be in
            random order.

    Returns:
        The median over pairs, in the units of the features.

    Raises:
        ValueError: If it is not a finite matrix of at least two rows, or if most of its rows are identical.
    """
    rows = as_features(ref, "ref", min_rows=2)[:_MEDIAN_ROWS]
    pairs = squared_distances(rows, rows)[np.triu_indices(len(rows), k=1)]
    median = float(np.median(np.sqrt(pairs)))
    if median == 0.0:
        raise ValueError("ref has no bandwidth: most of its rows are identical")
    return median


def mmd_rbf(x: ArrayLike, y: ArrayLike, bandwidths: Sequence[float]) -> float:
    r"""Unbiased squared MMD with :math:`k(a, b) = \exp(-|a-b|^2 / 2\sigma^2)`, averaged over bandwidths.

    Arguments:
        x: Features ``(N, d)``, N at least 2.
        y: Features ``(M, d)``, M at least 2.
        bandwidths: The σ, in the units of the features.

    Returns:
        The estimate, which is 0 on average (and so often negative) for equal distributions.

    Raises:
        ValueError: If an input is not a finite matrix of at least two rows, or a bandwidth is not positive.
    """
    first, second = as_pair(x, y, min_rows=2)
    scales = _rates(bandwidths)

    def kernel_sum(a: Array, b: Array) -> float:
        return sum(float(_mean_rbf(block, scales).sum()) for _, block in squared_distance_blocks(a, b))

    n, m = len(first), len(second)
    within_x = kernel_sum(first, first) - n  # the diagonal of an RBF kernel is 1
    within_y = kernel_sum(second, second) - m
    return _unbiased(within_x, within_y, kernel_sum(first, second), n, m)


def mmd_permutation_test(
    x: ArrayLike,
    y: ArrayLike,
    bandwidths: Sequence[float],
    rng: np.random.Generator,
    permutations: int = 200,
) -> tuple[float, float]:
    r"""The value of :func:`mmd_rbf` and its p-value under exchangeability of the two samples.

    One pooled kernel serves all permutations: with 0/1 columns :math:`z`, :math:`z^\top K z` is the sum
    within a permuted sample, so a single matrix product does the work. It needs :math:`8(N+M)^2` bytes.

    Arguments:
        x: Features ``(N, d)``, N at least 2.
        y: Features ``(M, d)``, M at least 2.
        bandwidths: The σ, in the units of the features.
        rng: Draws the permutations.
        permutations: Their number P; the smallest possible p-value is 1/(P+1).

    Returns:
        The unbiased squared MMD and :math:`p = (1 + \#\{\mathrm{permuted} \ge \mathrm{observed}\})/(P+1)`.

    Raises:
        ValueError: If an input is not a finite matrix of at least two rows, a bandwidth is not positive, or
            permutations < 1.
    """
    first, second = as_pair(x, y, min_rows=2)
    scales = _rates(bandwidths)
    if permutations < 1:
        raise ValueError(f"permutations must be at least 1, but it is {permutations}")
    n, m = len(first), len(second)
    pooled = np.concatenate([first, second])
    kernel = _mean_rbf(squared_distances(pooled, pooled), scales)
    np.fill_diagonal(kernel, 0.0)  # only pairs of different rows count in the unbiased sums

    member = np.zeros((permutations + 1, n + m))  # row 0 is the observed assignment
    member[:, :n] = 1.0
    member[1:] = rng.permuted(member[1:], axis=1)
    to_first = member @ kernel  # (P+1, N+M): kernel sums of each row with the permuted first sample
    within_x = np.einsum("pi,pi->p", to_first, member)
    across = to_first.sum(axis=1) - within_x
    within_y = kernel.sum() - within_x - 2.0 * across
    values = within_x / (n * (n - 1)) + within_y / (m * (m - 1)) - 2.0 * across / (n * m)
    p = (1 + int((values[1:] >= values[0]).sum())) / (permutations + 1)
    return float(values[0]), float(p)


def kid(x: ArrayLike, y: ArrayLike) -> float:
    r"""Kernel distance with :math:`k(a, b) = (a^\top b / d + 1)^3`, unbiased, on all samples.

    Arguments:
        x: Features ``(N, d)``, N at least 2.
        y: Features ``(M, d)``, M at least 2.

    Returns:
        The estimate, 0 on average for equal distributions; KID when the features are Inception's.

    Raises:
        ValueError: If an input is not a finite matrix of at least two rows.
    """
    first, second = as_pair(x, y, min_rows=2)
    dim = first.shape[1]

    def cubic(products: Array) -> Array:
        base = products / dim + 1.0
        return base * base * base

    def diagonal(a: Array) -> float:
        return float(cubic(np.einsum("ij,ij->i", a, a)).sum())

    within_x = _product_sum(first, first, cubic) - diagonal(first)
    within_y = _product_sum(second, second, cubic) - diagonal(second)
    return _unbiased(within_x, within_y, _product_sum(first, second, cubic), len(first), len(second))


def _product_sum(a: Array, b: Array, kernel: Callable[[Array], Array]) -> float:
    return sum(float(kernel(a[rows] @ b.T).sum()) for rows in row_slices(len(a), len(b)))


def _unbiased(within_x: float, within_y: float, across: float, n: int, m: int) -> float:
    return within_x / (n * (n - 1)) + within_y / (m * (m - 1)) - 2.0 * across / (n * m)


def _rates(bandwidths: Sequence[float]) -> Array:
    sigmas = np.asarray(list(bandwidths), dtype=np.float64)
    if sigmas.size == 0 or not np.isfinite(sigmas).all() or (sigmas <= 0).any():
        raise ValueError(f"bandwidths must be positive numbers, but they are {list(bandwidths)}")
    return -0.5 / sigmas**2


def _mean_rbf(squared: Array, rates: Array) -> Array:
    kernel = np.exp(squared * rates[0])
    for rate in rates[1:]:
        kernel += np.exp(squared * rate)
    return kernel / len(rates)
