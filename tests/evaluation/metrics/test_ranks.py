"""The Mann-Whitney statistic against scikit-learn's AUC and SciPy's p-value, with ties."""

import numpy as np
import pytest
from scipy.stats import mannwhitneyu, norm
from sklearn.metrics import roc_auc_score

from genexp.evaluation.metrics.ranks import mann_whitney


def test_auc_with_ties_agrees_with_scikit_learn():
    rng = np.random.default_rng(9)
    x, y = rng.integers(6, size=50).astype(float), rng.integers(5, size=70).astype(float)
    labels = np.repeat([1, 0], [50, 70])
    assert mann_whitney(x, y)[1] == pytest.approx(roc_auc_score(labels, np.concatenate([x, y])))


def test_z_with_ties_gives_scipys_p_value():
    rng = np.random.default_rng(1)
    x, y = rng.integers(6, size=50).astype(float), rng.integers(5, size=70).astype(float)
    expected = mannwhitneyu(x, y, method="asymptotic", use_continuity=False).pvalue
    assert 2 * norm.sf(abs(mann_whitney(x, y)[0])) == pytest.approx(expected)


def test_direction_and_extremes():
    low, high = np.array([0.0, 1.0]), np.array([2.0, 3.0, 4.0])
    assert mann_whitney(high, low)[1] == 1.0
    assert mann_whitney(low, high)[0] == pytest.approx(-mann_whitney(high, low)[0])
    assert mann_whitney(np.ones(4), np.ones(3)) == (0.0, 0.5)
