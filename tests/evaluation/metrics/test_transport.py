"""The transport problem: linear program, assignment and the line agree, and so do known plans."""

import numpy as np
import pytest
from scipy.stats import wasserstein_distance

from genexp.evaluation.metrics.transport import w1_lp

RNG = np.random.default_rng(0)
UNIFORM = np.full(8, 1 / 8)


def test_three_points_by_hand():
    places = [[0.0], [1.0], [3.0]]
    assert w1_lp(places, places, [0.5, 0.3, 0.2], [0.1, 0.4, 0.5]) == pytest.approx(1.0, abs=1e-15)
    beside = np.c_[places, np.zeros(3)]  # the same in the plane: by the linear program
    assert w1_lp(beside, beside, [0.5, 0.3, 0.2], [0.1, 0.4, 0.5]) == pytest.approx(1.0, abs=1e-12)


def test_on_a_line_the_sorted_points_meet():
    x, y = RNG.standard_normal((2, 8))
    expected = np.abs(np.sort(x) - np.sort(y)).mean()
    assert w1_lp(x[:, None], y[:, None]) == pytest.approx(expected, abs=1e-15)
    weights = RNG.random((2, 8))
    assert w1_lp(x[:, None], y[:, None], *weights) == pytest.approx(wasserstein_distance(x, y, *weights), abs=1e-14)
    plane = [np.c_[points, np.zeros(8)] for points in (x, y)]
    assert w1_lp(*plane, *weights) == pytest.approx(wasserstein_distance(x, y, *weights), abs=1e-12)


@pytest.mark.parametrize("cost", ["l1", "l2", "l2_squared"])
def test_assignment_equals_the_linear_program(cost):
    x, y = RNG.standard_normal((2, 8, 3))
    assert w1_lp(x, y, cost=cost) == pytest.approx(w1_lp(x, y, UNIFORM, UNIFORM, cost=cost), abs=1e-12)


@pytest.mark.parametrize("cost", ["l1", "l2", "l2_squared"])
def test_a_shift_costs_its_length(cost):
    """Moving everything alike is the best plan for every convex cost."""
    x = RNG.standard_normal((40, 2))
    expected = {"l1": 7.0, "l2": 5.0, "l2_squared": 25.0}[cost]
    assert w1_lp(x, x + np.array([3.0, 4.0]), cost=cost) == pytest.approx(expected, rel=1e-12)


def test_a_squared_cost_is_no_distance():
    """From 0 to 3 with 1 between: the primal is 9, while a tied dual reaches 1 + 4 by way of the point between."""
    places = [[0.0], [1.0], [3.0]]
    assert w1_lp(places, places, [1, 0, 0], [0, 0, 1], cost="l2_squared") == pytest.approx(9.0)
    assert w1_lp(places, places, [1, 0, 0], [0, 0, 1]) == pytest.approx(3.0)


def test_it_is_a_distance():
    x, y, z = RNG.standard_normal((3, 20, 2))
    assert w1_lp(x, x[::-1]) == pytest.approx(0, abs=1e-12)
    assert w1_lp(x, y) == pytest.approx(w1_lp(y, x))
    assert w1_lp(x, z) <= w1_lp(x, y) + w1_lp(y, z)


def test_bad_input_is_refused():
    x = RNG.standard_normal((3, 2))
    for wrong, sentence in (
        ({"p": [1, 2]}, "p must be 3 weights"),
        ({"q": [1, -1, 1]}, "q must be 3 weights"),
        ({"p": [0, 0, 0]}, "not all of them 0"),
        ({"cost": "cosine"}, "cost must be l1, l2"),
    ):
        with pytest.raises(ValueError, match=sentence):
            w1_lp(x, x, **wrong)
    many = RNG.standard_normal((600, 2))
    with pytest.raises(ValueError, match="too many for a linear program"):
        w1_lp(many, many[:500])
