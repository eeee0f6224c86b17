"""O-GAN: the correlation's geometry, the paper's loss in our signs, and an encoder that comes out of the game."""

import math
from functools import partial

import pytest
import torch
from tests.small_encoders import make
from tests.small_gan import batch

from genexp.errors import UserError
from genexp.models.base import Regime
from genexp.models.o_gan import OGAN, centred, correlation, standardised
from genexp.networks.dcgan import DCGANDecoder, DCGANEncoder
from genexp.networks.mlp import MLPDecoder, MLPEncoder
from genexp.objectives.adversarial import QuadraticPotential
from genexp.objectives.constraints import GradientNormalisation, NoConstraint, SpectralNormalisation
from genexp.training.clock import Clock
from genexp.training.ema import EMA
from genexp.training.optimizers import OptimizerFactory
from genexp.training.plans import Alternating, SingleLoss
from genexp.training.schedules import Constant


@pytest.fixture
def double():
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


def rows(n=5, dim=8, seed=0):
    return torch.randn(n, dim, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def test_correlation_is_affine_invariant_and_odd():
    z, w = rows(seed=0), rows(seed=1)
    rho = correlation(z, w)
    torch.testing.assert_close(correlation(3 * z + 2, 0.5 * w - 9), rho, rtol=0, atol=1e-12)
    torch.testing.assert_close(correlation(z, -w), -rho, rtol=0, atol=1e-12)
    torch.testing.assert_close(correlation(z, z), torch.ones(5, dtype=torch.float64))
    own = (standardised(z) * standardised(w)).mean(1)  # the definition
    torch.testing.assert_close(rho, own, rtol=0, atol=1e-12)


def test_the_gradient_of_the_correlation_is_orthogonal_to_the_score():
    """To a shift of the code, which is the score's direction, and to its size."""
    z, code = rows(seed=0), rows(seed=1).requires_grad_()
    (gradient,) = torch.autograd.grad(correlation(z, code).sum(), code)
    assert gradient.abs().max() > 1e-2
    assert gradient.sum(1).abs().max() < 1e-12
    assert (gradient * code).sum(1).abs().max() < 1e-12
    assert (gradient * centred(code)).sum(1).abs().max() < 1e-12


def test_codes_are_on_the_sphere_of_latents():
    code = standardised(4 + 0.1 * rows())
    torch.testing.assert_close(code.mean(1), torch.zeros(5, dtype=torch.float64), rtol=0, atol=1e-12)
    torch.testing.assert_close(code.norm(dim=1), torch.full((5,), math.sqrt(8), dtype=torch.float64))
    assert standardised(torch.ones(2, 4)).abs().max() == 0  # a constant code, where the deviation is zero


def test_the_loss_is_the_papers_in_its_own_signs(double):
    """The authors' single loss: t1 = E(x) - E(sg G), t2 = E(G) - E(sg G) in means of codes, small for data."""
    model, data = make("o_gan"), batch()
    model.random.begin(0)
    fakes = model.generate(data)
    joint = model.single_loss(data, fakes, 1.0)

    samples, z = fakes[:, :2], fakes[:, 2:]
    codes = [-model.critic(x) for x in (data["x"], samples, samples.detach())]  # energies: small for data
    real, fake, cut = (code.mean(1) for code in codes)
    t1, t2 = real - cut, fake - cut
    apart = (data["x"] - samples.detach()).square().mean(1).clamp_min(1e-3)
    paper = (t1 + t2 - 0.5 * correlation(z, -codes[1])).mean() + (0.25 * t1.square() / apart).mean()
    torch.testing.assert_close(joint, paper, rtol=0, atol=1e-12)
    weights = list(model.parameters())
    for ours, theirs in zip(
        torch.autograd.grad(joint, weights, retain_graph=True), torch.autograd.grad(paper, weights), strict=True
    ):
        torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-12)


def test_the_correlation_is_logged_and_weighed(double):
    model, without = make("o_gan"), make("o_gan", correlation_weight=0.0)
    data = batch()
    losses = []
    for one in (model, without):
        one.random.begin(0)
        fakes = one.generate(data)
        losses.append((one.critic_loss(data, fakes.detach()), one.generator_loss(data, fakes)))
    rho = model.meter.flush()["correlation"]
    expected = correlation(fakes[:, 2:], without.critic(fakes[:, :2])).mean().item()
    assert rho == pytest.approx(expected, rel=1e-9)
    for with_it, plain in zip(*losses, strict=True):
        assert (with_it - plain).item() == pytest.approx(-0.5 * rho, rel=1e-9)


def test_images_are_encoded():
    model = OGAN(
        (1, 16, 16), 5, partial(DCGANDecoder, width=4), partial(DCGANEncoder, width=4), QuadraticPotential(), {},
        NoConstraint(),
    )  # fmt: skip
    with model.sampling("raw"):
        images = model.sample(3, seed=0)
        assert model.encode(images).shape == (3, 5)
        assert model.reconstruct(images).shape == (3, 1, 16, 16)
        assert not torch.equal(model.reconstruct(images), images)


def test_impossible_combinations_are_refused():
    with pytest.raises(UserError, match="latent_dim=2"):
        OGAN((2,), 2, MLPDecoder, MLPEncoder, QuadraticPotential(), {}, NoConstraint())
    with pytest.raises(UserError, match="correlation_weight=-1"):
        make("o_gan", correlation_weight=-1)
    with pytest.raises(UserError, match="constraint=gradient"):
        make("o_gan", constraint=GradientNormalisation())
    make("o_gan", constraint=SpectralNormalisation())


# --- the claim: an encoder without a network and without a pixel loss -----------------------------------------------


def curved(n, generator):
    """Data in 32 dimensions on a curved surface of 3, (n, 32), and the same surface for each generator."""
    fixed = torch.Generator().manual_seed(7)
    inner, outer = torch.randn(3, 16, generator=fixed), torch.randn(16, 32, generator=fixed) / 4
    return torch.tanh(torch.randn(n, 3, generator=generator) @ inner) @ outer


def trained(steps, plan):
    """rho, and the share of the variance that reconstructions of new data lose, of an O-GAN on the curved surface."""
    torch.manual_seed(0)
    decoder, encoder = partial(MLPDecoder, width=128, norm="batch"), partial(MLPEncoder, width=128)
    model = OGAN((32,), 8, decoder, encoder, QuadraticPotential(2.0, "squared"), {}, NoConstraint())
    optimizer = OptimizerFactory("torch.optim.Adam", lr=2e-4, betas=(0.5, 0.999))
    clock = Clock(max_steps=steps, images_per_step=128)
    model.prepare(
        Regime(plan=plan, optimizer=optimizer, schedule=Constant(), ema=EMA(decay=0.995), clock=clock, seed=0)
    )
    model.configure_optimizers()
    model.regime.ema.attach({name: getattr(model, name) for name in model.averaged})
    data = torch.Generator().manual_seed(1)
    for _ in range(steps):
        model.step({"x": curved(128, data), "y": torch.zeros(128)})
    x = curved(4000, data)
    with model.sampling():
        z = model.latents(4000, seed=2)
        rho = correlation(z, model.encode(model.decode(z))).mean().item()
        lost = ((model.reconstruct(x) - x).square().mean() / x.var(0).mean()).item()
    return rho, lost


def test_the_critic_learns_to_encode():
    rho, lost = trained(1000, SingleLoss())
    assert rho > 0.9
    assert lost < 0.35


@pytest.mark.slow
@pytest.mark.parametrize("plan", [SingleLoss(), Alternating()], ids=lambda plan: type(plan).__name__)
def test_data_are_reconstructed_without_a_loss_for_it(plan):
    rho, lost = trained(6000, plan)
    assert rho > 0.9
    assert lost < 0.12
