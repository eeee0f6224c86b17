import math
from functools import partial

import pytest
import torch
from tests.small_gan import batch, make

from genexp.errors import UserError
from genexp.models.info_gan import InfoGAN
from genexp.models.sampling import class_sheet, labels_for
from genexp.networks.mlp import MLPDecoder, MLPEncoder
from genexp.objectives.adversarial import NonSaturating, Relativistic, Saturating
from genexp.objectives.constraints import NoConstraint
from genexp.objectives.penalties import R1
from genexp.training.plans import Alternating, Extragradient, GradientReversal, Simultaneous, SingleLoss


@pytest.fixture(autouse=True)
def double():
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


def informed(loss=None, plan=None, categories=(4, 3), continuous=2, penalties=None, lr=1e-2, **weights) -> InfoGAN:
    torch.manual_seed(0)
    model = InfoGAN(
        shape=(2,),
        latent_dim=2,
        decoder=partial(MLPDecoder, width=16),
        encoder=partial(MLPEncoder, width=16),
        loss=loss or NonSaturating(),
        penalties=penalties or {},
        constraint=NoConstraint(),
        categories=categories,
        continuous=continuous,
        **weights,
    )
    model.prepare(make(loss, plan=plan, lr=lr, algorithm="torch.optim.Adam").regime)
    model.configure_optimizers()
    return model


@pytest.mark.parametrize("loss", [NonSaturating(), Relativistic()], ids=lambda loss: type(loss).__name__)
@pytest.mark.parametrize("penalties", [{}, {"r1": R1()}], ids=["plain", "r1"])
def test_single_loss_gradients_equal_the_two_losses(loss, penalties):
    model, ratio, data = informed(loss, penalties=penalties), 0.7, batch()
    model.random.begin(0)
    fakes = model.generate(data)
    of_critic, of_generator = list(model.critic.parameters()), list(model.generator.parameters())
    joint = model.single_loss(data, fakes, ratio)
    single = torch.autograd.grad(joint, [*of_critic, *of_generator], retain_graph=True)
    critic_loss = model.critic_loss(data, fakes.detach())
    critic = torch.autograd.grad(critic_loss, of_critic)
    generator = torch.autograd.grad(model.generator_loss(data, fakes), of_generator)
    for got, want in zip(single, [*critic, *(ratio * g for g in generator)], strict=True):
        torch.testing.assert_close(got, want, rtol=0, atol=1e-12)
    torch.testing.assert_close(joint, critic_loss, rtol=0, atol=1e-12)


def test_the_losses_are_those_of_the_game_less_the_weighted_information():
    model, data = informed(categorical_weight=0.5, continuous_weight=0.2), batch()
    bare = informed(categorical_weight=0.0, continuous_weight=0.0)
    model.random.begin(0)
    fakes = model.generate(data)
    samples, codes = fakes[:, :2], fakes[:, 4:]
    categorical, continuous = model.codes.bounds(codes, model.critic(samples)[:, 1:])
    told = 0.5 * categorical + 0.2 * continuous
    torch.testing.assert_close(bare.critic_loss(data, fakes) - model.critic_loss(data, fakes), told)
    torch.testing.assert_close(bare.generator_loss(data, fakes) - model.generator_loss(data, fakes), told)


@pytest.mark.parametrize(
    "plan",
    [Alternating(critic=2, generator=2, same_latents=True), Simultaneous(), SingleLoss(), Extragradient()],
    ids=lambda plan: type(plan).__name__,
)
def test_samples_come_to_tell_their_codes_under_every_plan(plan):
    """Both players raise the bound, which never is above the entropy of the codes."""
    model = informed(plan=plan, categories=(3,), continuous=0, lr=1e-2)
    rows = []
    for number in range(60):
        model.regime.clock.step = number
        model.step(batch(16 * plan.sub_batches))
        rows.append(model.meter.flush()["information/categorical"])
    assert sum(rows[:10]) / 10 < 0.2 < 0.5 < sum(rows[-10:]) / 10 <= math.log(3)


def test_latents_are_noise_and_codes_and_a_class_sets_the_first_code():
    model = informed()
    y = torch.tensor([3, 0, 1])
    with model.sampling("raw"):
        z = model.latents(3, seed=5)
        assert z.shape == (3, 2 + 4 + 3 + 2) == (3, model.latent_dim)
        assert torch.equal(model.sample(3, seed=5), model.generator(z))
        chosen = torch.cat([z[:, :2], torch.eye(4)[y], z[:, 6:]], dim=1)
        assert torch.equal(model.sample(3, y, seed=5), model.generator(chosen))
        still = model.latents(3, seed=5, temperature=0.0)
        assert torch.equal(still[:, 2:], z[:, 2:]) and not still[:, :2].any()
        assert torch.equal(model.latents(3, seed=5, y=y), chosen)
        assert class_sheet(model, seed=0)[1] == 4
        assert labels_for(model, y) is None  # the data's classes are not its own
        with pytest.raises(UserError, match="0 to 3"):
            model.sample(3, torch.tensor([4, 0, 0]))
    assert model.guess(torch.randn(5, 2)).shape == (5,)


def test_impossible_combinations_are_refused():
    with pytest.raises(UserError, match="weight"):
        informed(categorical_weight=-1.0)
    with pytest.raises(UserError, match="plan=single_loss"):
        informed(Saturating(), plan=GradientReversal())
