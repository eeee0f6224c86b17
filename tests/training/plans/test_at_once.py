"""Plans whose players move at once: three ways to the same gradients."""

import pytest
import torch
from tests.games import LINK, DiracGAN, linear_map

from genexp.errors import UserError
from genexp.training.plans import GradientReversal, Simultaneous, SingleLoss


@pytest.mark.parametrize("h", [0.1, 0.7])
def test_the_linear_map_of_the_bilinear_game(h):
    """Eigenvalues 1 ± ih: outwards for every h."""
    found = linear_map(Simultaneous(), h)
    torch.testing.assert_close(found, torch.tensor([[1, -h], [h, 1]], dtype=torch.float64))
    assert torch.linalg.eigvals(found).abs().min() > 1


@pytest.mark.parametrize("kind", LINK)
def test_single_loss_is_simultaneous(kind):
    """The cut gradient gives both players their own gradient exactly, hence the same trajectory."""
    single, two = DiracGAN(kind, 0.2), DiracGAN(kind, 0.2)
    assert single.radius(SingleLoss(), 50) == pytest.approx(two.radius(Simultaneous(), 50), abs=1e-13)


@pytest.mark.parametrize("kind", ["minimax", "wasserstein"])
def test_gradient_reversal_is_simultaneous_for_zero_sum_losses(kind):
    reversal, two = DiracGAN(kind, 0.2), DiracGAN(kind, 0.2)
    states = reversal.trajectory(GradientReversal(), 50)
    torch.testing.assert_close(states, two.trajectory(Simultaneous(), 50), rtol=0, atol=1e-14)


def test_gradient_reversal_is_something_else_for_other_losses():
    reversal, two = DiracGAN("non-saturating"), DiracGAN("non-saturating")
    difference = reversal.trajectory(GradientReversal(), 50) - two.trajectory(Simultaneous(), 50)
    assert difference.abs().max() > 0.1


@pytest.mark.parametrize("plan", [SingleLoss, GradientReversal])
def test_the_ratio_is_that_of_the_learning_rates(plan):
    """The map is phi' = phi - h theta, theta' = theta + ratio h phi."""
    found = linear_map(plan(ratio=3.0), 0.1)
    torch.testing.assert_close(found, torch.tensor([[1, -0.1], [0.3, 1]], dtype=torch.float64))


@pytest.mark.parametrize("plan", [SingleLoss, GradientReversal])
def test_impossible_ratios(plan):
    with pytest.raises(UserError, match="plan.ratio=0 is out of range"):
        plan(ratio=0)
