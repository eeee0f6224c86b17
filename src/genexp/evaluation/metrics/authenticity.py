r"""Authenticity: the share of generated rows that are not suspiciously near to a training row.

A generated row g is authentic if its nearest training row t has another training row nearer to it than g is,
:math:`\min_{t' \ne t} |t - t'| < |g - t|`.

The value of a perfect generator is not 1/2 and depends on the dimension: see :func:`dense_authenticity`. Compare with
a held-out sample, never with a constant; that is why the default suite has
:func:`genexp.evaluation.metrics.memorisation.copy_rate` in its place.

References:
    How Faithful is your Synthetic Data? Sample-level Metrics for Evaluating and Auditing Generative Models (Alaa,
    van Breugel, Saveliev and van der Schaar, 2022), https://arxiv.org/abs/2102.08921
"""

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import betainc

from genexp.evaluation.metrics.distances import TIE, Array, as_features, as_pair, squared_distance_blocks


def authenticity(generated: ArrayLike, train: ArrayLike) -> float:
    """Share of generated rows that are authentic; ties, as exact copies of a repeated row, are not.

    Arguments:
        generated: ``(N, d)``.
        train: ``(T, d)``, T at least 2, what the generator was fitted to.

    Returns:
        The share, in [0, 1]; 0 for a copier.

    Raises:
        ValueError: If an input is not a finite matrix, or train has a single row.
    """
    samples, real = as_pair(generated, train, ("generated", "train"))
    as_features(real, "train", min_rows=2)
    nearest, distances = np.empty(len(samples), dtype=np.int64), np.empty(len(samples))
    for rows, squared in squared_distance_blocks(samples, real):
        nearest[rows] = squared.argmin(axis=1)
        distances[rows] = squared.min(axis=1)
    return float((_squared_to_another(real)[nearest] < distances * (1.0 - TIE)).mean())


def dense_authenticity(dim: int) -> float:
    r"""What a perfect generator reads where the training rows lie so densely that their density is even around each.

    Let t be the nearest training row of g, at distance r. The ball around g is empty, so the first other row
    within r of t lies in the rest of t's ball: a share :math:`1 - \ell` of its volume, :math:`\ell` the share of the
    lens that two balls have in common when each has its centre on the other. For a Poisson process

    .. math:: P(\text{authentic}) = 1 - \frac{1}{2 - \ell}, \qquad \ell = I_{3/4}\bigl(\tfrac{d+1}{2}, \tfrac12\bigr).

    Arguments:
        dim: The dimension d of the data.

    Returns:
        1/3 on a line, 0.379 in the plane, and 1/2 in the limit. In many dimensions no sample is dense: there it may
        be far above 1/2.

    Raises:
        ValueError: If dim < 1.
    """
    if dim < 1:
        raise ValueError(f"dim must be at least 1, but it is {dim}")
    lens = float(betainc((dim + 1) / 2, 0.5, 0.75))
    return 1.0 - 1.0 / (2.0 - lens)


def _squared_to_another(rows: Array) -> Array:
    """Squared distance of each row to the nearest other one; 0 for a row that is repeated."""
    nearest = np.empty(len(rows))
    for part, squared in squared_distance_blocks(rows, rows):
        squared[np.arange(len(squared)), np.arange(len(rows))[part]] = np.inf
        nearest[part] = squared.min(axis=1)
    return nearest
