"""The Wasserstein dual against the primal, and GAN-QP against its closed forms."""

import numpy as np
import pytest
import torch
from scipy.optimize import linprog
from tests.objectives.discrete import PLACES, P, Q, best_critic, critic_loss, estimate

from genexp.errors import UserError
from genexp.evaluation.metrics.transport import w1_lp
from genexp.objectives.adversarial import QuadraticPotential, Wasserstein


def test_wasserstein_dual_on_a_line():
    points = torch.tensor([0.0, 1.0, 3.0], dtype=torch.float64)
    p, q = torch.tensor([5, 3, 2]), torch.tensor([1, 4, 5])
    # q lies to the right of p, so the best 1-Lipschitz critic is -x; the distance is 0.4 * 1 + 0.3 * 2
    assert critic_loss(Wasserstein(), -points, p, q).item() == pytest.approx(-1.0, abs=1e-12)
    assert critic_loss(Wasserstein(), 5 - points, p, q).item() == pytest.approx(-1.0, abs=1e-12)


def test_the_best_critic_of_slope_1_reports_the_primal():
    """In the plane: the dual over all 1-Lipschitz tables, a linear program too, against the transport problem."""
    places = np.random.default_rng(0).standard_normal((4, 2))
    distances = np.linalg.norm(places[:, None] - places, axis=2)
    rows, bounds = [], []
    for i in range(4):
        for j in range(4):
            if i != j:
                rows.append(np.eye(4)[i] - np.eye(4)[j])
                bounds.append(distances[i, j])
    solved = linprog((Q - P).numpy(), A_ub=np.array(rows), b_ub=bounds, bounds=[(-10, 10)] * 4)
    primal = w1_lp(places, places, P.numpy(), Q.numpy())
    assert estimate(Wasserstein(), torch.from_numpy(solved.x)) == pytest.approx(primal, abs=1e-9)


def quadratic(scale: float) -> float:
    """The largest E[Δ - Δ²/(2 λ d)] over tables of points: a linear system."""
    matrix, vector = np.zeros((4, 4)), (P - Q).numpy()
    for i in range(4):
        for j in range(4):
            if i != j:
                direction = np.eye(4)[i] - np.eye(4)[j]
                matrix += float(P[i] * Q[j]) / (scale * abs(i - j)) * np.outer(direction, direction)
    return float(vector @ np.linalg.pinv(matrix) @ vector) / 2


@pytest.mark.parametrize("scale", [1.0, 10.0])
def test_quadratic_potential_of_points_stays_below_that_of_pairs(scale):
    loss = QuadraticPotential(scale=scale)
    outer, swapped = torch.outer(P, Q), torch.outer(Q, P)
    distances = (PLACES - PLACES.T).abs()
    of_pairs = scale / 4 * (distances * (outer - swapped).square() / (outer + swapped)).sum().item()
    found = estimate(loss, best_critic(loss))
    assert found == pytest.approx(quadratic(scale), abs=1e-9)
    assert found == pytest.approx(0.2093648679 * scale, abs=1e-9)
    assert of_pairs == pytest.approx(0.2426306972 * scale, abs=1e-9)


@pytest.mark.parametrize(("distance", "apart"), [("l1", 3.5), ("l2", 12.5**0.5), ("squared", 12.5)])
def test_two_points_are_half_their_distance_apart(distance, apart):
    """Two deltas at (0, 0) and (3, 4): the mean over dimensions of |x - y| is 3.5, the root mean square √12.5."""
    loss = QuadraticPotential(scale=2.0, distance=distance)
    x, y = torch.zeros(5, 2), torch.tensor([[3.0, 4.0]]).expand(5, 2)
    difference = torch.full((5,), 2.0 * apart)  # the best one is λ d
    value = loss.between(x, y).critic(difference, torch.zeros(5))
    assert loss.bound(value).item() == pytest.approx(0.5 * 2.0 * apart, rel=1e-6)
    for other in (0.9, 1.1):
        assert loss.between(x, y).critic(other * difference, torch.zeros(5)) > value


def test_equal_points_divide_by_no_zero():
    loss = QuadraticPotential(least=0.5).between(torch.zeros(3, 1, 2, 2), torch.zeros(3, 1, 2, 2))
    assert torch.equal(loss.apart, torch.full((3,), 0.5))
    with pytest.raises(ValueError, match="call between"):
        QuadraticPotential().critic(torch.zeros(3), torch.zeros(3))


@pytest.mark.parametrize("wrong", [{"scale": 0.0}, {"least": -1.0}, {"distance": "l3"}])
def test_numbers_out_of_range_are_refused(wrong):
    with pytest.raises(UserError, match=f"loss.{next(iter(wrong))}="):
        QuadraticPotential(**wrong)
