"""Energy GAN: the entropy's bound, and the walk down the energy."""

import pytest
import torch
from tests.small_encoders import make
from tests.small_gan import batch
from torch import nn

from genexp.errors import UserError
from genexp.models.energy_gan import EnergyGAN


@pytest.fixture(autouse=True)
def double():
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


class Bowl(nn.Module):
    """Scores -|x|²/2s², whose energy is a Gaussian's of deviation s."""

    def __init__(self, deviation):
        super().__init__()
        self.deviation = deviation

    def forward(self, x):
        return -x.square().sum(1, keepdim=True) / (2 * self.deviation**2)


def walking(**options):
    """A model whose generator is twice the identity, in an energy of deviation 0.5: latents of deviation 0.25."""
    model = make("energy_gan", shape=(3,), **options)
    model.generator, model.critic = nn.Linear(3, 3, bias=False), Bowl(0.5)
    with torch.no_grad():
        model.generator.weight.copy_(2 * torch.eye(3))
    return model


def test_the_losses_of_the_docstring():
    model = make("energy_gan")
    data = batch()
    model.random.begin(0)
    fakes = model.generate(data)
    samples, z = fakes[:, :2], fakes[:, 2:]
    real = data["x"].clone().requires_grad_()
    (slope,) = torch.autograd.grad(model.energy(real).sum(), real)
    critic = model.energy(data["x"]).mean() - model.energy(samples).mean() + 0.5 * slope.square().sum(1).mean()
    torch.testing.assert_close(model.critic_loss(data, fakes.detach()), critic)
    error = (model.encoder(samples) - z).square().mean()
    torch.testing.assert_close(model.generator_loss(data, fakes), model.energy(samples).mean() + error)
    assert model.meter.flush()["loss/latents"] == pytest.approx(error.item())


def test_the_encoder_s_error_moves_the_generator_too():
    """It is the generator's reason to keep latents apart."""
    gradients = []
    for weight in (0.0, 1.0):
        model = make("energy_gan", entropy_weight=weight)
        model.random.begin(0)
        data = batch()
        loss = model.generator_loss(data, model.generate(data))
        gradients.append(torch.autograd.grad(loss, list(model.generator.parameters())))
    assert max((a - b).abs().max() for a, b in zip(*gradients, strict=True)) > 1e-3


def test_the_walk_goes_to_the_density_of_the_energy():
    """The discrete walk on a Gaussian has the variance s² / (1 - h/4s²), exactly."""
    h, s = 0.02, 0.25
    model = walking(langevin_steps=60, langevin_step_size=h)
    with model.sampling("raw"):
        z = model.latents(20000, seed=0)
    expected = s**2 / (1 - h / (4 * s**2))
    assert z.var().item() == pytest.approx(expected, rel=0.03)
    assert not z.requires_grad


def test_a_walk_without_noise_goes_downhill():
    still, walked = (walking(langevin_steps=steps, langevin_step_size=0.01) for steps in (0, 1))
    with still.sampling("raw"), walked.sampling("raw"):
        assert torch.equal(walked.latents(4, seed=0, temperature=0.0), torch.zeros(4, 3))
        first = still.latents(4, seed=0)
        generator = torch.Generator().manual_seed(0)
        assert torch.equal(first, torch.randn(4, 3, generator=generator))
        noise = torch.randn(4, 3, generator=generator)
        step = first - 0.5 * 0.01 * first * 4 / 0.25 + 0.1 * noise  # the gradient of 4 z² / (2 · 0.25)
        torch.testing.assert_close(walked.latents(4, seed=0), step)
        assert torch.equal(walked.sample(4, seed=0), walked.decode(walked.latents(4, seed=0)))


def test_samples_need_the_critic_so_it_is_averaged():
    assert "critic" in EnergyGAN.averaged


def test_numbers_out_of_range_are_refused():
    for wrong in ({"entropy_weight": -1.0}, {"langevin_steps": -1}, {"langevin_step_size": 0.0}):
        with pytest.raises(UserError, match="out of range"):
            make("energy_gan", **wrong)
