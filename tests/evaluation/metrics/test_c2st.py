"""Classifier tests: the null, separable sets, a known AUC, and leaks through repeated rows."""

from collections.abc import Callable

import numpy as np
import pytest
from scipy.stats import norm
from sklearn.datasets import load_digits

from genexp.evaluation.metrics.c2st import c2st_knn_auc, c2st_logreg_auc

TESTS = [c2st_logreg_auc, c2st_knn_auc]
Test = Callable[..., float]


@pytest.mark.parametrize("test", TESTS)
def test_null_is_a_half(test: Test):
    rng = np.random.default_rng(0)
    values = [test(*rng.standard_normal((2, 300, 8)), rng) for _ in range(12)]
    assert np.mean(values) == pytest.approx(0.5, abs=0.02)
    assert max(abs(v - 0.5) for v in values) < 0.1


@pytest.mark.parametrize("test", TESTS)
def test_separable_sets_read_one(test: Test):
    rng = np.random.default_rng(1)
    x, y = rng.standard_normal((2, 100, 4))
    assert test(x, y + 50.0, rng) == 1.0


def test_logistic_regression_reaches_the_best_auc_between_shifted_gaussians():
    # The optimal score is linear, with AUC = Phi(|shift| / sqrt 2).
    rng = np.random.default_rng(2)
    x, y = rng.standard_normal((2, 3000, 2))
    auc = c2st_logreg_auc(x, y + np.array([1.0, 0.0]), rng)
    assert auc == pytest.approx(norm.cdf(1 / np.sqrt(2)), abs=0.015)


def test_neighbours_see_what_a_linear_classifier_cannot():
    rng = np.random.default_rng(3)
    x, y = rng.standard_normal((400, 2)), 2.5 * rng.standard_normal((400, 2))
    assert c2st_logreg_auc(x, y, rng) == pytest.approx(0.5, abs=0.08)
    assert c2st_knn_auc(x, y, rng) > 0.75


@pytest.mark.parametrize("test", TESTS)
def test_resampled_perfect_data_read_a_half(test: Test):
    # Repeated rows in both training and test folds would read about 0.7 to 0.8. One value scatters by 0.03.
    pixels = load_digits().data / 16.0
    values = []
    for seed in range(16):
        rng = np.random.default_rng(seed)
        order = rng.permutation(len(pixels))
        real, held_out = pixels[order[:500]], pixels[order[500:1000]]
        values.append(test(real, held_out[rng.integers(500, size=500)], rng))
    assert np.mean(values) == pytest.approx(0.5, abs=0.025)


@pytest.mark.parametrize("test", TESTS)
def test_repeating_rows_changes_only_the_folds(test: Test):
    rng = np.random.default_rng(4)
    x, y = rng.standard_normal((100, 3)), rng.standard_normal((100, 3)) + 0.5
    once = test(x, y, np.random.default_rng(0))
    assert test(x, np.concatenate([y, y, y[:30]]), np.random.default_rng(0)) == pytest.approx(once, abs=1e-12)


@pytest.mark.parametrize("test", TESTS)
def test_the_last_bit_moves_no_row_to_another_fold(test: Test):
    # Another dealing of the folds would move these values by some hundredths.
    rng = np.random.default_rng(9)
    x, y = rng.standard_normal((100, 3)), rng.standard_normal((100, 3)) + 0.5
    y[50:60] = x[:10]
    values = [test(a, b, np.random.default_rng(0)) for a, b in ((x, y), (np.nextafter(x, 0), np.nextafter(y, 0)))]
    assert values[0] == pytest.approx(values[1], abs=1e-9)
    assert test(-x, -y, np.random.default_rng(0)) == pytest.approx(values[0], abs=1e-9)


def test_rows_of_both_sets_share_a_fold():
    # The same rows on both sides: a twin in the training folds would vote for the other class.
    x = np.random.default_rng(5).standard_normal((200, 16))
    assert c2st_knn_auc(x, x, np.random.default_rng(0), k=1) == pytest.approx(0.5, abs=1e-12)


@pytest.mark.parametrize("test", TESTS)
def test_collapsed_generators(test: Test):
    rng = np.random.default_rng(6)
    real = rng.standard_normal((100, 3))
    assert test(real, np.zeros((100, 3)), rng) == 1.0
    three = np.array([[9.0, 9.0, 9.0], [9.1, 9.0, 9.0], [9.0, 9.2, 9.0]])
    assert test(real, three[rng.integers(3, size=100)], rng) > 0.9
    with pytest.raises(ValueError, match="two distinct rows"):
        test(np.zeros((100, 3)), real, rng)


@pytest.mark.parametrize("test", TESTS)
def test_constant_columns_do_no_harm(test: Test):
    rng = np.random.default_rng(7)
    x, y = rng.standard_normal((2, 80, 3))
    x[:, 1] = y[:, 1] = 0.3
    assert 0.3 < test(x, y, rng) < 0.7


def test_bad_settings_are_refused():
    x = np.random.default_rng(8).standard_normal((10, 2))
    with pytest.raises(ValueError, match="folds must be at least 2"):
        c2st_logreg_auc(x, x + 1, np.random.default_rng(0), folds=1)
    with pytest.raises(ValueError, match="k must be at least 1"):
        c2st_knn_auc(x, x + 1, np.random.default_rng(0), k=0)
