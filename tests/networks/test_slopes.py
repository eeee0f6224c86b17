"""Gradient normalisation: bounds of values and slopes, and both of its forms from autograd."""

import pytest
import torch
from torch import nn

from genexp.networks.slopes import GradientNormalised


def network():
    torch.manual_seed(0)
    layers = [nn.Linear(3, 64), nn.LeakyReLU(0.2), nn.Linear(64, 64), nn.LeakyReLU(0.2), nn.Linear(64, 1)]
    return nn.Sequential(*layers).double()


def slopes(critic, x):
    x = x.clone().requires_grad_()
    return torch.autograd.grad(critic(x).sum(), x)[0].norm(dim=1)


def test_values_and_slopes_are_bounded_by_one():
    """For a piecewise linear D the slope is (|grad D| / (|grad D| + |D|))², exactly."""
    inner = network()
    critic = GradientNormalised(inner)
    x = 3 * torch.randn(500, 3, dtype=torch.float64)
    values, slope, score = critic(x).squeeze(1), slopes(inner, x), inner(x).squeeze(1)
    torch.testing.assert_close(values, score / (slope + score.abs()))
    assert values.abs().max() < 1
    torch.testing.assert_close(slopes(critic, x), (slope / (slope + score.abs())).square())
    assert slopes(critic, x).max() <= 1


def test_the_second_form():
    inner = network()
    x = torch.randn(50, 3, dtype=torch.float64)
    slope, score = slopes(inner, x), inner(x).squeeze(1)
    critic = GradientNormalised(inner, epsilon=0.1)
    torch.testing.assert_close(critic(x).squeeze(1), score * slope / (slope**2 + 0.1))
    torch.testing.assert_close(slopes(critic, x), slope**2 / (slope**2 + 0.1))  # piecewise linear again


@pytest.mark.parametrize("epsilon", [None, 0.1])
def test_gradients_of_weights_and_inputs_are_those_of_finite_differences(epsilon):
    inner = nn.Sequential(nn.Linear(2, 4), nn.Tanh(), nn.Linear(4, 1)).double()
    critic, x = GradientNormalised(inner, epsilon), torch.randn(3, 2, dtype=torch.float64, requires_grad=True)
    names = [name for name, _ in critic.named_parameters()]
    weights = [p.detach().clone().requires_grad_() for p in critic.parameters()]

    def value(x, *weights):
        return torch.func.functional_call(critic, dict(zip(names, weights, strict=True)), (x,))

    assert torch.autograd.gradcheck(value, (x, *weights))


def test_frozen_without_gradients_and_in_half_precision():
    inner = network().float()
    critic, x = GradientNormalised(inner), torch.randn(4, 3)
    expected = critic(x)
    with torch.no_grad():
        assert torch.equal(critic(x), expected)
        assert not critic(x).requires_grad
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(critic(x), expected)
    critic.requires_grad_(False)  # as in the generator's update
    fake = torch.randn(4, 3, requires_grad=True)
    critic(fake).sum().backward()
    assert fake.grad.abs().max() > 0
