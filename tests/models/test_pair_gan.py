"""T-GAN: the critic of pairs under every plan, and what it is refused with."""

import copy
from functools import partial

import pytest
import torch
from tests.objectives.losses import PAIR, name_of
from tests.small_gan import batch, make

from genexp.errors import UserError
from genexp.models.pair_gan import PairGAN
from genexp.networks.mlp import MLPDecoder, MLPEncoder
from genexp.objectives.adversarial import Hinge, Pair, Relativistic
from genexp.objectives.constraints import NoConstraint
from genexp.objectives.penalties import R1
from genexp.training.health import signs
from genexp.training.plans import Simultaneous, SingleLoss


@pytest.fixture(autouse=True)
def double():
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


def make_pair(loss=None, plan=None, head_width=8, penalties=None) -> PairGAN:
    torch.manual_seed(0)
    model = PairGAN(
        shape=(2,),
        latent_dim=3,
        decoder=partial(MLPDecoder, width=8, depth=2),
        encoder=partial(MLPEncoder, width=8, depth=2),
        loss=loss or Pair(),
        penalties=penalties or {},
        constraint=NoConstraint(),
        code_dim=4,
        head_width=head_width,
    ).double()
    model.prepare(make(plan=plan).regime)
    model.configure_optimizers()
    return model


@pytest.mark.parametrize("plan", [Simultaneous(), SingleLoss()], ids=lambda plan: type(plan).__name__)
def test_the_monitor_sees_data_samples_and_scores(plan):
    model, data = make_pair(plan=plan), batch()
    model.step(data)
    assert torch.equal(model.seen["x"], data["x"]) and model.seen["fakes"].shape == data["x"].shape
    assert 0 <= signs(model.seen, model.players())["separation"] <= 1


@pytest.mark.parametrize("loss", PAIR, ids=name_of)
def test_single_loss_gradients_equal_the_two_losses(loss):
    model, ratio, data = make_pair(loss), 0.7, batch()
    model.random.begin(0)
    fakes = model.generate(data)
    weights = [*model.critic.parameters(), *model.generator.parameters()]
    joint = model.single_loss(data, fakes, ratio)
    single = torch.autograd.grad(joint, weights, retain_graph=True)
    critic_loss = model.critic_loss(data, fakes.detach())
    critic = torch.autograd.grad(critic_loss, list(model.critic.parameters()))
    generator = torch.autograd.grad(model.generator_loss(data, fakes), list(model.generator.parameters()))
    for got, want in zip(single, [*critic, *(ratio * g for g in generator)], strict=True):
        torch.testing.assert_close(got, want, rtol=0, atol=1e-12)
    torch.testing.assert_close(joint, critic_loss, rtol=0, atol=1e-12)


def test_simultaneous_and_single_loss_walk_the_same_path():
    models = [make_pair(plan=plan) for plan in (SingleLoss(), Simultaneous())]
    start = copy.deepcopy(models[0])
    for model in models:
        for _ in range(5):
            model.step(batch())
    unmoved = []
    for (name, one), two, before in zip(
        models[0].named_parameters(), models[1].parameters(), start.parameters(), strict=True
    ):
        torch.testing.assert_close(one, two, rtol=0, atol=1e-12)
        unmoved += [name] if torch.equal(one, before) else []
    assert len(unmoved) == 1 and unmoved[0].startswith("critic.encoder")  # a bias that every difference cancels


def test_a_linear_head_is_twice_the_relativistic_loss():
    model, data = make_pair(head_width=0), batch()
    fakes = torch.randn(16, 2)
    scores = [model.critic.head(model.critic.encoder(x)).squeeze(1) for x in (data["x"], fakes)]
    torch.testing.assert_close(model.critic_loss(data, fakes), 2 * Relativistic().critic(*scores))
    torch.testing.assert_close(model.generator_loss(data, fakes), 2 * Relativistic().generator(scores[1], scores[0]))


def test_the_divergence_of_pairs_is_logged():
    model = make_pair()
    model.step(batch())
    assert "divergence/js_of_pairs" in model.meter.flush()


def test_impossible_combinations_are_refused():
    with pytest.raises(UserError, match="use loss=pair"):
        make_pair(Hinge())
    with pytest.raises(UserError, match="penalty=r1 reads the score of one datum"):
        make_pair(penalties={"r1": R1()})
    with pytest.raises(UserError, match="latent_dim=0"):
        PairGAN((2,), 0, MLPDecoder, MLPEncoder, Pair(), {}, NoConstraint())
