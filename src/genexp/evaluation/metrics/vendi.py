r"""The Vendi score: how many different samples there are, in effect.

With the eigenvalues :math:`\lambda_i` of :math:`K/n`, where K is a similarity matrix of ones on its diagonal,

.. math:: \mathrm{VS}_q = \exp\Bigl(\frac{1}{1-q} \log \sum_i \lambda_i^q\Bigr), \qquad
          \mathrm{VS}_1 = \exp\Bigl(-\sum_i \lambda_i \log \lambda_i\Bigr).

It never sees a reference: noise is as diverse as can be. It is here for comparison with others' tables and in no
default suite.

References:
    The Vendi Score: A Diversity Evaluation Metric for Machine Learning (Friedman and Dieng, 2023),
    https://arxiv.org/abs/2210.02410
    Cousins Of The Vendi Score: A Family Of Similarity-Based Diversity Metrics For Science And Machine Learning
    (Pasarkar and Dieng, 2024), for other orders, https://arxiv.org/abs/2310.12952
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import xlogy

from genexp.evaluation.metrics.distances import as_features

_ZERO = 1e-10  # eigenvalues sum to 1: what is below is rounding, and would count where the order is below 1


def vendi_score(x: ArrayLike, order: float = 1.0) -> float:
    """The Vendi score of features under the cosine of the angle between them.

    With fewer columns than rows the eigenvalues are those of the ``(d, d)`` matrix of second moments.

    Arguments:
        x: Features ``(N, d)``, no row of zeros.
        order: The order q of the entropy, 0 or more: small ones weigh rare samples as much as frequent ones, and
            infinity counts by the largest eigenvalue alone.

    Returns:
        A number from 1 (all rows in one direction) to min(N, d) (rows spread evenly over orthogonal directions).

    Raises:
        ValueError: If it is not a finite matrix, a row is zero, or the order is negative.
    """
    rows = as_features(x, "x")
    largest = np.abs(rows).max(axis=1, keepdims=True)
    if (largest == 0).any():
        raise ValueError("x has a row of zeros, which has no direction")
    rows = rows / largest  # no square overflows, however large the features
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    n, d = rows.shape
    return _effective_number(np.linalg.eigvalsh((rows.T @ rows if d < n else rows @ rows.T) / n), order)


def vendi_score_of_kernel(kernel: ArrayLike, order: float = 1.0) -> float:
    """The Vendi score of a similarity matrix of your own.

    Arguments:
        kernel: ``(N, N)``, symmetric and positive semi-definite, with ones on the diagonal.
        order: The order q of the entropy, 0 or more.

    Returns:
        A number from 1 to N.

    Raises:
        ValueError: If it is no such matrix, or the order is negative.
    """
    similarity = as_features(kernel, "kernel")
    n = len(similarity)
    if similarity.shape != (n, n) or not np.allclose(similarity, similarity.T, atol=1e-8):
        raise ValueError(f"kernel must be a symmetric matrix (N, N), but its shape is {similarity.shape}")
    if not np.allclose(np.diag(similarity), 1.0, atol=1e-6):
        raise ValueError("kernel must have ones on its diagonal: a sample is entirely similar to itself")
    eigenvalues = np.linalg.eigvalsh(similarity / n)
    if eigenvalues[0] < -1e-8:
        raise ValueError("kernel must be positive semi-definite")
    return _effective_number(eigenvalues, order)


def _effective_number(eigenvalues: NDArray[np.floating], order: float) -> float:
    """Exponential of the Rényi entropy of eigenvalues that sum to 1."""
    if not order >= 0:
        raise ValueError(f"order must be 0 or more, but it is {order}")
    shares = eigenvalues[eigenvalues > _ZERO]
    if order == 1:
        return float(np.exp(-xlogy(shares, shares).sum()))
    if np.isinf(order):
        return float(1.0 / shares.max())
    return float((shares**order).sum() ** (1.0 / (1.0 - order)))
