"""Class shares of generated samples, as a frozen classifier sees them, against those of the reference.

Count covered classes with a threshold: the classifier's errors put a few samples in every class, so that "at
least one sample" always finds all of them.
"""

import numpy as np
from numpy.typing import ArrayLike

from genexp.evaluation.metrics.distances import Array


def class_histogram(labels: ArrayLike, num_classes: int) -> Array:
    """Share of each class.

    Arguments:
        labels: Integers ``(N,)`` from 0 to num_classes - 1.
        num_classes: K.

    Returns:
        Shares ``(K,)`` that sum to 1.

    Raises:
        ValueError: If there are no labels, or one is not an integer in the range.
    """
    given = np.asarray(labels)
    if given.ndim != 1 or given.size == 0:
        raise ValueError(f"labels must be a non-empty vector (N,), but their shape is {given.shape}")
    if not np.issubdtype(given.dtype, np.integer):
        raise ValueError(f"labels must be integers, but their type is {given.dtype}")
    if given.min() < 0 or given.max() >= num_classes:
        raise ValueError(f"labels must be in 0..{num_classes - 1}, but span {given.min()}..{given.max()}")
    return np.bincount(given, minlength=num_classes) / given.size


def total_variation(p: ArrayLike, q: ArrayLike) -> float:
    r"""Total variation :math:`\frac12 \sum_k |p_k - q_k|`.

    Arguments:
        p: Shares or counts ``(K,)``.
        q: Shares or counts ``(K,)``.

    Returns:
        A number in [0, 1].

    Raises:
        ValueError: If the two are not non-negative vectors of one length with a positive sum.
    """
    first, second = _distributions(p, q)
    return float(0.5 * np.abs(first - second).sum())


def kl_divergence(p: ArrayLike, q: ArrayLike) -> float:
    r"""Kullback-Leibler divergence :math:`\sum_k p_k \log(p_k / q_k)`, in nats.

    Arguments:
        p: Shares or counts ``(K,)``.
        q: Shares or counts ``(K,)``.

    Returns:
        A non-negative number, infinite if p has mass where q has none.

    Raises:
        ValueError: If the two are not non-negative vectors of one length with a positive sum.
    """
    first, second = _distributions(p, q)
    support = first > 0
    with np.errstate(divide="ignore"):
        return float((first[support] * np.log(first[support] / second[support])).sum())


def modes_covered(p_gen: ArrayLike, p_ref: ArrayLike, threshold: float = 0.2) -> int:
    """Number of classes that receive at least ``threshold`` times their share in the reference.

    Arguments:
        p_gen: Shares or counts of the generated samples ``(K,)``.
        p_ref: Shares or counts of the reference ``(K,)``.
        threshold: Fraction of the reference's share.

    Returns:
        The number, among the classes that the reference has.

    Raises:
        ValueError: If the two are not non-negative vectors of one length with a positive sum.
    """
    generated, reference = _distributions(p_gen, p_ref)
    return int(np.count_nonzero((reference > 0) & (generated >= threshold * reference)))


def _distributions(p: ArrayLike, q: ArrayLike) -> tuple[Array, Array]:
    first, second = np.asarray(p, dtype=np.float64), np.asarray(q, dtype=np.float64)
    if first.ndim != 1 or first.shape != second.shape:
        raise ValueError(f"shares must be two vectors of one length, but are {first.shape}, {second.shape}")
    for shares in (first, second):
        if not np.isfinite(shares).all():
            raise ValueError("shares contains NaN or infinite values")
        if (shares < 0).any() or shares.sum() <= 0:
            raise ValueError("shares must be non-negative with a positive sum")
    return first / first.sum(), second / second.sum()
