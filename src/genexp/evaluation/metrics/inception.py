r"""The Inception score.

.. math:: \mathrm{IS} = \exp E_x\, \mathrm{KL}(p(y|x) \,\|\, p(y))

It never sees a reference and rises when samples shrink towards class means; it is here for comparison with
older tables, and is in no default suite.

References:
    Improved Techniques for Training GANs (Salimans et al., 2016), https://arxiv.org/abs/1606.03498
"""

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import xlogy

from genexp.evaluation.metrics.distances import as_features


def inception_score(probs: ArrayLike) -> float:
    """Inception score of class probabilities, on all samples at once (no splits).

    Arguments:
        probs: ``(N, K)``, rows that sum to 1.

    Returns:
        A number from 1 (all rows equal) to K (one-hot rows, all classes equally often).

    Raises:
        ValueError: If it is not a finite matrix of probabilities.
    """
    rows = as_features(probs, "probs")
    if (rows < 0).any() or np.abs(rows.sum(axis=1) - 1.0).max() > 1e-4:
        raise ValueError("probs must be non-negative with rows that sum to 1: apply a softmax to logits")
    marginal = rows.mean(axis=0)
    # KL of the rows from their mean is the entropy of the mean less the mean entropy.
    information = xlogy(rows, rows).sum(axis=1).mean() - xlogy(marginal, marginal).sum()
    return float(np.exp(information))
