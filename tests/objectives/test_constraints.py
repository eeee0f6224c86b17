"""Constraints keep their bound after every update."""

import math

import pytest
import torch
from torch import nn

from genexp.errors import UserError
from genexp.objectives.constraints import NoConstraint, WeightClip


def _critic():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(3, 32), nn.LayerNorm(32), nn.ReLU(), nn.Linear(32, 1))


def test_clip_holds_after_every_step_for_every_parameter():
    critic, constraint = _critic(), WeightClip(0.05)
    optimizer = torch.optim.RMSprop(critic.parameters(), lr=0.1)
    for _ in range(5):
        critic(torch.randn(16, 3)).mean().backward()
        optimizer.step()
        assert max(p.abs().max().item() for p in critic.parameters()) > constraint.bound
        constraint(critic)
        assert all(p.abs().max() <= constraint.bound for p in critic.parameters())
        assert all(p.requires_grad for p in critic.parameters())


def test_clip_is_the_nearest_point_of_the_box():
    critic = _critic()
    expected = [p.detach().clamp(-0.1, 0.1) for p in critic.parameters()]
    WeightClip(0.1)(critic)
    assert all(torch.equal(p, e) for p, e in zip(critic.parameters(), expected, strict=True))


def test_clip_bounds_the_slope_of_a_relu_critic():
    """One hidden layer of width H on d inputs: at most c² H sqrt(d), reached with all weights at c."""
    critic, bound = nn.Sequential(nn.Linear(3, 32), nn.ReLU(), nn.Linear(32, 1)), 0.2
    for parameter in critic.parameters():
        nn.init.constant_(parameter, 1.0)
    WeightClip(bound)(critic)
    x = torch.rand(1, 3, requires_grad=True)
    (slope,) = torch.autograd.grad(critic(x).sum(), x)
    assert slope.norm().item() == pytest.approx(bound**2 * 32 * math.sqrt(3), rel=1e-5)


def test_no_constraint_changes_nothing():
    critic = _critic()
    before = [p.clone() for p in critic.parameters()]
    NoConstraint()(critic)
    assert all(torch.equal(p, b) for p, b in zip(critic.parameters(), before, strict=True))


def test_only_a_clip_bounds_the_critic():
    assert WeightClip().bounds_critic
    assert not NoConstraint().bounds_critic
    WeightClip()(nn.ReLU())  # no parameters: nothing to do


@pytest.mark.parametrize("bound", [0.0, -1.0, math.nan])
def test_bound_must_be_positive(bound):
    with pytest.raises(UserError, match="give a positive number"):
        WeightClip(bound)
