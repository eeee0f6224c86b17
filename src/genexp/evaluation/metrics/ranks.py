r"""The Mann-Whitney statistic with ties: the area under the ROC curve and its standardised form.

References:
    On a test of whether one of two random variables is stochastically larger than the other
    (Mann and Whitney, 1947), https://doi.org/10.1214/aoms/1177730491
"""

import numpy as np
from scipy.stats import rankdata

from genexp.evaluation.metrics.distances import Array


def mann_whitney(x: Array, y: Array) -> tuple[float, float]:
    r"""Compare two samples of numbers by ranks.

    .. math:: U = \sum_{ij} 1[x_i > y_j] + \tfrac12 1[x_i = y_j]

    Arguments:
        x: ``(n,)``.
        y: ``(m,)``.

    Returns:
        ``z``: U less its null mean, over its null standard deviation with the correction for ties (0 when all
        values are equal), and ``auc = U / (n m)``, the probability that an ``x`` exceeds a ``y``.
    """
    n, m = len(x), len(y)
    pooled = np.concatenate([x, y])
    ranks = rankdata(pooled)
    u = ranks[:n].sum() - n * (n + 1) / 2
    counts = np.unique(pooled, return_counts=True)[1].astype(np.float64)
    total = n + m
    variance = n * m / 12 * ((total + 1) - (counts**3 - counts).sum() / (total * (total - 1)))
    z = (u - n * m / 2) / np.sqrt(variance) if variance > 0 else 0.0
    return float(z), float(u / (n * m))
