"""ALI and BiGAN: a game of pairs, both losses of generator and encoder, and what the best critic knows."""

import math

import pytest
import torch
from tests.small_encoders import make
from tests.small_gan import batch
from torch.nn.functional import softplus

from genexp.errors import UserError
from genexp.networks.joint import JointCritic, join
from genexp.networks.mlp import MLPEncoder
from genexp.objectives.adversarial import (
    FGAN,
    Hinge,
    LeastSquares,
    NonSaturating,
    QuadraticPotential,
    Relativistic,
    Saturating,
    Wasserstein,
)
from genexp.objectives.constraints import GradientNormalisation, SpectralNormalisation
from genexp.objectives.penalties import R1, GradientPenalty
from genexp.training.plans import GradientReversal, Simultaneous


@pytest.fixture(autouse=True)
def double():
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


def played(model):
    """A batch, its fakes, and the scores of both kinds of pairs, read off the critic itself."""
    data = batch()
    model.random.begin(0)
    fakes = model.generate(data)
    samples, z, codes = fakes.split([2, 3, 3], dim=1)
    real, fake = (model.critic(join(x, c)).squeeze(1) for x, c in ((data["x"], codes), (samples, z)))
    return data, fakes, real, fake


def test_what_the_players_hand_over():
    model = make("ali")
    data = model.with_latents(batch())
    samples, z, codes = model.generate(data).split([2, 3, 3], dim=1)
    noise = data["latents"][:, 3:]
    assert torch.equal(z, data["latents"][:, :3])
    assert torch.equal(samples, model.generator(z))
    mean, log_variance = model.posterior(data["x"])
    torch.testing.assert_close(codes, mean + (0.5 * log_variance).exp() * noise)
    assert torch.equal(make("bigan").generate(batch())[:, 5:], make("bigan").encoder(batch()["x"]))


def test_the_losses_of_the_papers():
    standard, variational = make("ali"), make("ali", generator_loss="variational")
    for model, of_real in ((standard, softplus), (variational, lambda r: softplus(-r))):
        data, fakes, real, fake = played(model)
        critic = softplus(-real).mean() + softplus(fake).mean()
        torch.testing.assert_close(model.critic_loss(data, fakes.detach()), critic)
        torch.testing.assert_close(model.generator_loss(data, fakes), of_real(real).mean() + softplus(-fake).mean())


@pytest.mark.parametrize("loss", [Saturating(), Wasserstein()], ids=str)
def test_a_zero_sum_loss_makes_a_zero_sum_game(loss):
    """Of generator and encoder together against the critic; the gradient can then be turned round."""
    penalties = {"gp": GradientPenalty()} if loss.needs_constraint else {}
    model = make("ali", loss=loss, penalties=penalties)
    model.terms.of_critic = {}
    data, fakes, _, _ = played(model)
    torch.testing.assert_close(model.generator_loss(data, fakes), -model.critic_loss(data, fakes.detach()))
    models = [
        make("ali", loss=loss, penalties=penalties, plan=p, lr=1e-3) for p in (GradientReversal(), Simultaneous())
    ]
    for one in models:
        one.step(batch())
    for one, two in zip(models[0].parameters(), models[1].parameters(), strict=True):
        torch.testing.assert_close(one, two, rtol=0, atol=1e-12)


def test_the_gradient_of_the_encoder_is_that_of_its_own_pairs():
    """No network learns from the pairs of the other: E from (x, E(x)), G from (G(z), z)."""
    model = make("bigan", generator_loss="standard")
    data, fakes, real, fake = played(model)
    loss = model.generator_loss(data, fakes)
    of_encoder = torch.autograd.grad(loss, list(model.encoder.parameters()), retain_graph=True)
    of_generator = torch.autograd.grad(loss, list(model.generator.parameters()), retain_graph=True)
    own = torch.autograd.grad(softplus(real).mean(), list(model.encoder.parameters()), retain_graph=True)
    others = torch.autograd.grad(softplus(-fake).mean(), list(model.generator.parameters()))
    for got, want in zip([*of_encoder, *of_generator], [*own, *others], strict=True):
        torch.testing.assert_close(got, want, rtol=0, atol=1e-12)


def test_a_comparing_loss_sends_its_gradient_to_both():
    model = make("ali", loss=Relativistic())
    data, fakes, real, fake = played(model)
    loss = model.generator_loss(data, fakes)
    torch.testing.assert_close(loss, softplus(real - fake).mean())
    for part in (model.encoder, model.generator):
        gradients = torch.autograd.grad(loss, list(part.parameters()), retain_graph=True)
        assert all(gradient.abs().max() > 0 for gradient in gradients)


def test_the_best_critic_of_a_discrete_joint():
    """Pairs of bits under two joints: the least loss is log 4 - 2 JS of the joints, at scores of log p/q."""
    torch.manual_seed(0)
    p, q = torch.tensor([0.4, 0.1, 0.2, 0.3]), torch.tensor([0.1, 0.3, 0.3, 0.3])
    pairs = torch.tensor([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]])
    critic = JointCritic(MLPEncoder, (1,), latent_dim=1, code_dim=8, width=16, depth=1)
    optimizer = torch.optim.LBFGS(critic.parameters(), max_iter=300, line_search_fn="strong_wolfe")

    def loss():
        scores = critic(pairs).squeeze(1)
        return (p * softplus(-scores) + q * softplus(scores)).sum()

    def closure():
        optimizer.zero_grad()
        value = loss()
        value.backward()
        return value

    optimizer.step(closure)
    half = (p + q) / 2
    js = 0.5 * ((p * (p / half).log()).sum() + (q * (q / half).log()).sum())
    assert loss().item() == pytest.approx(math.log(4) - 2 * js.item(), abs=1e-6)
    torch.testing.assert_close(critic(pairs).squeeze(1), (p / q).log(), rtol=0, atol=1e-2)


def test_penalties_read_slopes_in_data_and_latents():
    """R1 on the pairs: half the squared norm of the gradient with respect to both, at (x, E(x))."""
    model = make("ali", penalties={"r1": R1()})
    data, fakes, _, _ = played(model)
    rows = join(data["x"], fakes[:, 5:]).detach().requires_grad_()
    (slope,) = torch.autograd.grad(model.critic(rows).sum(), rows)
    assert (slope[:, :2].abs().amax() > 0) and (slope[:, 2:].abs().amax() > 0)
    model.critic_loss(data, fakes.detach())
    assert model.meter.flush()["penalty/r1"] == pytest.approx(0.5 * slope.square().sum(1).mean().item())


@pytest.mark.parametrize("constraint", [SpectralNormalisation(), GradientNormalisation()], ids=str)
def test_constraints_hold_the_joint_critic(constraint):
    model = make("ali", loss=Wasserstein(), constraint=constraint)
    model.step(batch())
    data, fakes, _, _ = played(model)
    rows = join(data["x"], fakes[:, 5:]).detach().requires_grad_()
    (slope,) = torch.autograd.grad(model.critic(rows).sum(), rows)
    assert slope.norm(dim=1).max() <= 2.0 + 1e-6  # data and latents each have a network of slope 1: √2 in all


def test_losses_that_do_not_fit_are_refused():
    for loss in (Hinge(), LeastSquares(-1, 1, 0), QuadraticPotential()):
        make("ali", loss=loss)
    for loss in (LeastSquares(), FGAN("kl")):
        with pytest.raises(UserError, match="does not treat data and samples alike"):
            make("ali", loss=loss)
    with pytest.raises(UserError, match="follows from the logistic loss"):
        make("ali", loss=Hinge(), generator_loss="variational")
    with pytest.raises(UserError, match="generator_loss=both is unknown"):
        make("ali", generator_loss="both")
    with pytest.raises(UserError, match="use plan=single_loss"):
        make("ali", loss=NonSaturating(), generator_loss="variational", plan=GradientReversal())
