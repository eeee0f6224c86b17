"""What the critic of a GAN sees under augmentation, in each loss, and that a step stays a function of seed and step."""

from functools import partial

import pytest
import torch

from genexp import config as configs
from genexp.errors import UserError
from genexp.models.base import Regime
from genexp.models.gan import GAN
from genexp.networks.mlp import MLPDecoder, MLPEncoder
from genexp.objectives.adversarial import NonSaturating, Relativistic
from genexp.objectives.augmentation import (
    AdaptiveAugmentation,
    Colour,
    Cutout,
    Mirror,
    NoAugmentation,
    RandomAugmentation,
)
from genexp.objectives.constraints import NoConstraint
from genexp.objectives.penalties import R1
from genexp.training.clock import Clock
from genexp.training.ema import NoEMA
from genexp.training.optimizers import OptimizerFactory
from genexp.training.plans import Alternating, Extragradient, Simultaneous, SingleLoss
from genexp.training.schedules import Constant

SHAPE = (1, 8, 8)


class Spy(MLPEncoder):
    """Keeps what it is shown."""

    def forward(self, x):
        self.shown = x
        return super().forward(x)


def make(augment=None, plan=None, penalties=None, loss=None):
    torch.manual_seed(0)
    decoder, critic = partial(MLPDecoder, width=8), partial(Spy, width=8)
    model = GAN(SHAPE, 3, decoder, critic, loss or NonSaturating(), penalties or {}, NoConstraint(), augment)
    regime = Regime(
        plan=plan or Alternating(),
        optimizer=OptimizerFactory("torch.optim.SGD", lr=0.1, implementation="loop"),
        schedule=Constant(),
        ema=NoEMA(),
        clock=Clock(max_steps=100, images_per_step=16),
        seed=5,
    )
    model.prepare(regime)
    model.configure_optimizers()
    return model


def batch(n=16):
    generator = torch.Generator().manual_seed(1)
    return {"x": torch.rand(n, *SHAPE, generator=generator) * 2 - 1, "y": torch.zeros(n)}


def hole():
    return RandomAugmentation({"cutout": Cutout(share=0.5)})


def ada():
    return AdaptiveAugmentation({"mirror": Mirror(), "colour": Colour()}, target=0.0, images_to_one=100, interval=2)


def weights(model):
    return {name: tensor.clone() for name, tensor in model.state_dict().items()}


def assert_same(one, other):
    assert one.keys() == other.keys()
    assert all(torch.equal(one[name], other[name]) for name in one)


@pytest.mark.parametrize("plan", [Alternating(), Simultaneous(), SingleLoss()], ids=lambda p: type(p).__name__)
def test_none_is_a_gan_without_augmentation_bit_for_bit(plan):
    models = [make(augment, plan, {"r1": R1()}) for augment in (None, NoAugmentation())]
    for _ in range(3):
        for model in models:
            model.step(batch())
    assert_same(*(weights(model) for model in models))
    assert not any("augment" in name for name in models[0].state_dict())


def test_data_and_samples_are_changed_for_the_critic_and_its_penalties():
    model = make(hole(), penalties={"r1": R1(weight=2.0)})
    model.random.begin(0)
    data, fakes = batch(), torch.rand(16, *SHAPE) + 0.5
    loss = model.critic_loss(data, fakes)
    assert torch.equal(model.seen["x"], data["x"]) and torch.equal(model.seen["fakes"], fakes)  # the monitor's view
    model.random.begin(0)
    x, y = (model.augment(t, model.random.uniform) for t in (data["x"], fakes))
    assert all((t == 0).flatten(1).sum(1).ge(4).all() for t in (x, y))
    real, fake = model.critic(x).squeeze(1), model.critic(y).squeeze(1)
    penalty = R1(weight=2.0)(lambda t: model.critic(t).squeeze(1), x, y, None)
    torch.testing.assert_close(loss, model.loss.critic(real, fake) + 2.0 * penalty)


def test_the_generators_gradient_goes_through_the_change():
    model = make(hole())
    model.random.begin(0)
    fakes = torch.randn(16, *SHAPE, requires_grad=True)
    model.generator_loss(batch(), fakes).backward()
    hidden = model.critic.shown == 0
    assert hidden.flatten(1).sum(1).ge(4).all()
    assert torch.equal(fakes.grad == 0, hidden)


@pytest.mark.parametrize("loss", [NonSaturating(), Relativistic()], ids=lambda loss: type(loss).__name__)
def test_single_loss_has_the_gradients_of_both_losses_on_the_same_views(loss):
    model = make(hole(), loss=loss)
    data = batch()
    model.random.begin(0)
    fakes = model.generate(data)
    model.random.begin(1)
    one = torch.autograd.grad(model.single_loss(data, fakes, 0.7), list(model.parameters()), retain_graph=True)
    model.random.begin(1)
    critic = torch.autograd.grad(model.critic_loss(data, fakes.detach()), list(model.critic.parameters()))
    model.random.begin(1)
    data = data if loss.compares else {**data, "x": model._seen(data["x"])}  # the same numbers for the samples
    generator = torch.autograd.grad(model.generator_loss(data, fakes), list(model.generator.parameters()))
    expected = {
        **dict(zip(model.critic.parameters(), critic, strict=True)),
        **{p: 0.7 * g for p, g in zip(model.generator.parameters(), generator, strict=True)},
    }
    for parameter, got in zip(model.parameters(), one, strict=True):
        torch.testing.assert_close(got, expected[parameter], rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("plan", [Alternating(critic=2), Simultaneous(), SingleLoss()], ids=lambda p: type(p).__name__)
@pytest.mark.parametrize("augment", [hole, ada])
def test_a_resumed_run_has_the_same_bits(augment, plan):
    whole, broken = make(augment(), plan), make(augment(), plan)
    n = 16 * plan.sub_batches
    for _ in range(3):
        whole.step(batch(n)), broken.step(batch(n))
    state = {**broken.training_state(), "step": broken.regime.clock.step}
    torch.manual_seed(99)
    resumed = make(augment(), plan)
    resumed.load_training_state(state)
    for _ in range(4):
        whole.step(batch(n)), resumed.step(batch(n))
    assert_same(weights(whole), weights(resumed))


def test_each_update_of_the_critic_steers_and_a_look_ahead_does_not():
    for plan, updates in ((Alternating(critic=3), 3), (Simultaneous(), 1), (SingleLoss(), 1), (Extragradient(), 1)):
        model = make(AdaptiveAugmentation({"mirror": Mirror()}, interval=100), plan)
        model.step(batch(16 * plan.sub_batches))
        assert model.augment.seen[1] == updates
        assert model.augment.seen[2] == 16 * updates
        assert {"augment/certainty", "augment/probability"} <= set(model.meter.flush())


def test_what_cannot_be_augmented_is_refused():
    with pytest.raises(UserError, match=r"changes images, but the data has shape \(2,\): set augment=none"):
        GAN((2,), 3, MLPDecoder, MLPEncoder, NonSaturating(), {}, NoConstraint(), hole())
    with pytest.raises(UserError, match="augment=ada changes what a critic sees, and model=vae does not take it"):
        configs.compose_train(["model=vae", "augment=ada"])
