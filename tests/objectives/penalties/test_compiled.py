"""Penalties and constraints on networks that `torch.compile` has wrapped are those of the networks themselves."""

import copy

import pytest
import torch
from torch import nn

from genexp.objectives.constraints import GradientNormalisation, NoConstraint, SpectralNormalisation
from genexp.objectives.penalties import (
    DRAGAN,
    R1,
    R2,
    Consistency,
    GradientPenalty,
    LeCam,
    Step,
    WassersteinDivergence,
)

PENALTIES = [GradientPenalty(), R1(), R2(), WassersteinDivergence(), DRAGAN(), Consistency(samples=1.0), LeCam()]


def compiled(critic, how, backend):
    """The two ways to compile a module."""
    if how == "wrapped":
        return torch.compile(critic, backend=backend)
    critic.compile(backend=backend)
    return critic


def gradients(critic, penalty):
    torch.manual_seed(1)
    real, fake = torch.randn(6, 3), torch.randn(6, 3)
    step = Step(scores=(critic(real).squeeze(1), critic(fake).squeeze(1)))
    penalty.observe(step)
    loss = step.scores[1].mean() - step.scores[0].mean() + penalty(critic, real, fake, step)
    return loss.detach(), torch.autograd.grad(loss, list(critic.parameters()), materialize_grads=True)


def check(penalty, constraint, how, backend):
    torch.manual_seed(0)
    critic = constraint.prepare(nn.Sequential(nn.Linear(3, 8), nn.Tanh(), nn.Linear(8, 1)))
    other = compiled(copy.deepcopy(critic), how, backend)
    expected, found = gradients(critic, copy.deepcopy(penalty)), gradients(other, copy.deepcopy(penalty))
    torch.testing.assert_close(found, expected)


@pytest.fixture(autouse=True)
def fresh_compiler():
    torch.compiler.reset()
    yield
    torch.compiler.reset()


@pytest.mark.parametrize("penalty", PENALTIES, ids=lambda penalty: type(penalty).__name__)
@pytest.mark.parametrize("how", ["wrapped", "in_place"])
def test_penalties_of_a_compiled_critic(penalty, how):
    """The backend traces the backward pass too, and refuses to be differentiated twice."""
    check(penalty, NoConstraint(), how, "aot_eager")


@pytest.mark.parametrize(
    "constraint", [SpectralNormalisation(), GradientNormalisation()], ids=lambda c: type(c).__name__
)
@pytest.mark.parametrize("how", ["wrapped", "in_place"])
def test_constraints_of_a_compiled_critic(constraint, how):
    check(R1(), constraint, how, "aot_eager")


def test_without_care_a_compiled_critic_refuses():
    """What the tests above would say if the penalties ran the compiled code."""
    critic = torch.compile(nn.Sequential(nn.Linear(3, 1), nn.Tanh()), backend="aot_eager")
    x = torch.randn(2, 3, requires_grad=True)
    (slope,) = torch.autograd.grad(critic(x).sum(), x, create_graph=True)
    with pytest.raises(RuntimeError, match="double backward"):
        slope.square().sum().backward()


@pytest.mark.slow
def test_penalties_of_a_critic_compiled_by_inductor():
    check(GradientPenalty(), SpectralNormalisation(), "in_place", "inductor")
