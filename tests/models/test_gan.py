import copy

import pytest
import torch
from tests.objectives.losses import LOSSES as ALL_LOSSES
from tests.objectives.losses import name_of
from tests.small_gan import batch, make
from torch import nn

from genexp.errors import UserError
from genexp.models.gan import GAN
from genexp.networks.dcgan import DCGANDecoder, DCGANEncoder
from genexp.networks.mlp import MLPDecoder, MLPEncoder
from genexp.objectives.adversarial import NonSaturating, Pair, QuadraticPotential, Relativistic, Wasserstein
from genexp.objectives.constraints import NoConstraint, WeightClip
from genexp.objectives.penalties import R1, GradientPenalty
from genexp.training.plans import Alternating, Simultaneous, SingleLoss

LOSSES = [loss for loss in ALL_LOSSES if not loss.needs_constraint]


@pytest.fixture(autouse=True)
def double():
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


@pytest.mark.parametrize("loss", LOSSES, ids=name_of)
@pytest.mark.parametrize("penalised", [False, True])
def test_single_loss_gradients_equal_the_two_losses(loss, penalised):
    """S1: exactly (grad L_D, ratio grad L_G), with the same penalties, to 1e-12 in float64."""
    model, ratio = make(loss, {"r1": R1(weight=1.0)} if penalised else {}), 0.7
    data = batch()
    model.random.begin(0)
    fakes = model.generate(data)
    weights = [*model.critic.parameters(), *model.generator.parameters()]
    single = torch.autograd.grad(model.single_loss(data, fakes, ratio), weights, retain_graph=True)
    critic = torch.autograd.grad(model.critic_loss(data, fakes.detach()), list(model.critic.parameters()))
    generator = torch.autograd.grad(model.generator_loss(data, fakes), list(model.generator.parameters()))
    expected = [*critic, *(ratio * g for g in generator)]
    for got, want in zip(single, expected, strict=True):
        torch.testing.assert_close(got, want, rtol=0, atol=1e-12)
    model.random.begin(0)
    value = model.single_loss(data, fakes, ratio)
    torch.testing.assert_close(value, model.critic_loss(data, fakes.detach()), rtol=0, atol=1e-12)  # S2


@pytest.mark.parametrize("loss", LOSSES, ids=name_of)
def test_single_loss_and_simultaneous_walk_the_same_path(loss):
    models = [make(loss, plan=plan) for plan in (SingleLoss(), Simultaneous())]
    for model in models:
        for _ in range(5):
            model.step(batch())
    for one, two in zip(models[0].parameters(), models[1].parameters(), strict=True):
        torch.testing.assert_close(one, two, rtol=0, atol=1e-12)


def test_one_critic_pass_equals_two():
    """Without BatchNorm real and fake data share a pass through the critic; the scores are those of two passes."""
    model = make()
    x, fakes = batch()["x"], torch.randn(16, 2)
    real, fake = model._verdicts({"x": x}, fakes)
    torch.testing.assert_close(real, model.critic(x))
    torch.testing.assert_close(fake, model.critic(fakes))


@pytest.mark.parametrize("plan", [Alternating(critic=2), Simultaneous(), SingleLoss()], ids=lambda p: type(p).__name__)
def test_a_loss_that_compares_gets_the_real_batch_under_every_plan(plan):
    """At equal scores for both the generator still learns: its gradient depends on what it is compared with."""
    model = make(Relativistic(), plan=plan)
    n = 16 * plan.sub_batches
    before = [p.clone() for p in model.parameters()]
    model.step(batch(n))
    assert all(p.isfinite().all() for p in model.parameters())
    assert any(not torch.equal(a, b) for a, b in zip(before, model.parameters(), strict=True))
    model.random.begin(0)
    data = batch()
    fakes = model.generate(data)
    far = {**data, "x": data["x"] + 5}
    assert model.generator_loss(data, fakes) != model.generator_loss(far, fakes)
    gradient = torch.autograd.grad(model.generator_loss(data, fakes), list(model.critic.parameters())[-1:])
    assert gradient[0].abs().max() < 1e-12  # the last bias shifts all scores, which no pair sees


def test_a_loss_that_reads_data_gets_each_batch_and_its_samples():
    model = make(QuadraticPotential(scale=0.1))
    model.random.begin(0)
    data = batch()
    fakes = model.generate(data).detach()
    real, fake = (verdict[:, 0] for verdict in model._verdicts(data, fakes))
    apart = (data["x"] - fakes).abs().mean(1)
    expected = ((real - fake).square() / (0.2 * apart) - (real - fake)).mean()
    torch.testing.assert_close(model.critic_loss(data, fakes), expected)


@pytest.mark.parametrize("plan", [Alternating(critic=2), Simultaneous(), SingleLoss()], ids=lambda p: type(p).__name__)
@pytest.mark.parametrize("loss", [NonSaturating(), Relativistic("average")], ids=name_of)
def test_the_estimate_of_the_divergence_is_logged_by_its_name(plan, loss):
    model = make(loss, plan=plan)
    model.step(batch(16 * plan.sub_batches))
    row = model.meter.flush()
    assert row[f"divergence/{loss.bound.name}"] == pytest.approx(
        loss.bound.offset - loss.bound.scale * row["loss/critic"]
    )


def test_lazy_penalty_counts_on_average_what_the_eager_one_counts():
    eager, lazy = make(penalties={"r1": R1(weight=2.0)}), make(penalties={"r1": R1(weight=2.0, interval=4)})
    data, fakes = batch(), torch.randn(16, 2)
    plain = make().critic_loss(data, fakes)
    extra = []
    for step in range(8):
        lazy.regime.clock.step = step
        extra.append((lazy.critic_loss(data, fakes) - plain).item())
    assert [value > 0 for value in extra] == [True, False, False, False] * 2
    assert sum(extra) / 8 == pytest.approx((eager.critic_loss(data, fakes) - plain).item(), rel=1e-12)


def test_weights_are_clipped_after_every_critic_update():
    model = make(Wasserstein(), constraint=WeightClip(bound=0.01), plan=Alternating(critic=2), lr=1.0)
    for _ in range(3):
        model.step({key: value.repeat(2, *[1] * (value.ndim - 1)) for key, value in batch().items()})
        assert max(p.abs().max().item() for p in model.critic.parameters()) <= 0.01


def test_a_step_is_a_function_of_weights_batch_seed_and_step():
    one = make(penalties={"gp": GradientPenalty()})
    two = copy.deepcopy(one)
    two.configure_optimizers()
    torch.manual_seed(99)  # whatever else drew random numbers before
    one.step(batch())
    two.step(batch())
    assert all(torch.equal(a, b) for a, b in zip(one.parameters(), two.parameters(), strict=True))
    assert not torch.equal(one.generator(torch.ones(1, 3)), make().generator(torch.ones(1, 3)))


def test_samples_are_a_function_of_their_seed_and_temperature():
    model = make()
    with model.sampling("raw"):
        assert torch.equal(model.sample(4, seed=1), model.sample(4, seed=1))
        assert not torch.equal(model.sample(4, seed=1), model.sample(4, seed=2))
        still = model.sample(4, seed=1, temperature=0.0)
    assert torch.equal(still[0], still[3])


def test_impossible_combinations_are_refused():
    with pytest.raises(UserError, match=r"constraint=clip or penalty=gp"):
        make(Wasserstein())
    make(Wasserstein(), {"gp": GradientPenalty()})
    with pytest.raises(UserError, match="use model=pair_gan"):
        make(Pair())
    with pytest.raises(UserError, match="BatchNorm"):
        GAN((1, 16, 16), 4, DCGANDecoder, DCGANEncoder, NonSaturating(), {"r1": R1()}, NoConstraint())
    with pytest.raises(UserError, match="latent_dim=0"):
        GAN((2,), 0, MLPDecoder, MLPEncoder, NonSaturating(), {}, NoConstraint())


def test_sampling_restores_modes_and_leaves_no_gradient():
    model = make()
    model.train()
    model.critic.eval()
    with model.sampling("raw") as still:
        assert not still.generator.training
        assert not still.sample(2, seed=0).requires_grad
    assert model.generator.training and not model.critic.training
    assert isinstance(model.generator, nn.Module)
