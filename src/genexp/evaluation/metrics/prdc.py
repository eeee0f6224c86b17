r"""Precision, recall, density and coverage from k-nearest-neighbour balls.

With :math:`B_k(a; A)` the closed ball around a that reaches its k-th nearest other member of A:

* precision: share of generated rows inside the ball of at least one real row; recall: the same with the roles
  exchanged;
* density: mean number of real balls that hold a generated row, over k (1 for equal distributions; above 1
  means samples crowd the dense regions, as over-smooth ones do, not that they are better than real);
* coverage: share of real balls that hold at least one generated row.

Precision and recall depend on the dimension even for a perfect generator (about 0.995 in 2-D, 0.75 in 64-D
Gaussian data), so read them beside a row of held-out real data. Coverage depends on both sample sizes:
:func:`expected_coverage`.

References:
    Improved Precision and Recall Metric for Assessing Generative Models (Kynkäänniemi et al., 2019),
    https://arxiv.org/abs/1904.06991
    Reliable Fidelity and Diversity Metrics for Generative Models (Naeem et al., 2020),
    https://arxiv.org/abs/2002.09797
"""

import numpy as np
from numpy.typing import ArrayLike

from genexp.evaluation.metrics.distances import TIE, Array, as_pair, squared_distance_blocks


def prdc(real: ArrayLike, fake: ArrayLike, k: int = 5) -> dict[str, float]:
    """Precision, recall, density and coverage; radii exclude the row itself and balls are closed.

    Closed balls make identical rows score as such: constant sets that coincide have precision 1, not 0.

    Arguments:
        real: Reference features ``(N, d)``, N above k.
        fake: Generated features ``(M, d)``, M above k; take M = N, otherwise coverage is not comparable.
        k: Which neighbour sets the radius.

    Returns:
        ``precision``, ``recall``, ``density`` and ``coverage``.

    Raises:
        ValueError: If an input is not a finite matrix of more than k rows, or k < 1.
    """
    if k < 1:
        raise ValueError(f"k must be at least 1, but it is {k}")
    reals, fakes = as_pair(real, fake, ("real", "fake"), min_rows=k + 1)
    real_radii, fake_radii = _squared_radii(reals, k), _squared_radii(fakes, k)

    in_real_ball = np.zeros(len(fakes), dtype=bool)
    in_fake_ball = np.empty(len(reals), dtype=bool)
    covered = np.empty(len(reals), dtype=bool)
    hits = 0
    for rows, squared in squared_distance_blocks(reals, fakes):
        inside = squared <= real_radii[rows, None]
        in_real_ball |= inside.any(axis=0)
        covered[rows] = inside.any(axis=1)
        hits += int(np.count_nonzero(inside))
        in_fake_ball[rows] = (squared <= fake_radii).any(axis=1)
    return {
        "precision": float(in_real_ball.mean()),
        "recall": float(in_fake_ball.mean()),
        "density": hits / (k * len(fakes)),
        "coverage": float(covered.mean()),
    }


def expected_coverage(n_real: int, n_fake: int, k: int) -> float:
    r"""Coverage of a perfect generator, whatever the distribution.

    .. math:: 1 - \prod_{i<k} \frac{N-1-i}{N+M-1-i}

    which is the chance that not all of the k nearest of the other N + M - 1 rows are real.

    Arguments:
        n_real: N.
        n_fake: M.
        k: Which neighbour sets the radius.

    Returns:
        The expectation, 0.969 for N = M and k = 5.

    Raises:
        ValueError: If k < 1, N <= k or M < 1.
    """
    if k < 1 or n_real <= k or n_fake < 1:
        raise ValueError(f"need k >= 1, n_real > k and n_fake >= 1, but got k={k}, {n_real} and {n_fake}")
    i = np.arange(k)
    return float(1.0 - np.prod((n_real - 1 - i) / (n_real + n_fake - 1 - i)))


def _squared_radii(x: Array, k: int) -> Array:
    """Squared distance to the k-th nearest other row, widened by the rounding: ties count as inside."""
    radii = np.empty(len(x))
    for rows, squared in squared_distance_blocks(x, x):
        squared[np.arange(rows.stop - rows.start), np.arange(rows.start, rows.stop)] = np.inf
        radii[rows] = np.partition(squared, k - 1, axis=1)[:, k - 1]
    return radii * (1.0 + TIE)
