"""The Vendi score's extremes, its definition for every order, and both of its matrices."""

import numpy as np
import pytest

from genexp.evaluation.metrics.vendi import vendi_score, vendi_score_of_kernel

ORDERS = [0.0, 0.1, 0.5, 1.0, 2.0, np.inf]


@pytest.mark.parametrize("order", ORDERS)
def test_one_hot_classes_score_their_number_and_equal_rows_one(order: float):
    one_hot = np.tile(np.eye(7), (5, 1))
    assert vendi_score(one_hot, order) == pytest.approx(7)
    assert vendi_score_of_kernel(one_hot @ one_hot.T, order) == pytest.approx(7)
    equal = np.tile([0.3, -2.0, 1e-3], (9, 1)) * np.arange(1, 10)[:, None]  # of any length, in one direction
    assert vendi_score(equal, order) == pytest.approx(1)
    assert vendi_score_of_kernel(np.ones((9, 9)), order) == pytest.approx(1)


def test_orders_weigh_rare_classes_as_their_definition_says():
    rows = np.repeat(np.eye(3), [70, 20, 10], axis=0)
    shares = np.array([0.7, 0.2, 0.1])
    assert vendi_score(rows, 0) == pytest.approx(3)
    assert vendi_score(rows) == pytest.approx(np.exp(-(shares * np.log(shares)).sum()))
    assert vendi_score(rows, 2) == pytest.approx(1 / (shares**2).sum())
    assert vendi_score(rows, np.inf) == pytest.approx(1 / 0.7)
    scores = [vendi_score(rows, order) for order in ORDERS]
    assert scores == sorted(scores, reverse=True)


@pytest.mark.parametrize("order", ORDERS[1:])
@pytest.mark.parametrize("shape", [(60, 5), (5, 60)])
def test_the_small_matrix_has_the_eigenvalues_of_the_large_one(order: float, shape: tuple[int, int]):
    x = np.random.default_rng(0).standard_normal(shape)
    unit = x / np.linalg.norm(x, axis=1, keepdims=True)
    assert vendi_score(x, order) == pytest.approx(vendi_score_of_kernel(unit @ unit.T, order), rel=1e-6)


def test_neither_scale_nor_rotation_nor_repetition_matters():
    rng = np.random.default_rng(1)
    x = rng.standard_normal((40, 6))
    rotation = np.linalg.qr(rng.standard_normal((6, 6)))[0]
    for same in (1e200 * x, 1e-200 * x, x @ rotation, np.tile(x, (3, 1)), rng.permutation(x)):
        assert vendi_score(same) == pytest.approx(vendi_score(x))


def test_it_sees_no_reference():
    """The most diverse samples of all are noise: why it is in no suite."""
    rng = np.random.default_rng(2)
    data = rng.standard_normal((200, 2)) @ rng.standard_normal((2, 8))
    assert vendi_score(rng.standard_normal((200, 8))) > 3 * vendi_score(data)


def test_what_has_no_score_is_refused():
    with pytest.raises(ValueError, match="row of zeros"):
        vendi_score([[1.0, 0.0], [0.0, 0.0]])
    with pytest.raises(ValueError, match="order must be 0 or more"):
        vendi_score(np.eye(3), -1)
    with pytest.raises(ValueError, match="order must be 0 or more"):
        vendi_score(np.eye(3), np.nan)
    with pytest.raises(ValueError, match="x contains NaN"):
        vendi_score([[np.nan, 1.0]])
    with pytest.raises(ValueError, match="symmetric"):
        vendi_score_of_kernel([[1.0, 0.5], [0.2, 1.0]])
    with pytest.raises(ValueError, match="diagonal"):
        vendi_score_of_kernel(2 * np.eye(2))
    with pytest.raises(ValueError, match="semi-definite"):
        vendi_score_of_kernel([[1.0, 2.0], [2.0, 1.0]])
