r"""The Wasserstein-1 distance of finite samples, exactly, as the transport problem that it is."""

from typing import Literal

import numpy as np
from numpy.typing import ArrayLike
from scipy.optimize import linear_sum_assignment, linprog
from scipy.sparse import eye_array, kron, vstack

from genexp.evaluation.metrics.distances import Array, as_pair, squared_distances

Cost = Literal["l1", "l2", "l2_squared"]
_MOST_ENTRIES = 250_000  # of a cost matrix that the linear program takes: some seconds, some hundred megabytes


def w1_lp(
    x: ArrayLike, y: ArrayLike, p: ArrayLike | None = None, q: ArrayLike | None = None, cost: Cost = "l2"
) -> float:
    r"""The least cost of moving one sample onto another, the primal of the Wasserstein-1 distance.

    .. math:: \min_{\Gamma \ge 0} \sum_{ij} \Gamma_{ij} C_{ij}, \qquad
        \sum_j \Gamma_{ij} = p_i, \quad \sum_i \Gamma_{ij} = q_j.

    On a line it is the area between the distribution functions; equal weights on equally many points make it an
    assignment; everything else is a linear program. The distance between two samples of one density is not 0 but of the
    order :math:`n^{-1/d}`: compare with that of two real samples.

    Arguments:
        x: Points ``(N, d)``.
        y: Points ``(M, d)``.
        p: Weights ``(N,)`` of x, normalised here; None for equal ones.
        q: Weights ``(M,)`` of y, normalised here; None for equal ones.
        cost: ``l2`` and ``l1`` are distances; ``l2_squared`` is not, and its result is the square of W2.

    Returns:
        The cost of the best plan.

    Raises:
        ValueError: If an input is not a finite matrix, weights are negative or all 0, the cost is unknown, or the
            linear program would have more than 250,000 unknowns.

    References:
        Computational Optimal Transport (Peyré and Cuturi, 2019), https://arxiv.org/abs/1803.00567

    Example:
        >>> w1_lp([[0.0], [1.0]], [[2.0], [4.0]])
        2.5
    """
    first, second = as_pair(x, y)
    of_first, of_second = _weights(p, len(first), "p"), _weights(q, len(second), "q")
    if first.shape[1] == 1 and cost in ("l1", "l2"):
        return _on_a_line(first[:, 0], second[:, 0], of_first, of_second)
    costs = _costs(first, second, cost)
    if p is None and q is None and len(first) == len(second):
        return float(costs[linear_sum_assignment(costs)].mean())
    return _linear_program(costs, of_first, of_second)


def _weights(given: ArrayLike | None, n: int, name: str) -> Array:
    weights = np.ones(n) if given is None else np.asarray(given, dtype=np.float64)
    if weights.shape != (n,) or not np.isfinite(weights).all() or (weights < 0).any() or weights.sum() == 0:
        raise ValueError(f"{name} must be {n} weights of at least 0, not all of them 0")
    return weights / weights.sum()


def _costs(x: Array, y: Array, cost: Cost) -> Array:
    if cost not in ("l1", "l2", "l2_squared"):
        raise ValueError(f"cost must be l1, l2 or l2_squared, but it is {cost}")
    if cost == "l1":
        return np.abs(x[:, None] - y).sum(axis=2)
    squared = squared_distances(x, y)
    return squared if cost == "l2_squared" else np.sqrt(squared)


def _on_a_line(x: Array, y: Array, p: Array, q: Array) -> float:
    places = np.concatenate([x, y])
    order = np.argsort(places, kind="stable")
    excess = np.concatenate([p, -q])[order].cumsum()[:-1]  # of one distribution function over the other
    return float(np.abs(excess) @ np.diff(places[order]))


def _linear_program(costs: Array, p: Array, q: Array) -> float:
    n, m = costs.shape
    if costs.size > _MOST_ENTRIES:
        raise ValueError(f"{n} x {m} points with weights of their own are too many for a linear program: take fewer")
    rows = kron(eye_array(n), np.ones((1, m)))
    columns = kron(np.ones((1, n)), eye_array(m))
    solved = linprog(costs.ravel(), A_eq=vstack([rows, columns]).tocsr(), b_eq=np.concatenate([p, q]), method="highs")
    if not solved.success:
        raise ValueError(f"the linear program has no solution: {solved.message}")
    return float(solved.fun)
