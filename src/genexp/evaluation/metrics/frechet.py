r"""The Fréchet distance between Gaussian fits, and its small-sample bias.

.. math:: \mathrm{FD} = |\mu_1-\mu_2|^2 + \mathrm{tr}\,S_1 + \mathrm{tr}\,S_2
          - 2\,\mathrm{tr}\,(S_1^{1/2} S_2 S_1^{1/2})^{1/2}

With finite samples FD is positive even for a perfect generator. To second order (delta method, Gaussian
features, eigenvalues :math:`\lambda` of the common covariance) a sample of :math:`n` rows contributes

.. math:: \frac1n \Big[\sum_i \lambda_i + \frac12 \sum_{ij} (1+\delta_{ij})
          \frac{\lambda_i\lambda_j}{\lambda_i+\lambda_j}\Big]

and the corrected distance subtracts one such term per sample, each with its own spectrum. Sampling spreads a
spectrum, so a share of the bias of about d/(2n) stays for isotropic features in d dimensions (6 % at d = 64,
n = 500), and less for spectra that decay, as those of real features do. With fewer rows than about 2d the
correction is not to be trusted: compare at equal n instead.

References:
    GANs Trained by a Two Time-Scale Update Rule Converge to a Local Nash Equilibrium (Heusel et al., 2017),
    https://arxiv.org/abs/1706.08500
    Effectively Unbiased FID and Inception Score and Where to Find Them (Chong and Forsyth, 2020), on the bias,
    https://arxiv.org/abs/1911.07023
"""

import numpy as np
from numpy.typing import ArrayLike

from genexp.evaluation.metrics.distances import Array, as_features, as_pair

_CONDITION = 1e-6  # ratio of Cholesky pivots below which eigenvalues of the product would lose half their digits


def trace_sqrt_product(cov1: ArrayLike, cov2: ArrayLike) -> float:
    r"""Trace of :math:`(S_1^{1/2} S_2 S_1^{1/2})^{1/2}` for two covariance matrices.

    Well-conditioned matrices take the Cholesky factor :math:`S_1 = L L^\top` and the eigenvalues of
    :math:`L^\top S_2 L`; singular ones take the nuclear norm of :math:`S_1^{1/2} S_2^{1/2}`, because the
    square root of an eigenvalue that should be 0 would turn 1e-16 into 1e-8.

    Arguments:
        cov1: Symmetric positive semi-definite ``(d, d)``.
        cov2: Symmetric positive semi-definite ``(d, d)``.

    Returns:
        The trace, non-negative.

    Raises:
        ValueError: If the shapes differ or a value is not finite.
    """
    first, second = as_pair(cov1, cov2, ("cov1", "cov2"))
    if first.shape != second.shape or first.shape[0] != first.shape[1]:
        raise ValueError(f"covariances must be square and alike, but are {first.shape}, {second.shape}")
    try:
        lower = np.linalg.cholesky(first)
        pivots = np.diagonal(lower)
        if pivots.min() > _CONDITION * pivots.max():
            eigenvalues = np.linalg.eigvalsh(lower.T @ second @ lower)
            if eigenvalues[0] > _CONDITION**2 * eigenvalues[-1]:
                return float(np.sqrt(eigenvalues).sum())
    except np.linalg.LinAlgError:
        pass  # singular: take the route below
    return _nuclear_norm(_symmetric_root(first) @ _symmetric_root(second))


def frechet_bias(cov: ArrayLike, n: int) -> float:
    r"""What a sample of ``n`` rows adds to FD when both samples come from one Gaussian.

    The total null bias of FD with samples of n and m rows is ``frechet_bias(cov, n) + frechet_bias(cov, m)``;
    for the identity in d dimensions one term is :math:`(d + d(d+1)/4)/n`.

    Arguments:
        cov: Covariance ``(d, d)``.
        n: Number of rows.

    Returns:
        The second-order bias of FD, in the units of FD.

    Raises:
        ValueError: If the matrix is not square, a value is not finite, or n < 1.
    """
    matrix = as_features(cov, "cov")
    if matrix.shape[0] != matrix.shape[1]:
        raise ValueError(f"cov must be square, but its shape is {matrix.shape}")
    if n < 1:
        raise ValueError(f"n must be at least 1, but it is {n}")
    eigenvalues = np.clip(np.linalg.eigvalsh(matrix), 0.0, None)
    sums = eigenvalues[:, None] + eigenvalues
    products = eigenvalues[:, None] * eigenvalues
    halves = np.divide(products, sums, out=np.zeros_like(sums), where=sums > 0)
    return float((eigenvalues.sum() + 0.5 * (halves.sum() + np.trace(halves))) / n)


def frechet_distance(x: ArrayLike, y: ArrayLike) -> float:
    """Fréchet distance between Gaussian fits of two samples (covariances with ``ddof=1``).

    Arguments:
        x: Features ``(N, d)``, N at least 2.
        y: Features ``(M, d)``, M at least 2.

    Returns:
        The squared 2-Wasserstein distance of the two Gaussians, biased upwards by about (1/N + 1/M); rounding
        can make it about -1e-12 for identical sets.

    Raises:
        ValueError: If an input is not a finite matrix of at least two rows.
    """
    return _distance_and_covariances(*as_pair(x, y, min_rows=2))[0]


def frechet_distance_corrected(x: ArrayLike, y: ArrayLike) -> float:
    """Fréchet distance less the null bias of both samples: 0 on average for a perfect generator.

    Arguments:
        x: Features ``(N, d)``, N at least 2.
        y: Features ``(M, d)``, M at least 2.

    Returns:
        The corrected distance; it scatters around 0 for equal distributions and is deliberately not clipped,
        since clipping would bring a bias back.

    Raises:
        ValueError: If an input is not a finite matrix of at least two rows.
    """
    first, second = as_pair(x, y, min_rows=2)
    distance, cov1, cov2 = _distance_and_covariances(first, second)
    return distance - frechet_bias(cov1, len(first)) - frechet_bias(cov2, len(second))


def _distance_and_covariances(x: Array, y: Array) -> tuple[float, Array, Array]:
    mean1, mean2 = x.mean(axis=0), y.mean(axis=0)
    scaled1 = (x - mean1) / np.sqrt(len(x) - 1)  # scaled1.T @ scaled1 is the covariance
    scaled2 = (y - mean2) / np.sqrt(len(y) - 1)
    cov1, cov2 = scaled1.T @ scaled1, scaled2.T @ scaled2
    if min(len(x), len(y)) <= x.shape[1]:
        # Rank-deficient by construction: tr sqrt is the nuclear norm of scaled1 scaled2ᵀ, a small matrix.
        root = _nuclear_norm(_triangular(scaled1) @ _triangular(scaled2).T)
    else:
        root = trace_sqrt_product(cov1, cov2)
    shift = float(((mean1 - mean2) ** 2).sum())
    return shift + float(np.trace(cov1) + np.trace(cov2)) - 2.0 * root, cov1, cov2


def _triangular(factor: Array) -> Array:
    """A factor with the same Gram matrix and at most d rows: rotating rows keeps the singular values."""
    if factor.shape[0] <= factor.shape[1]:
        return factor
    return np.asarray(np.linalg.qr(factor, mode="r"), dtype=np.float64)


def _symmetric_root(matrix: Array) -> Array:
    eigenvalues, vectors = np.linalg.eigh(matrix)
    return (vectors * np.sqrt(np.clip(eigenvalues, 0.0, None))) @ vectors.T


def _nuclear_norm(matrix: Array) -> float:
    return float(np.linalg.svd(matrix, compute_uv=False).sum())
