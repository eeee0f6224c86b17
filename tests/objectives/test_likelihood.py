"""Likelihood terms against torch's distributions, enumeration, and models whose likelihood is known."""

import math

import pytest
import torch
from torch.distributions import Independent, MultivariateNormal, Normal, kl_divergence

from genexp.errors import UserError
from genexp.objectives.likelihood import (
    COUNTING,
    ELBO,
    LEBESGUE,
    Likelihood,
    bits_per_dim,
    dequantise,
    effective_sample_size,
    elbo,
    gaussian_kl,
    gaussian_log_prob,
    importance_weighted,
    quantise,
)


def grid(levels):
    return 2 * torch.arange(levels) / (levels - 1) - 1


@pytest.mark.parametrize(
    ("mean", "variance", "expected"),
    [([1.0], [1.0], 0.5), ([0.0], [4.0], 0.806853), ([1.0, -2.0], [1.0, 2.0], 2.653426), ([0.0], [1.0], 0.0)],
)
def test_kl_values(mean, variance, expected):
    value = gaussian_kl(torch.tensor([mean]), torch.tensor([variance]).log())
    assert value.shape == (1,)
    assert value.item() == pytest.approx(expected, abs=1e-6)


def test_kl_and_log_prob_agree_with_torch_distributions():
    torch.manual_seed(0)
    x, mean, log_variance = torch.randn(3, 5, 1, 4, 4, dtype=torch.float64).unbind()
    normal = Independent(Normal(mean, (0.5 * log_variance).exp()), 3)
    prior = Independent(Normal(torch.zeros_like(mean), torch.ones_like(mean)), 3)
    torch.testing.assert_close(gaussian_log_prob(x, mean, log_variance), normal.log_prob(x))
    torch.testing.assert_close(gaussian_kl(mean, log_variance), kl_divergence(normal, prior))


@pytest.mark.parametrize(("shape", "nats"), [((1, 28, 28), 720.448), ((3, 64, 64), 11291.917), ((1,), 0.918939)])
def test_gaussian_constant_is_summed_over_dimensions_also_with_one_variance_for_all(shape, nats):
    x = torch.zeros(2, *shape, dtype=torch.float64)
    value = gaussian_log_prob(x, x, torch.zeros((), dtype=torch.float64))
    assert value.shape == (2,)
    assert value[0].item() == pytest.approx(-nats, abs=5e-4)


def test_kl_near_the_prior_keeps_its_digits():
    log_variance = torch.tensor([[1e-3]])
    assert gaussian_kl(torch.zeros(1, 1), log_variance).item() == pytest.approx(2.500833e-7, rel=1e-3)


def _linear_gaussian():
    """Data x = W z + noise: posterior and marginal are known."""
    torch.manual_seed(0)
    W, variance = torch.randn(5, 3, dtype=torch.float64), 0.4
    x = torch.randn(6, 5, dtype=torch.float64)
    precision = W.T @ W + variance * torch.eye(3, dtype=torch.float64)
    covariance = variance * torch.linalg.inv(precision)
    mean = x @ W @ torch.linalg.inv(precision)
    marginal = MultivariateNormal(torch.zeros(5).double(), W @ W.T + variance * torch.eye(5).double())
    return W, variance, x, mean, covariance, marginal.log_prob(x)


def test_importance_weights_of_the_exact_posterior_all_equal_the_likelihood():
    W, variance, x, mean, covariance, exact = _linear_gaussian()
    posterior = MultivariateNormal(mean, covariance)
    z = posterior.sample((7,))  # (K, B, 3)
    zero = torch.zeros((), dtype=torch.float64)
    log_weights = torch.stack(
        [gaussian_log_prob(x, z_k @ W.T, zero + math.log(variance)) + gaussian_log_prob(z_k, zero, zero) for z_k in z]
    ) - posterior.log_prob(z)
    torch.testing.assert_close(log_weights, exact.expand(7, 6), rtol=0, atol=1e-10)
    torch.testing.assert_close(importance_weighted(log_weights), exact, rtol=0, atol=1e-10)
    torch.testing.assert_close(effective_sample_size(log_weights), torch.full((6,), 7.0).double())


def test_elbo_of_the_exact_factored_posterior_is_the_likelihood():
    """With orthogonal columns the posterior is diagonal, and the bound is tight."""
    torch.manual_seed(0)
    W = 1.3 * torch.linalg.qr(torch.randn(5, 2, dtype=torch.float64))[0]
    variance, x = 0.3, torch.randn(4, 5, dtype=torch.float64)
    scale = 1.3**2 + variance
    mean = x @ W / scale
    log_variance = torch.full_like(mean, math.log(variance / scale))
    # E_z log N(x; Wz, variance): the plug-in value minus the posterior's spread seen through W
    spread = 0.5 * 1.3**2 / variance * log_variance.exp().sum(1)
    log_likelihood = gaussian_log_prob(x, mean @ W.T, torch.tensor(variance, dtype=torch.float64).log()) - spread
    marginal = MultivariateNormal(torch.zeros(5).double(), W @ W.T + variance * torch.eye(5).double())
    value = elbo(log_likelihood, gaussian_kl(mean, log_variance))
    torch.testing.assert_close(value, marginal.log_prob(x), rtol=0, atol=1e-12)


def test_importance_weighted_bound_grows_to_the_likelihood():
    W, variance, x, _, _, exact = _linear_gaussian()
    torch.manual_seed(2)
    repeats, zero = 2000, torch.zeros((), dtype=torch.float64)
    x = x[:1].expand(repeats, 5)
    means = []
    for samples in (1, 5, 50, 500):
        z = torch.randn(samples * repeats, 3, dtype=torch.float64)  # the prior as a poor proposal
        log_p = gaussian_log_prob(x.repeat(samples, 1), z @ W.T, zero + math.log(variance))
        means.append(importance_weighted(log_p.reshape(samples, repeats)).mean().item())
    assert means == sorted(means)
    assert means[-1] < exact[0].item()
    assert means[-1] == pytest.approx(exact[0].item(), abs=0.1)


def test_effective_sample_size_is_between_one_and_all():
    equal, single = torch.zeros(10, 1), torch.full((10, 1), -1e4)
    single[3] = 0.0
    assert effective_sample_size(equal).item() == pytest.approx(10.0)
    assert effective_sample_size(single).item() == pytest.approx(1.0)
    assert importance_weighted(single).item() == pytest.approx(-math.log(10))


def test_loss_is_the_negative_elbo():
    log_likelihood, kl = torch.tensor([-10.0, -3.0]), torch.tensor([2.0, 1.0])
    assert ELBO(beta=4.0)(log_likelihood, kl).tolist() == [18.0, 7.0]
    assert elbo(log_likelihood, kl).tolist() == [-12.0, -4.0]
    with pytest.raises(UserError, match="beta"):
        ELBO(beta=-1.0)


# --- grey levels ---


@pytest.mark.parametrize(("levels", "bits"), [(17, math.log2(17)), (256, 8.0), (2, 1.0)])
def test_a_uniform_model_costs_the_logarithm_of_the_levels(levels, bits):
    log_density = torch.full((3,), -64 * math.log(2.0), dtype=torch.float64)  # on [-1, 1]^64
    expected = torch.full((3,), bits, dtype=torch.float64)
    torch.testing.assert_close(bits_per_dim(log_density, 64, levels), expected, rtol=0, atol=1e-12)
    density = Likelihood(log_density, "exact", LEBESGUE)
    torch.testing.assert_close(density.bits_per_dim(64, levels), expected, rtol=0, atol=1e-12)
    mass = Likelihood(torch.full((3,), -64 * math.log(levels), dtype=torch.float64), "exact", COUNTING)
    torch.testing.assert_close(mass.bits_per_dim(64, levels), expected, rtol=0, atol=1e-12)


def test_bits_per_dim_is_the_same_in_any_box():
    """The same model of 256 levels, written on [0, 1]: ln 256 is added, on [-1, 1] ln 128."""
    log_density = torch.tensor([-5.0], dtype=torch.float64)
    on_unit_box = log_density + 3 * math.log(2.0)
    expected = (5.0 / 3 + math.log(128)) / math.log(2)
    assert bits_per_dim(log_density, 3, 256, range_width=2.0).item() == pytest.approx(expected, abs=1e-12)
    assert bits_per_dim(on_unit_box, 3, 256, range_width=1.0).item() == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("levels", [2, 17, 256])
def test_dequantised_levels_fill_equal_bins_of_the_box(levels):
    x = grid(levels)
    width = 2 / levels
    edges = torch.linspace(-1, 1, levels + 1)
    torch.testing.assert_close(dequantise(x, levels, torch.zeros(levels)), edges[:-1], rtol=0, atol=1e-4)
    torch.testing.assert_close(dequantise(x, levels, torch.full((levels,), 0.5)), edges[:-1] + width / 2)
    torch.testing.assert_close(dequantise(x, levels, torch.ones(levels)), edges[1:], rtol=0, atol=1e-4)


@pytest.mark.parametrize("levels", [2, 17, 256])
def test_quantise_inverts_dequantise_also_at_the_edges(levels):
    torch.manual_seed(0)
    x = grid(levels).repeat(2000, 1)
    noise = torch.rand_like(x)
    noise[0], noise[1] = 0.0, 1 - 2**-24
    y = dequantise(x, levels, noise)
    assert y.min() >= -1
    assert y.max() <= 1
    torch.testing.assert_close(quantise(y, levels), x, rtol=0, atol=1e-6)
    assert quantise(torch.tensor([-3.0, 3.0]), levels).tolist() == [-1.0, 1.0]


def test_an_independent_model_of_levels_has_its_entropy_as_density():
    """A histogram density on the bins, read as bits/dim, is exactly the entropy of the levels."""
    torch.manual_seed(0)
    probability = torch.rand(17, dtype=torch.float64)
    probability /= probability.sum()
    level = torch.arange(17)
    y = dequantise(grid(17).double(), 17, torch.rand(17, dtype=torch.float64))
    bins = ((quantise(y, 17) + 1) * 8).round().long()
    assert torch.equal(bins, level)
    log_density = (probability[bins] / (2 / 17)).log()
    bits = (probability * bits_per_dim(log_density, 1, 17)).sum()
    torch.testing.assert_close(bits, -(probability * probability.log2()).sum())


def test_bits_per_dim_of_points_is_refused():
    with pytest.raises(UserError, match=r"relative to lebesgue on R\^2: report nats"):
        Likelihood(torch.zeros(1), "exact", "lebesgue on R^2").bits_per_dim(2, 17)
