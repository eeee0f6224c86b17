"""Constraints keep their bound after every update."""

import math

import pytest
import torch
from torch import nn

from genexp.errors import UserError
from genexp.objectives.constraints import GradientNormalisation, NoConstraint, SpectralNormalisation, WeightClip


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


def test_the_moment_of_a_clip_is_known():
    assert WeightClip().when == "after"
    assert WeightClip(when="before").when == "before"
    with pytest.raises(UserError, match="choose before or after"):
        WeightClip(when="now")


@pytest.mark.parametrize("scale", [1.0, 10.0])
def test_spectral_normalisation_bounds_the_slope(scale):
    torch.manual_seed(0)
    network = nn.Sequential(nn.Linear(3, 32), nn.LeakyReLU(0.2), nn.Linear(32, 1))
    for parameter in network.parameters():
        nn.init.normal_(parameter, std=3.0)
    constraint = SpectralNormalisation(scale=scale, warm_up=100)
    critic = constraint.prepare(network)
    assert [p.shape for p in critic.parameters()] == [p.shape for p in network.parameters()]
    optimizer = torch.optim.SGD(critic.parameters(), lr=0.1)
    for _ in range(50):
        optimizer.zero_grad()
        critic(torch.randn(16, 3)).mean().backward()
        optimizer.step()
        constraint(critic)
    x = torch.randn(200, 3, requires_grad=True)
    (slope,) = torch.autograd.grad(critic(x).sum(), x)
    assert slope.norm(dim=1).max() <= scale * 1.001


@pytest.mark.parametrize("scale", [1.0, 10.0])
def test_gradient_normalisation_bounds_the_slope(scale):
    torch.manual_seed(0)
    network = nn.Sequential(nn.Linear(3, 32), nn.LeakyReLU(0.2), nn.Linear(32, 1))
    critic = GradientNormalisation(scale=scale).prepare(network)
    x = torch.randn(200, 3, requires_grad=True)
    scores = critic(x)
    (slope,) = torch.autograd.grad(scores.sum(), x)
    assert slope.norm(dim=1).max() <= scale * (1 + 1e-6)
    assert scores.abs().max() <= scale


@pytest.mark.parametrize(
    ("build", "sentence"),
    [
        (lambda: SpectralNormalisation().prepare(_critic()), "its LayerNorm would undo: set network.encoder.norm=none"),
        (lambda: GradientNormalisation().prepare(nn.BatchNorm1d(3)), "BatchNorm in the critic mixes"),
        (lambda: WeightClip().prepare(_normalised()), "one bound would undo the other"),
        (lambda: GradientNormalisation().prepare(_normalised()), "one bound would undo the other"),
        (lambda: SpectralNormalisation().prepare(_normalised()), "one bound would undo the other"),
        (lambda: SpectralNormalisation(scale=0.0), "constraint.scale=0.0 is out of range"),
        (lambda: SpectralNormalisation(warm_up=0), "constraint.warm_up=0 is out of range"),
        (lambda: GradientNormalisation(variant="gp"), "choose gn or gran"),
        (lambda: GradientNormalisation(epsilon=0.0), "constraint.epsilon=0.0 is out of range"),
        (lambda: GradientNormalisation(scale=0.0), "constraint.scale=0.0 is out of range"),
    ],
)
def test_what_does_not_fit_is_refused(build, sentence):
    with pytest.raises(UserError, match=sentence):
        build()


def _normalised():
    return SpectralNormalisation().prepare(nn.Sequential(nn.Linear(3, 1)))
