"""The joint loss of every pair of losses against both players' own gradients."""

import pytest
import torch
from tests.objectives.losses import LOSSES, name_of
from torch import nn

from genexp.objectives.adversarial import NonSaturating, single_loss


def _players(dtype=torch.float64, norm=False):
    torch.manual_seed(1)
    generator = nn.Sequential(nn.Linear(3, 16), nn.Tanh(), nn.Linear(16, 2)).to(dtype)
    middle = nn.BatchNorm1d(16) if norm else nn.Identity()
    critic = nn.Sequential(nn.Linear(2, 16), middle, nn.LeakyReLU(0.2), nn.Linear(16, 1)).to(dtype)
    return generator, critic, torch.randn(32, 2, dtype=dtype) + 1, torch.randn(32, 3, dtype=dtype)


def _joint(loss, generator, critic, x, z, ratio):
    fakes = generator(z)
    scores = [critic(batch).squeeze(1) for batch in (x, fakes, fakes.detach())]
    loss = loss.between(x, fakes)
    return single_loss(loss, *scores, ratio=ratio), loss.critic(scores[0], scores[2])


@pytest.mark.parametrize("norm", [False, True])
@pytest.mark.parametrize("loss", LOSSES, ids=name_of)
def test_joint_loss_has_the_critics_value_and_both_gradients(loss, norm):
    generator, critic, x, z = _players(norm=norm)
    ratio = 0.7
    joint, critic_alone = _joint(loss, generator, critic, x, z, ratio)
    assert joint.item() == critic_alone.item()
    for_critic = torch.autograd.grad(joint, list(critic.parameters()), retain_graph=True)
    for_generator = torch.autograd.grad(joint, list(generator.parameters()))

    fakes = generator(z)
    expected = torch.autograd.grad(
        loss.between(x, fakes).critic(critic(x).squeeze(1), critic(fakes.detach()).squeeze(1)),
        list(critic.parameters()),
    )
    for a, b in zip(for_critic, expected, strict=True):
        torch.testing.assert_close(a, b, rtol=0, atol=1e-12)
    objective = loss.generator(critic(fakes).squeeze(1), critic(x).squeeze(1).detach())
    expected = torch.autograd.grad(objective, list(generator.parameters()))
    for a, b in zip(for_generator, expected, strict=True):
        torch.testing.assert_close(a, ratio * b, rtol=0, atol=1e-12)


@pytest.mark.parametrize(
    ("optimizer", "expected"),
    [(lambda p: torch.optim.SGD(p, lr=1e-4), 10.0), (lambda p: torch.optim.Adam(p, lr=1e-4, eps=1e-16), 1.0)],
)
def test_ratio_is_one_of_learning_rates_for_sgd_and_nothing_for_adam(optimizer, expected):
    def displacement(ratio):
        generator, critic, x, z = _players()
        start = nn.utils.parameters_to_vector(generator.parameters()).clone()
        steps = optimizer([*generator.parameters(), *critic.parameters()])
        for _ in range(20):
            steps.zero_grad()
            _joint(NonSaturating(), generator, critic, x, z, ratio)[0].backward()
            steps.step()
        return (nn.utils.parameters_to_vector(generator.parameters()) - start).norm().item()

    assert displacement(10.0) / displacement(1.0) == pytest.approx(expected, rel=0.02)
