"""What every adversarial loss owes: real-high, finite, float32 at least, and has exact gradients."""

import copy

import pytest
import torch
from tests.objectives.losses import LOSSES, PAIR, RATIOS, STANDARD, name_of

from genexp.objectives.adversarial import FGAN, LikelihoodRatio

ALL = [*LOSSES, *PAIR]
X = torch.linspace(-1, 1, 10, dtype=torch.float64).reshape(5, 2)


def on(loss, n):
    """The loss for a batch of n distinct data and samples."""
    return loss.between(torch.arange(float(n))[:, None], -1 - torch.arange(float(n))[:, None])


@pytest.mark.parametrize("loss", ALL, ids=name_of)
def test_scores_are_high_on_real_data(loss):
    """A descent step raises scores of data and lowers those of samples; the generator raises its own."""
    real, fake = torch.zeros(4, requires_grad=True), torch.full((4,), 0.25, requires_grad=True)
    on(loss, 4).critic(real, fake).backward()
    assert (real.grad < 0).all()
    assert (fake.grad > 0).all()
    fake = torch.full((4,), -0.25, requires_grad=True)
    on(loss, 4).generator(fake, real.detach()).backward()
    assert (fake.grad < 0).all()


@pytest.mark.parametrize("loss", ALL, ids=name_of)
def test_gradients_are_those_of_finite_differences(loss):
    torch.manual_seed(0)
    real, fake = torch.randn(2, 5, dtype=torch.float64).requires_grad_().unbind()
    bound = on(loss, 5)
    assert torch.autograd.gradcheck(bound.critic, (real, fake))
    assert torch.autograd.gradcheck(bound.generator, (fake, real.detach()))


@pytest.mark.parametrize("loss", [*RATIOS, *[loss for loss in LOSSES if isinstance(loss, FGAN)]], ids=name_of)
def test_second_gradients_are_those_of_finite_differences(loss):
    torch.manual_seed(0)
    real, fake = torch.randn(2, 5, dtype=torch.float64).requires_grad_().unbind()
    assert torch.autograd.gradgradcheck(loss.critic, (real, fake), atol=1e-4)


@pytest.mark.parametrize("loss", [loss for loss in ALL if not name_of(loss).startswith("Wasserstein")], ids=name_of)
def test_extreme_scores_stay_finite(loss):
    scores = torch.tensor([-1e4, 1e4], requires_grad=True)
    bound = on(loss, 2)
    value = bound.critic(scores, -scores) + bound.generator(scores, scores) + bound.critic(scores, scores)
    value.backward()
    assert value.isfinite()
    assert scores.grad.isfinite().all()


@pytest.mark.parametrize("loss", ALL, ids=name_of)
def test_half_precision_scores_give_a_float32_loss(loss):
    scores = torch.randn(64).bfloat16()
    bound = on(loss, 64)
    assert bound.critic(scores, -scores).dtype == torch.float32
    assert bound.generator(scores, -scores).dtype == torch.float32
    assert loss.between(*torch.randn(2, 64, 1).double()).critic(scores.double(), scores.double()).dtype == torch.float64


@pytest.mark.parametrize("loss", ALL, ids=name_of)
def test_only_losses_that_compare_read_real_scores(loss):
    fake, real = torch.randn(2, 9)
    if loss.compares:
        assert loss.generator(fake, real) != loss.generator(fake, real + 1)
    else:
        assert loss.generator(fake, real) == loss.generator(fake)


@pytest.mark.parametrize("loss", ALL, ids=name_of)
def test_the_estimate_has_a_name_and_no_graph(loss):
    scores = torch.randn(8, requires_grad=True)
    value = loss.bound(on(loss, 8).critic(scores, scores))
    assert loss.bound.name.replace("_", "").isalnum()
    assert value.shape == () and not value.requires_grad


def test_only_the_wasserstein_loss_needs_a_constraint():
    assert [type(loss).__name__ for loss in ALL if loss.needs_constraint] == ["Wasserstein"]


def test_losses_can_be_copied():
    """As deepcopy of a model does."""
    scores = torch.randn(2, 8)
    for loss in (FGAN(f="u*log(u)"), LikelihoodRatio(omega="log(r)", rho="1"), *STANDARD):
        assert copy.deepcopy(loss).critic(*scores) == loss.critic(*scores)
