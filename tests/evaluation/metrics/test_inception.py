"""The Inception score's extremes, its definition, and its blindness."""

import numpy as np
import pytest
from scipy.special import softmax

from genexp.evaluation.metrics.inception import inception_score


@pytest.mark.parametrize("k", [2, 10])
def test_uniform_one_hot_rows_score_the_number_of_classes(k: int):
    assert inception_score(np.tile(np.eye(k), (7, 1))) == pytest.approx(k)


def test_equal_rows_score_one():
    assert inception_score(np.tile([0.2, 0.5, 0.3], (50, 1))) == pytest.approx(1.0)
    assert inception_score(np.tile([1.0, 0.0, 0.0], (50, 1))) == pytest.approx(1.0)


def test_it_is_the_definition():
    probs = softmax(np.random.default_rng(0).standard_normal((40, 6)), axis=1)
    divergences = (probs * (np.log(probs) - np.log(probs.mean(axis=0)))).sum(axis=1)
    assert inception_score(probs) == pytest.approx(np.exp(divergences.mean()))


def test_logits_and_nan_are_refused():
    with pytest.raises(ValueError, match="softmax"):
        inception_score(np.random.default_rng(0).standard_normal((5, 3)))
    with pytest.raises(ValueError, match="probs contains NaN"):
        inception_score(np.array([[0.5, np.nan]]))
