"""Adversarial losses against their closed forms on four points, and the joint loss against both players' own.

The densities p and q are exact in all pairs of 20 scores each, so a mean over the batch is an expectation.
"""

import math

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from genexp.objectives.adversarial import (
    Hinge,
    LeastSquares,
    NonSaturating,
    Relativistic,
    Saturating,
    Wasserstein,
    single_loss,
)

LOSSES = [
    *(NonSaturating(), Saturating(), Hinge(), LeastSquares(), LeastSquares(-1, 1, 0)),
    *(Wasserstein(), Relativistic()),
]
P_COUNTS, Q_COUNTS = torch.tensor([2, 4, 6, 8]), torch.tensor([8, 2, 5, 5])
P, Q = P_COUNTS.double() / 20, Q_COUNTS.double() / 20
LOG_RATIO = (P / Q).log()


def pairs(scores, p, q):
    """Each of 20 real scores with each of 20 generated ones."""
    return scores.repeat_interleave(p).repeat_interleave(20), scores.repeat_interleave(q).repeat(20)


def critic_loss(loss, scores, p=P_COUNTS, q=Q_COUNTS):
    p, q = (counts * (20 // counts.sum()) for counts in (p, q))
    return loss.critic(*pairs(scores, p, q))


def generator_loss(loss, scores, p=P_COUNTS, q=Q_COUNTS):
    real, fake = pairs(scores, p, q)
    return loss.generator(fake, real)


def best_critic(loss, p=P_COUNTS, q=Q_COUNTS):
    """The tabular critic that minimises the loss, found by optimisation."""
    scores = torch.full((4,), 0.1, dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.LBFGS(
        [scores], max_iter=500, tolerance_grad=1e-14, tolerance_change=1e-16, line_search_fn="strong_wolfe"
    )

    def closure():
        optimizer.zero_grad()
        value = critic_loss(loss, scores, p, q)
        value.backward()
        return value

    optimizer.step(closure)
    return scores.detach()


@pytest.mark.parametrize("loss", [NonSaturating(), Saturating()])
def test_gan_optimum_is_the_log_ratio(loss):
    scores = best_critic(loss)
    torch.testing.assert_close(scores.sigmoid(), P / (P + Q), rtol=0, atol=1e-6)
    assert critic_loss(loss, scores).item() == pytest.approx(1.2531915310, abs=1e-6)


def test_gan_values_at_the_optimum():
    assert critic_loss(NonSaturating(), LOG_RATIO).item() == pytest.approx(1.2531915310, abs=1e-9)
    assert generator_loss(NonSaturating(), LOG_RATIO).item() == pytest.approx(0.9572325806, abs=1e-9)
    m = (P + Q) / 2
    js = 0.5 * ((P * (P / m).log()).sum() + (Q * (Q / m).log()).sum()).item()
    assert js == pytest.approx(0.0665514, abs=1e-7)
    # zero-sum: the generator's part of 2 JS - log 4 is what depends on it
    real_part = (P * F.softplus(-LOG_RATIO)).sum().item()
    saturating = generator_loss(Saturating(), LOG_RATIO).item() - real_part
    assert saturating == pytest.approx(2 * js - math.log(4), abs=1e-12)


def test_gan_without_a_difference_is_log_4():
    scores = best_critic(NonSaturating(), P_COUNTS, P_COUNTS)
    assert critic_loss(NonSaturating(), scores, P_COUNTS, P_COUNTS).item() == pytest.approx(math.log(4), abs=1e-12)


def test_relativistic_optimum_is_the_log_ratio_up_to_a_constant():
    loss = Relativistic()
    scores = best_critic(loss)
    torch.testing.assert_close(scores - scores.mean(), LOG_RATIO - LOG_RATIO.mean(), rtol=0, atol=1e-5)
    assert critic_loss(loss, LOG_RATIO).item() == pytest.approx(0.5684666048, abs=1e-9)
    assert generator_loss(loss, LOG_RATIO).item() == pytest.approx(1.1332862534, abs=1e-9)
    one, other = torch.outer(P, Q), torch.outer(Q, P)
    middle = (one + other) / 2
    js = 0.5 * ((one * (one / middle).log()).sum() + (other * (other / middle).log()).sum()).item()
    assert critic_loss(loss, LOG_RATIO).item() == pytest.approx(math.log(2) - js, abs=1e-12)
    same = best_critic(loss, P_COUNTS, P_COUNTS)
    assert critic_loss(loss, same, P_COUNTS, P_COUNTS).item() == pytest.approx(math.log(2), abs=1e-12)
    assert generator_loss(loss, same, P_COUNTS, P_COUNTS).item() == pytest.approx(math.log(2), abs=1e-12)


def test_relativistic_sees_differences_alone_and_pairs_in_order():
    loss, (real, fake) = Relativistic(), torch.randn(2, 9, dtype=torch.float64)
    for value in (loss.critic, lambda r, f: loss.generator(f, r)):
        torch.testing.assert_close(value(real + 7, fake + 7), value(real, fake))
        one_by_one = torch.stack([value(r, f) for r, f in zip(real, fake, strict=True)])
        torch.testing.assert_close(value(real, fake), one_by_one.mean())
    torch.testing.assert_close(loss.generator(fake, real), loss.critic(fake, real))  # the players' roles are swapped
    with pytest.raises(ValueError, match="give the scores of real ones"):
        loss.generator(fake)


def test_only_losses_that_compare_read_real_scores():
    fake, real = torch.randn(2, 9)
    for loss in LOSSES:
        if loss.compares:
            assert loss.generator(fake, real) != loss.generator(fake, real + 1)
        else:
            assert loss.generator(fake, real) == loss.generator(fake)


def test_hinge_optimum_is_the_sign():
    # piecewise linear and convex, with its kinks on this grid: the best of all its points is the minimum
    tables = torch.cartesian_prod(*[torch.tensor([-2.0, -1.0, 0.0, 1.0, 2.0], dtype=torch.float64)] * 4)
    values = torch.stack([critic_loss(Hinge(), scores) for scores in tables])
    sign = (P - Q).sign()
    assert values.min().item() == pytest.approx(1.4, abs=1e-12)  # 2 (1 - TV), TV = 0.3
    assert torch.equal(tables[values.argmin()], sign)
    assert critic_loss(Hinge(), sign).item() == pytest.approx(1.4, abs=1e-12)
    assert generator_loss(Hinge(), sign).item() == pytest.approx(-0.2, abs=1e-12)
    assert critic_loss(Hinge(), sign, P_COUNTS, P_COUNTS).item() == pytest.approx(2.0, abs=1e-12)
    assert critic_loss(Hinge(), torch.zeros(4)).item() == 2.0
    assert generator_loss(Hinge(), torch.zeros(4)).item() == 0.0


def test_least_squares_optimum():
    loss = LeastSquares(a=-1, b=1, c=0)
    scores = best_critic(loss)
    torch.testing.assert_close(scores, (P - Q) / (P + Q), rtol=0, atol=1e-6)
    assert critic_loss(loss, scores).item() == pytest.approx(0.8737529138, abs=1e-9)
    both = 0.5 * (P * scores**2).sum() + generator_loss(loss, scores)
    assert both.item() == pytest.approx(0.1262470863, abs=1e-9)
    torch.testing.assert_close(best_critic(LeastSquares()), P / (P + Q), rtol=0, atol=1e-6)


def test_wasserstein_dual_on_a_line():
    points = torch.tensor([0.0, 1.0, 3.0], dtype=torch.float64)
    p, q = torch.tensor([5, 3, 2]), torch.tensor([1, 4, 5])
    # q lies to the right of p, so the best 1-Lipschitz critic is -x; the distance is 0.4 * 1 + 0.3 * 2
    assert critic_loss(Wasserstein(), -points, p, q).item() == pytest.approx(-1.0, abs=1e-12)
    shifted = critic_loss(Wasserstein(), 5 - points, p, q).item()
    assert shifted == pytest.approx(-1.0, abs=1e-12)


@pytest.mark.parametrize("loss", LOSSES)
def test_scores_are_high_on_real_data(loss):
    """A descent step raises scores of data and lowers those of samples; the generator raises its own."""
    real, fake = torch.zeros(4, requires_grad=True), torch.full((4,), 0.25, requires_grad=True)
    loss.critic(real, fake).backward()
    assert (real.grad < 0).all()
    assert (fake.grad > 0).all()
    fake = torch.full((4,), -0.25, requires_grad=True)
    loss.generator(fake, real.detach()).backward()
    assert (fake.grad < 0).all()


@pytest.mark.parametrize("loss", LOSSES)
def test_gradients_are_those_of_finite_differences(loss):
    torch.manual_seed(0)
    real, fake = torch.randn(2, 5, dtype=torch.float64).requires_grad_().unbind()
    assert torch.autograd.gradcheck(loss.critic, (real, fake))
    assert torch.autograd.gradcheck(loss.generator, (fake, real.detach()))


@pytest.mark.parametrize("loss", [NonSaturating(), Saturating(), Hinge(), Relativistic()])
def test_extreme_scores_stay_finite(loss):
    scores = torch.tensor([-1e4, 1e4], requires_grad=True)
    value = loss.critic(scores, -scores) + loss.generator(scores, scores) + loss.critic(scores, scores)
    value.backward()
    assert value.isfinite()
    assert scores.grad.isfinite().all()


@pytest.mark.parametrize("loss", LOSSES)
def test_half_precision_scores_give_a_float32_loss(loss):
    scores = torch.randn(64).bfloat16()
    assert loss.critic(scores, -scores).dtype == torch.float32
    assert loss.generator(scores, -scores).dtype == torch.float32
    assert loss.critic(scores.double(), scores.double()).dtype == torch.float64


def test_only_the_wasserstein_loss_needs_a_constraint():
    assert [type(loss).__name__ for loss in LOSSES if loss.needs_constraint] == ["Wasserstein"]


# --- one loss for both players ---


def _players(dtype=torch.float64, norm=False):
    torch.manual_seed(1)
    generator = nn.Sequential(nn.Linear(3, 16), nn.Tanh(), nn.Linear(16, 2)).to(dtype)
    middle = nn.BatchNorm1d(16) if norm else nn.Identity()
    critic = nn.Sequential(nn.Linear(2, 16), middle, nn.LeakyReLU(0.2), nn.Linear(16, 1)).to(dtype)
    return generator, critic, torch.randn(32, 2, dtype=dtype) + 1, torch.randn(32, 3, dtype=dtype)


def _joint(loss, generator, critic, x, z, ratio):
    fakes = generator(z)
    scores = [critic(batch).squeeze(1) for batch in (x, fakes, fakes.detach())]
    return single_loss(loss, *scores, ratio=ratio), loss.critic(scores[0], scores[2])


@pytest.mark.parametrize("norm", [False, True])
@pytest.mark.parametrize("loss", LOSSES)
def test_joint_loss_has_the_critics_value_and_both_gradients(loss, norm):
    generator, critic, x, z = _players(norm=norm)
    ratio = 0.7
    joint, critic_alone = _joint(loss, generator, critic, x, z, ratio)
    assert joint.item() == critic_alone.item()
    for_critic = torch.autograd.grad(joint, list(critic.parameters()), retain_graph=True)
    for_generator = torch.autograd.grad(joint, list(generator.parameters()))

    fakes = generator(z)
    expected = torch.autograd.grad(
        loss.critic(critic(x).squeeze(1), critic(fakes.detach()).squeeze(1)), list(critic.parameters())
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
