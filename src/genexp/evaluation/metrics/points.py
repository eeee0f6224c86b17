r"""Metrics for low-dimensional points: modes of Gaussian mixtures, sliced Wasserstein and energy distance.

References:
    PacGAN: The power of two samples in generative adversarial networks (Lin et al., 2018), for modes and
    high-quality samples, https://arxiv.org/abs/1712.04086
    Sliced and Radon Wasserstein Barycenters of Measures (Bonneel et al., 2015),
    https://doi.org/10.1007/s10851-014-0506-3
    Energy statistics: A class of statistics based on distances (Székely and Rizzo, 2013),
    https://doi.org/10.1016/j.jspi.2013.03.018
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import chi2

from genexp.evaluation.metrics.classes import kl_divergence
from genexp.evaluation.metrics.distances import Array, as_pair, squared_distance_blocks, squared_distances

IN_THE_PLANE = 3.0
"""Standard deviations from its mode within which a point of the plane is of high quality."""


def reach(dim: int) -> float:
    r"""The standard deviations within which a point is of high quality: 3 in the plane.

    In other dimensions they are so many that a perfect sampler has the same share within, $1 - e^{-4.5}$.

    Example:
        >>> reach(2), round(reach(1), 3), round(reach(5), 3)
        (3.0, 2.539, 3.851)
    """
    return IN_THE_PLANE if dim == 2 else float(np.sqrt(chi2.ppf(-np.expm1(-(IN_THE_PLANE**2) / 2), dim)))


def mode_statistics(x: ArrayLike, modes: ArrayLike, std: float, weights: ArrayLike | None = None) -> dict[str, float]:
    r"""Compare points with a mixture of K isotropic Gaussians of one standard deviation.

    A point of the plane is of high quality if it lies within 3 std of the nearest mode; elsewhere see `reach`. A
    perfect sampler has :math:`1 - e^{-4.5} = 0.98889` of them; more means that the modes are too narrow, so read
    ``hq`` beside ``std_ratio``.

    Arguments:
        x: Points ``(N, d)``.
        modes: Centres ``(K, d)``.
        std: Standard deviation of each mode, along each axis.
        weights: Weights ``(K,)`` of the modes, normalised here to :math:`w_k`; None for equal ones.

    Returns:
        * ``modes``: modes with at least one high-quality point;
        * ``modes_strict``: modes with at least max(1, 0.1 N w_k) of them;
        * ``hq``: share of high-quality points, in [0, 1];
        * ``mode_kl``: KL divergence in nats of the modes' shares from the weights, less its expectation
          :math:`(K-1)/(2 N_{HQ})` for a perfect sampler (so about 0, perhaps below); if no point is of high
          quality the most that it can be, as if all were in the rarest mode, which is log K for equal weights;
        * ``std_ratio``: pooled within-mode standard deviation of the high-quality points over that of a mode
          truncated there (1 for a perfect sampler); NaN if no mode has two points.

    Raises:
        ValueError: If an input is not a finite matrix, std is not positive, or the weights are not K positive numbers.
    """
    points, centres = as_pair(x, modes, ("x", "modes"))
    if not (np.isfinite(std) and std > 0):
        raise ValueError(f"std must be positive, but it is {std}")
    n, num_modes = len(points), len(centres)
    given = np.ones(num_modes) if weights is None else np.asarray(weights, dtype=np.float64)
    if given.shape != (num_modes,) or not np.isfinite(given).all() or (given <= 0).any():
        raise ValueError(f"weights must be {num_modes} positive numbers, but they are {given.tolist()}")
    squared = squared_distances(points, centres)
    nearest = squared.argmin(axis=1)
    good = squared.min(axis=1) <= (reach(points.shape[1]) * std) ** 2
    counts = np.bincount(nearest[good], minlength=num_modes).astype(np.int64)
    num_good = int(counts.sum())
    if num_good > 0:
        floor = (num_modes - 1) / (2 * num_good)
        mode_kl = kl_divergence(counts, given) - floor
    else:
        mode_kl = -float(np.log(given.min() / given.sum()))
    return {
        "modes": float(np.count_nonzero(counts)),
        "modes_strict": float(np.count_nonzero(counts >= np.maximum(1.0, 0.1 * n * given / given.sum()))),
        "hq": num_good / n,
        "mode_kl": mode_kl,
        "std_ratio": _std_ratio(points[good], nearest[good], counts, std),
    }


def _std_ratio(points: Array, mode_of_point: NDArray[np.int64], counts: NDArray[np.int64], std: float) -> float:
    dim = points.shape[1]
    freedom = dim * (counts.sum() - np.count_nonzero(counts))  # each mode spends one point on its own mean
    if freedom <= 0:
        return float("nan")
    sums = np.stack([np.bincount(mode_of_point, column, minlength=len(counts)) for column in points.T], axis=1)
    means = sums / np.maximum(counts, 1)[:, None]
    variance = ((points - means[mode_of_point]) ** 2).sum() / freedom
    squared = reach(dim) ** 2
    truncated = chi2.cdf(squared, dim + 2) / chi2.cdf(squared, dim)  # variance left within, per axis
    return float(np.sqrt(variance / truncated) / std)


def sliced_wasserstein(x: ArrayLike, y: ArrayLike, rng: np.random.Generator, projections: int = 500) -> float:
    r"""Squared 2-Wasserstein distance of 1-D projections, averaged over random unit directions.

    A shift by v in d dimensions gives :math:`|v|^2/d` on average. Under equal distributions it falls as 1/N.

    Arguments:
        x: ``(N, d)``.
        y: ``(M, d)``; the sizes may differ.
        rng: Draws the directions.
        projections: Number of directions.

    Returns:
        The mean of the squared distances, in squared units of the features.

    Raises:
        ValueError: If an input is not a finite matrix, or projections < 1.
    """
    first, second = as_pair(x, y)
    if projections < 1:
        raise ValueError(f"projections must be at least 1, but it is {projections}")
    directions = rng.standard_normal((projections, first.shape[1]))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    sorted_x = np.sort(directions @ first.T, axis=1)  # (P, N)
    sorted_y = np.sort(directions @ second.T, axis=1)  # (P, M)
    n, m = len(first), len(second)
    if n == m:
        difference = sorted_x - sorted_y
        return float((difference * difference).mean())
    # Quantile functions are steps: cut [0, 1] at all i/N and j/M, counted in 1/(N M) to stay exact.
    cuts = np.union1d(np.arange(1, n + 1) * m, np.arange(1, m + 1) * n)
    widths = np.diff(cuts, prepend=0) / (n * m)
    difference = sorted_x[:, (cuts - 1) // m] - sorted_y[:, (cuts - 1) // n]
    return float((difference * difference @ widths).mean())


def mind(x: ArrayLike, y: ArrayLike, rng: np.random.Generator, projections: int = 1000) -> float:
    r"""The sliced Wasserstein distance in the unit of a Fréchet distance: :math:`3 d` times the mean square.

    A shift by v gives :math:`3 |v|^2` on average, whatever the dimension. Unlike the Fréchet distance it sees more
    than two moments and needs no covariance, so it can be had from few rows of many features; like it, it is
    positive for equal distributions, by an amount that falls as 1/N.

    Arguments:
        x: ``(N, d)``.
        y: ``(M, d)``; the sizes may differ.
        rng: Draws the directions.
        projections: Number of directions.

    Returns:
        The distance, in squared units of the features.

    Raises:
        ValueError: If an input is not a finite matrix, or projections < 1.
    """
    first, second = as_pair(x, y)
    return 3.0 * first.shape[1] * sliced_wasserstein(first, second, rng, projections)


def energy_distance(x: ArrayLike, y: ArrayLike) -> float:
    r"""Energy distance :math:`2 E|X-Y| - E|X-X'| - E|Y-Y'|`, unbiased.

    Arguments:
        x: ``(N, d)``, N at least 2.
        y: ``(M, d)``, M at least 2.

    Returns:
        The estimate in the units of the features, 0 on average for equal distributions (and then often
        negative).

    Raises:
        ValueError: If an input is not a finite matrix of at least two rows.
    """
    first, second = as_pair(x, y, min_rows=2)
    n, m = len(first), len(second)
    across = _distance_sum(first, second) / (n * m)
    return 2.0 * across - _distance_sum(first, first) / (n * (n - 1)) - _distance_sum(second, second) / (m * (m - 1))


def _distance_sum(a: Array, b: Array) -> float:
    return sum(float(np.sqrt(squared).sum()) for _, squared in squared_distance_blocks(a, b))
