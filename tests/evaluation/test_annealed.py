"""Annealed importance sampling on decoders whose likelihood is known."""

import math

import pytest
import torch

from genexp.evaluation.annealed import annealed_likelihood, inverse_temperatures
from genexp.objectives.likelihood import gaussian_log_prob

STD = 0.3


def linear_decoder(dim: int = 8, latent_dim: int = 3):
    """Probabilistic PCA: log p(x|z), 20 data of it, and their exact log p(x)."""
    generator = torch.Generator().manual_seed(0)
    weight = torch.randn(dim, latent_dim, generator=generator, dtype=torch.float64)
    z = torch.randn(20, latent_dim, generator=generator, dtype=torch.float64)
    x = z @ weight.T + STD * torch.randn(20, dim, generator=generator, dtype=torch.float64)
    log_variance = torch.full((dim,), 2 * math.log(STD), dtype=torch.float64)
    covariance = weight @ weight.T + STD**2 * torch.eye(dim, dtype=torch.float64)
    exact = torch.distributions.MultivariateNormal(torch.zeros(dim, dtype=torch.float64), covariance).log_prob(x)
    return lambda x, z: gaussian_log_prob(x, z @ weight.T, log_variance), x, exact


def test_the_gap_shrinks_with_the_steps_to_nothing():
    log_likelihood, x, exact = linear_decoder()
    gaps, chain_gaps = [], []
    for steps in (10, 50, 200, 1000):
        estimate = annealed_likelihood(log_likelihood, x, 3, steps=steps)
        gaps.append((exact - estimate.value).mean().item())
        chain_gaps.append((exact - estimate.log_weights).mean().item())
        if steps >= 200:
            assert estimate.acceptance.mean().item() == pytest.approx(0.65, abs=0.1)
    assert chain_gaps == sorted(chain_gaps, reverse=True)
    assert chain_gaps[-1] > 0  # a lower bound
    assert chain_gaps[2] / chain_gaps[3] == pytest.approx(5, rel=0.4)  # as 1/T
    error = (exact - estimate.value).std().item() / math.sqrt(len(x))
    assert abs(gaps[-1]) < 4 * error < 0.2  # nats
    assert gaps[0] > 2
    assert 3 < estimate.effective_chains.mean() <= 8


@pytest.mark.parametrize("steps", [1, 3, 10])
def test_the_likelihood_is_unbiased_at_any_number_of_steps(steps):
    x = torch.tensor([[1.0], [-0.3]], dtype=torch.float64)
    exact = torch.distributions.Normal(0.0, math.sqrt(1 + 1.5**2)).log_prob(x).squeeze(1)
    chains = 20_000
    estimate = annealed_likelihood(
        lambda x, z: gaussian_log_prob(x, 1.5 * z, torch.zeros(1)), x, 1, steps, chains, leapfrog=3, seed=steps
    )
    ratio = (estimate.log_weights - exact).exp()  # (C, 2)
    error = ratio.std(dim=0) / math.sqrt(chains)
    assert (error < 0.01).all()
    assert ((ratio.mean(dim=0) - 1).abs() < 4 * error).all()


def test_two_modes_are_found_without_an_encoder():
    """For x = |z| + noise the posterior has two halves that one Gaussian cannot cover."""
    x = torch.tensor([[1.5]], dtype=torch.float64)
    log_variance = torch.full((1,), 2 * math.log(0.1), dtype=torch.float64)
    grid = torch.linspace(-8, 8, 160_001, dtype=torch.float64)[:, None]
    joint = gaussian_log_prob(x, grid.abs(), log_variance) + gaussian_log_prob(grid, torch.zeros(1), torch.zeros(1))
    exact = torch.logsumexp(joint, 0) + math.log(16 / 160_000)
    estimate = annealed_likelihood(lambda x, z: gaussian_log_prob(x, z.abs(), log_variance), x, 1, 300, 64)
    assert estimate.value.item() == pytest.approx(exact.item(), abs=0.05)


def test_it_is_a_function_of_its_seed_and_leaves_the_global_one():
    log_likelihood, x, _ = linear_decoder()
    before = torch.get_rng_state()
    with torch.no_grad():  # as where a model is evaluated
        one, two, three = (annealed_likelihood(log_likelihood, x, 3, 5, 2, 2, seed).value for seed in (1, 1, 2))
    assert torch.equal(one, two)
    assert not torch.equal(one, three)
    assert torch.equal(before, torch.get_rng_state())


def test_a_decoder_that_is_not_finite_far_away_is_walked_around():
    x = torch.tensor([[0.5]], dtype=torch.float64)

    def log_likelihood(x, z):
        value = gaussian_log_prob(x, z, torch.zeros(1))
        return torch.where(z.squeeze(1).abs() < 4, value, math.nan)

    estimate = annealed_likelihood(log_likelihood, x, 1, 50, 64)
    exact = torch.distributions.Normal(0.0, math.sqrt(2)).log_prob(x).item()
    assert estimate.value.item() == pytest.approx(exact, abs=0.05)


def test_temperatures_are_closest_at_both_ends():
    betas = inverse_temperatures(100)
    steps = betas.diff()
    assert betas[0] == 0 and betas[-1] == 1
    assert (steps > 0).all()
    torch.testing.assert_close(steps, steps.flip(0))
    assert steps[0] < 0.1 * steps[50]


def test_numbers_below_one_are_refused():
    with pytest.raises(ValueError, match="steps must be at least 1"):
        annealed_likelihood(lambda x, z: z.sum(1), torch.zeros(1, 1), 1, steps=0)
