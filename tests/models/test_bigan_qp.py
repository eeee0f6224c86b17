"""BiGAN-QP: distances of pairs, and which network each error moves."""

import pytest
import torch
from tests.small_encoders import make
from tests.small_gan import batch

from genexp.errors import UserError
from genexp.networks.joint import join
from genexp.objectives.adversarial import NonSaturating, QuadraticPotential
from genexp.training.plans import GradientReversal


@pytest.fixture(autouse=True)
def double():
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


def played(model):
    data = batch()
    model.random.begin(0)
    fakes = model.generate(data)
    samples, z, codes = fakes.split([2, 3, 3], dim=1)
    real, fake = (model.critic(join(x, c)).squeeze(1) for x, c in ((data["x"], codes), (samples, z)))
    return data, fakes, real, fake


@pytest.mark.parametrize("distance", ["l1", "squared"])
def test_the_critic_pays_by_the_distance_in_data_and_latents(distance):
    model = make("bigan_qp", loss=QuadraticPotential(scale=0.5, distance=distance))
    data, fakes, real, fake = played(model)
    samples, z, codes = fakes.split([2, 3, 3], dim=1)
    size = {"l1": torch.abs, "squared": torch.square}[distance]
    apart = size(data["x"] - samples).mean(1) + size(z - codes).mean(1)  # each a mean over its own dimensions
    difference = real - fake
    expected = (difference.square() / (2 * 0.5 * apart.detach()) - difference).mean()
    torch.testing.assert_close(model.critic_loss(data, fakes.detach()), expected)


def test_generator_and_encoder_lower_the_difference():
    model = make("bigan_qp", latent_weight=0.0, data_weight=0.0)
    data, fakes, real, fake = played(model)
    torch.testing.assert_close(model.generator_loss(data, fakes), (real - fake).mean())


def test_each_error_moves_one_network():
    """What the weights add to the gradient: the error in latents to the encoder's, that in data to the generator's."""
    gradients = {}
    for name, weights in (("none", (0.0, 0.0)), ("latents", (2.0, 0.0)), ("data", (0.0, 3.0))):
        model = make("bigan_qp", latent_weight=weights[0], data_weight=weights[1])
        data, fakes, _, _ = played(model)
        loss = model.generator_loss(data, fakes)
        gradients[name] = [
            torch.autograd.grad(loss, list(part.parameters()), retain_graph=True)
            for part in (model.encoder, model.generator)
        ]

    def changes(name, part):
        return max(
            (a - b).abs().max().item() for a, b in zip(gradients[name][part], gradients["none"][part], strict=True)
        )

    assert changes("latents", 0) > 1e-4 and changes("latents", 1) < 1e-12
    assert changes("data", 1) > 1e-4 and changes("data", 0) < 1e-12
    errors = model.meter.flush()
    samples, z, codes = fakes.split([2, 3, 3], dim=1)
    assert errors["loss/latents"] == pytest.approx((model.encoder(samples) - z).square().mean().item())
    assert errors["loss/data"] == pytest.approx((model.generator(codes) - data["x"]).square().mean().item())


def test_impossible_combinations_are_refused():
    with pytest.raises(UserError, match="use loss=quadratic_potential"):
        make("bigan_qp", loss=NonSaturating())
    with pytest.raises(UserError, match="data_weight=-1"):
        make("bigan_qp", data_weight=-1)
    with pytest.raises(UserError, match="plan=GradientReversal"):
        make("bigan_qp", plan=GradientReversal())
