"""Memorisation: are generated samples closer to the training set than held-out real ones are?

The Fréchet distance and its kin give a copier of the training set a perfect score; these three do not.

References:
    A Non-Parametric Test to Detect Data-Copying in Generative Models (Meehan, Chaudhuri and Dasgupta, 2020),
    https://arxiv.org/abs/2004.05675
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import beta

from genexp.evaluation.metrics.distances import (
    TIE,
    Array,
    as_features,
    as_pair,
    row_identities,
    squared_distance_blocks,
)
from genexp.evaluation.metrics.ranks import mann_whitney


def nearest_rows(a: ArrayLike, b: ArrayLike) -> tuple[NDArray[np.int64], Array]:
    """The nearest row of ``b`` to each row of ``a``, and its Euclidean distance.

    Arguments:
        a: ``(N, d)``.
        b: ``(M, d)``.

    Returns:
        Indices ``(N,)``, the first of several at one distance; distances ``(N,)``, exactly 0 for a row that is in b.

    Raises:
        ValueError: If an input is not a finite matrix.
    """
    first, second = as_pair(a, b, ("a", "b"))
    nearest = np.empty(len(first), dtype=np.int64)
    for rows, squared in squared_distance_blocks(first, second):
        nearest[rows] = squared.argmin(axis=1)
    difference = first - second[nearest]  # recomputed from differences: to the last digit
    return nearest, np.sqrt(np.einsum("ij,ij->i", difference, difference))


def nearest_distances(a: ArrayLike, b: ArrayLike) -> Array:
    """Euclidean distance ``(N,)`` of each row of ``a`` to its nearest row of ``b``; see :func:`nearest_rows`."""
    return nearest_rows(a, b)[1]


def copy_rate(generated: ArrayLike, train: ArrayLike, held_out: ArrayLike, quantile: float = 0.01) -> float:
    """Share of generated rows that lie closer to the training set than nearly all held-out real rows do.

    The threshold is a low quantile of the distances of held-out rows to the training set, so a perfect
    generator reads ``quantile`` and a generator that copies a share c of the time reads about c + (1 - c) *
    quantile.

    Arguments:
        generated: ``(N, d)``.
        train: ``(T, d)``, what the generator was fitted to.
        held_out: ``(M, d)``, real rows that it never saw.
        quantile: The null value.

    Returns:
        The share, in [0, 1].

    Raises:
        ValueError: If an input is not a finite matrix, or the quantile is not in (0, 1).
    """
    if not 0.0 < quantile < 1.0:
        raise ValueError(f"quantile must be between 0 and 1, but it is {quantile}")
    as_pair(generated, held_out, ("generated", "held_out"))
    threshold = np.quantile(nearest_distances(held_out, train), quantile)
    return float((nearest_distances(generated, train) < threshold * (1.0 - TIE)).mean())


def copy_rate_interval(rate: float, n: int, level: float = 0.95) -> tuple[float, float]:
    """Exact (Clopper-Pearson) binomial interval of a copy rate.

    It covers the randomness of the generated rows, not that of the threshold.

    Arguments:
        rate: The observed share.
        n: The number of generated rows behind it.
        level: Coverage of the interval.

    Returns:
        Lower and upper end.

    Raises:
        ValueError: If the rate is not in [0, 1], n < 1 or the level is not in (0, 1).
    """
    if not 0.0 <= rate <= 1.0 or n < 1 or not 0.0 < level < 1.0:
        raise ValueError(f"need 0 <= rate <= 1, n >= 1, 0 < level < 1, but got {rate}, {n}, {level}")
    copies = round(rate * n)
    tail = (1.0 - level) / 2.0
    low = float(beta.ppf(tail, copies, n - copies + 1)) if copies > 0 else 0.0
    high = float(beta.ppf(1.0 - tail, copies + 1, n - copies)) if copies < n else 1.0
    return low, high


def c_t(generated: ArrayLike, train: ArrayLike, held_out: ArrayLike) -> tuple[float, float]:
    """Mann-Whitney comparison of distances to the training set: generated against held-out rows.

    Arguments:
        generated: ``(N, d)``.
        train: ``(T, d)``.
        held_out: ``(M, d)``.

    Returns:
        ``z``, standard normal for a perfect generator, very negative for a copier, positive for samples far
        from the data (it grows with the square root of the sizes); and ``auc``, the chance that a generated
        row is farther from the training set than a held-out one, which does not depend on the sizes.
        Ties count half and narrow the null's variance.

    Raises:
        ValueError: If an input is not a finite matrix.
    """
    as_pair(generated, held_out, ("generated", "held_out"))
    of_generated, of_held_out = nearest_distances(generated, train), nearest_distances(held_out, train)
    # Images on a grid have many equal distances; ten digits keep rounding from breaking these ties.
    unit = 1e-10 * (max(float(of_generated.max()), float(of_held_out.max())) or 1.0)
    return mann_whitney(np.rint(of_generated / unit), np.rint(of_held_out / unit))


def duplicate_share(x: ArrayLike) -> float:
    """Share of rows that repeat an earlier row exactly.

    Arguments:
        x: ``(N, d)``; on the data's grid for images, since dequantised copies differ in the last bits.

    Returns:
        One less the share of distinct rows: 0 if all differ.

    Raises:
        ValueError: If it is not a finite matrix.
    """
    identities = row_identities(as_features(x, "x"))
    return 1.0 - (int(identities.max()) + 1) / len(identities)
