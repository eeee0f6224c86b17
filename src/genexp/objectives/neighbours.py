"""Exact nearest neighbours, in pieces that fit into memory."""

import torch
from torch import Tensor


def nearest(queries: Tensor, points: Tensor, entries: int = 2**24) -> Tensor:
    """The place of each query's nearest point by the Euclidean distance, long (n,).

    Every distance is taken from differences, not from a product of matrices, which would round near ones away. The
    answer does not depend on the size of the pieces.

    Arguments:
        queries: (n, D).
        points: (m, D).
        entries: distances held at once.

    Example:
        >>> nearest(torch.tensor([[0.9], [0.1]]), torch.tensor([[0.0], [1.0], [2.0]])).tolist()
        [1, 0]
    """
    rows = max(1, entries // len(points))
    parts = [
        torch.cdist(part, points, compute_mode="donot_use_mm_for_euclid_dist").argmin(1) for part in queries.split(rows)
    ]
    return torch.cat(parts)
