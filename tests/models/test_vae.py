import math

import pytest
import torch
from torch import nn

from genexp.errors import UserError
from genexp.models.vae import VAE
from genexp.objectives.adversarial import Hinge
from genexp.objectives.likelihood import ELBO

D, K, VARIANCE = 4, 2, 0.3


class LinearDecoder(nn.Module):
    """x = W z."""

    def __init__(self, latent_dim, shape):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(*shape, latent_dim, generator=torch.Generator().manual_seed(1)))

    def forward(self, z):
        return z @ self.weight.T


class PosteriorEncoder(nn.Module):
    """Mean and log-variance of the exact posterior when W has orthogonal columns."""

    def __init__(self, shape, outputs):
        super().__init__()
        self.matrix = nn.Parameter(torch.zeros(outputs // 2, *shape))
        self.log_variance = nn.Parameter(torch.zeros(outputs // 2))

    def forward(self, x):
        return torch.cat([x @ self.matrix.T, self.log_variance.expand(len(x), -1)], dim=1)


@pytest.fixture(autouse=True)
def double():
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


@pytest.fixture
def linear() -> VAE:
    """A linear-Gaussian VAE whose encoder is the exact posterior N(M^-1 W^T x, s^2 M^-1), M = W^T W + s^2 I."""
    model = VAE((D,), K, LinearDecoder, PosteriorEncoder, ELBO())
    with torch.no_grad():
        q, _ = torch.linalg.qr(model.decoder.weight)
        model.decoder.weight.copy_(q * torch.tensor([1.5, 0.7]))
        W = model.decoder.weight
        M = W.T @ W + VARIANCE * torch.eye(K)
        model.encoder.matrix.copy_(torch.linalg.solve(M, W.T))
        model.encoder.log_variance.copy_((VARIANCE / M.diagonal()).log())
        model.noise.log_variance.fill_(math.log(VARIANCE))
    return model


def exact_log_prob(model: VAE, x: torch.Tensor) -> torch.Tensor:
    W = model.decoder.weight
    covariance = W @ W.T + VARIANCE * torch.eye(D)
    return torch.distributions.MultivariateNormal(torch.zeros(D), covariance).log_prob(x)


@pytest.mark.parametrize("samples", [1, 7])
def test_bound_with_the_exact_posterior_is_the_likelihood(linear, samples):
    """Every importance weight is p(x): the ELBO has no gap and no variance."""
    x = torch.randn(10, D)
    likelihood = linear.log_prob(x, samples=samples, seed=0)
    torch.testing.assert_close(likelihood.value, exact_log_prob(linear, x), rtol=0, atol=1e-10)
    assert (likelihood.kind, likelihood.samples) == ("lower bound", samples)


def test_bound_is_below_and_rises_with_samples(linear):
    with torch.no_grad():
        linear.encoder.log_variance += 1.0
        linear.encoder.matrix *= 0.8
    x = torch.randn(2000, D)
    truth = exact_log_prob(linear, x).mean()
    bounds = [linear.log_prob(x, samples=k, seed=1).value.mean() for k in (1, 5, 50)]
    assert bounds[0] < bounds[1] < bounds[2] < truth
    assert truth - bounds[2] < 0.05


def test_the_loss_is_the_negative_elbo_of_the_batch(linear):
    """With the exact posterior the closed-form KL and one latent sample average to -log p(x)."""
    linear.random.begin(0)
    x = torch.randn(20_000, D)
    loss = linear.loss({"x": x})
    assert loss.item() == pytest.approx(-exact_log_prob(linear, x).mean().item(), abs=0.03)


def test_gaussian_constant():
    """Zero error, unit variance: D/2 log 2 pi nats; 720.448 for 784 dimensions."""
    model = VAE((784,), K, LinearDecoder, PosteriorEncoder, ELBO())
    x = torch.zeros(1, 784)
    assert -model.noise(x, x).item() == pytest.approx(720.448, abs=1e-3)


def test_encode_decode_reconstruct(linear):
    x = torch.randn(5, D)
    torch.testing.assert_close(linear.reconstruct(x), linear.decode(linear.encode(x)))
    assert linear.sample(3, seed=0).shape == (3, D)
    assert torch.equal(linear.sample(3, seed=4), linear.sample(3, seed=4))


def test_an_adversarial_loss_is_refused():
    with pytest.raises(UserError, match="loss=elbo"):
        VAE((D,), K, LinearDecoder, PosteriorEncoder, Hinge())
