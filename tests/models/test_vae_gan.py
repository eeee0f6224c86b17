"""VAE-GAN: which network each part of the loss moves, and what the critic tells apart."""

import math
from functools import partial

import pytest
import torch
from tests.small_encoders import make
from tests.small_gan import batch
from torch.nn.functional import softplus

from genexp.errors import UserError
from genexp.networks.dcgan import DCGANDecoder, DCGANEncoder
from genexp.objectives.constraints import SpectralNormalisation
from genexp.objectives.likelihood import gaussian_kl


@pytest.fixture(autouse=True)
def double():
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


def gradient(loss, module):
    return torch.autograd.grad(loss, list(module.parameters()), retain_graph=True, materialize_grads=True)


def equal(one, other):
    for got, want in zip(one, other, strict=True):
        torch.testing.assert_close(got, want, rtol=1e-9, atol=1e-12)


def parts(model):
    """The batch, the fakes, and the terms by the formulas, with the random numbers of the model's own step."""
    data = batch()
    model.random.begin(0)
    fakes = model.generate(data)
    state = model.random.shared.get_state()
    mean, log_variance = model.posterior(data["x"])
    z = mean + (0.5 * log_variance).exp() * model.random.normal(16, 3)
    features = model.critic.features
    squared = (features(model.generator(z)) - features(data["x"])).square()
    error = 0.5 * 5 * (1 + (2 * math.pi * squared.mean()).log())  # five features, at the variance that fits best
    model.random.shared.set_state(state)
    return data, fakes, error, gaussian_kl(mean, log_variance).mean()


@pytest.mark.parametrize("weight", [0.1, 2.0])
def test_each_network_has_its_own_part_of_the_loss(weight):
    model = make("vae_gan", feature_weight=weight)
    data, fakes, error, kl = parts(model)
    loss = model.generator_loss(data, fakes)
    adversarial = softplus(-model.critic(fakes)).mean()
    equal(gradient(loss, model.encoder), gradient(kl + error, model.encoder))  # nothing of the adversarial loss
    equal(gradient(loss, model.generator), gradient(weight * error + adversarial, model.generator))
    torch.testing.assert_close(loss, adversarial + kl + weight * error)


def test_the_critic_learns_nothing_from_the_error_of_features():
    model = make("vae_gan")
    data, fakes, _, _ = parts(model)
    equal(
        gradient(model.single_loss(data, fakes, 1.0), model.critic),
        gradient(model.critic_loss(data, fakes.detach()), model.critic),
    )


def test_the_critic_sees_samples_and_reconstructions():
    model = make("vae_gan")
    data = model.with_latents(batch())
    fakes = model.generate(data)
    z, noise = data["latents"].chunk(2, dim=1)
    torch.testing.assert_close(fakes[:16], model.generator(z))
    torch.testing.assert_close(fakes[16:], model.generator(model.code(data["x"], noise)))
    real, sample, again = (model.critic(x) for x in (data["x"], fakes[:16], fakes[16:]))
    expected = softplus(-real).mean() + 0.5 * softplus(sample).mean() + 0.5 * softplus(again).mean()
    torch.testing.assert_close(model.critic_loss(data, fakes.detach()), expected)


def test_features_are_found_behind_a_constraint():
    model = make("vae_gan", constraint=SpectralNormalisation(scale=2.0))
    model.step(batch())
    assert model._features(batch()["x"]).shape == (16, 5)


def test_images_are_reconstructed_by_the_mean():
    networks = {"decoder": partial(DCGANDecoder, width=4), "encoder": partial(DCGANEncoder, width=4)}
    model = make("vae_gan", shape=(1, 16, 16), **networks)
    x = torch.rand(3, 1, 16, 16)
    with model.sampling("raw"):
        assert torch.equal(model.encode(x), model.posterior(x)[0])
        assert model.reconstruct(x).shape == (3, 1, 16, 16)
    with pytest.raises(UserError, match="feature_weight=0"):
        make("vae_gan", feature_weight=0)
