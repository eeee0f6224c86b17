"""Metrics of 2-D points: perfect samplers of known mixtures, shifts, and closed-form energy."""

import math

import numpy as np
import pytest
from scipy.stats import wasserstein_distance

from genexp.evaluation.metrics.points import energy_distance, mind, mode_statistics, sliced_wasserstein


def _ring(modes: int = 8) -> np.ndarray:
    angles = 2 * np.pi * np.arange(modes) / modes
    return np.stack([np.cos(angles), np.sin(angles)], axis=1)


def _grid() -> np.ndarray:
    axis = np.arange(-4.0, 5.0, 2.0)
    return np.stack(np.meshgrid(axis, axis), axis=-1).reshape(-1, 2)


def _sample(rng: np.random.Generator, modes: np.ndarray, std: float, n: int) -> np.ndarray:
    return modes[rng.integers(len(modes), size=n)] + std * rng.standard_normal((n, modes.shape[1]))


@pytest.mark.parametrize(("modes", "std", "n"), [(_ring(), 0.01, 2500), (_grid(), 0.05, 2500), (_grid(), 0.05, 10_000)])
def test_a_perfect_sampler(modes: np.ndarray, std: float, n: int):
    rng = np.random.default_rng(0)
    runs = [mode_statistics(_sample(rng, modes, std, n), modes, std) for _ in range(30)]
    k = len(modes)
    means = {key: np.mean([run[key] for run in runs]) for key in runs[0]}
    assert means["modes"] == means["modes_strict"] == k
    assert means["hq"] == pytest.approx(1 - np.exp(-4.5), abs=0.001)  # 98.889 %
    assert means["std_ratio"] == pytest.approx(1.0, abs=0.005)
    # Without its floor (K-1)/2N the KL is that floor on average, with sd sqrt((K-1)/2)/N.
    assert abs(means["mode_kl"]) < 3.5 * np.sqrt((k - 1) / 2) / n / np.sqrt(30)


def test_std_ratio_finds_shrinkage_that_hq_rewards():
    rng = np.random.default_rng(1)
    got = mode_statistics(_sample(rng, _ring(), 0.005, 4000), _ring(), 0.01)
    assert got["hq"] == pytest.approx(1.0, abs=1e-6)
    # With sigma/2 nothing is cut at 3 sigma, while the reference value is that of a cut Gaussian.
    cut = 1 - 4.5 * np.exp(-4.5) / (1 - np.exp(-4.5))
    assert got["std_ratio"] == pytest.approx(0.5 / np.sqrt(cut), abs=0.01)


def test_std_ratio_in_other_dimensions():
    rng = np.random.default_rng(2)
    centres = np.array([[0.0] * 5, [10.0] * 5])
    assert mode_statistics(_sample(rng, centres, 0.3, 20_000), centres, 0.3)["std_ratio"] == pytest.approx(1, abs=0.01)


@pytest.mark.parametrize("dim", [1, 2, 3, 5])
def test_a_perfect_sampler_has_the_same_share_of_high_quality_in_every_dimension(dim):
    n, rng = 40_000, np.random.default_rng(dim)
    found = mode_statistics(0.1 * rng.standard_normal((n, dim)), np.zeros((1, dim)), 0.1)
    null = 1 - math.exp(-4.5)
    assert found["hq"] == pytest.approx(null, abs=4 * math.sqrt(null * (1 - null) / n))
    assert found["std_ratio"] == pytest.approx(1.0, abs=0.02)


def test_dropped_and_starved_modes():
    modes = _ring()
    x = np.repeat(modes[:4], [1000, 1000, 1000, 10], axis=0)
    got = mode_statistics(x, modes, 0.01)
    assert got["modes"] == 4
    assert got["modes_strict"] == 3  # 10 points are fewer than 0.1 N/K = 37.6
    shares = np.array([1000, 1000, 1000, 10]) / 3010
    assert got["mode_kl"] == pytest.approx((shares * np.log(shares * 8)).sum() - 7 / 6020)
    assert got["std_ratio"] == pytest.approx(0.0, abs=1e-9)


def test_a_perfect_sampler_of_unequal_weights():
    rng = np.random.default_rng(9)
    modes, std, n = _ring(4), 0.05, 2500
    weights = np.array([8.0, 4.0, 3.0, 1.0])  # not normalised

    def sample() -> np.ndarray:
        return modes[rng.choice(4, size=n, p=weights / 16)] + std * rng.standard_normal((n, 2))

    runs = [mode_statistics(sample(), modes, std, weights) for _ in range(60)]
    assert {run["modes_strict"] for run in runs} == {4}
    # N (2 KL) is chi-squared with K-1 degrees of freedom whatever the weights: mean K-1, variance 2(K-1)
    scale = n * (1 - np.exp(-4.5))
    kls = np.array([run["mode_kl"] for run in runs])
    assert abs(kls.mean()) < 3.5 * np.sqrt(3 / 2) / scale / np.sqrt(60)
    assert kls.std() == pytest.approx(np.sqrt(3 / 2) / scale, rel=0.35)
    # as if the weights were equal it would be far from 0: the divergence of the weights from uniform
    shares = weights / 16
    expected = (shares * np.log(4 * shares)).sum()
    assert mode_statistics(sample(), modes, std)["mode_kl"] == pytest.approx(expected, abs=0.05)


def test_mode_kl_and_thresholds_with_weights_in_closed_form():
    modes, weights = _ring(3), [0.90, 0.09, 0.01]
    x = np.repeat(modes, [900, 8, 1], axis=0)
    got = mode_statistics(x, modes, 0.01, weights)
    shares = np.array([900, 8, 1]) / 909
    assert got["mode_kl"] == pytest.approx((shares * np.log(shares / weights)).sum() - 2 / (2 * 909))
    assert got["modes_strict"] == 2  # 8 < 0.1 · 909 · 0.09 = 8.2; one point is enough of 0.1 · 909 · 0.01 = 0.9
    assert mode_statistics(np.full((50, 2), 9.0), modes, 0.01, weights)["mode_kl"] == pytest.approx(-np.log(0.01))


def test_equal_weights_are_the_default():
    x = _sample(np.random.default_rng(10), _ring(), 0.05, 500)
    assert mode_statistics(x, _ring(), 0.05, [3] * 8) == pytest.approx(mode_statistics(x, _ring(), 0.05), rel=1e-12)


@pytest.mark.parametrize("weights", [[1.0] * 7, [1.0] * 7 + [0.0], [1.0] * 7 + [np.nan]])
def test_bad_weights_are_refused(weights: list[float]):
    with pytest.raises(ValueError, match="weights must be 8 positive numbers"):
        mode_statistics(np.zeros((3, 2)), _ring(), 0.1, weights)


def test_nothing_of_high_quality():
    got = mode_statistics(np.full((50, 2), 9.0), _ring(), 0.01)
    assert (got["modes"], got["modes_strict"], got["hq"]) == (0, 0, 0)
    assert got["mode_kl"] == pytest.approx(np.log(8))
    assert np.isnan(got["std_ratio"])


def test_bad_std_is_refused():
    with pytest.raises(ValueError, match="std must be positive"):
        mode_statistics(np.zeros((3, 2)), _ring(), 0.0)


@pytest.mark.parametrize("d", [2, 16])
def test_sliced_wasserstein_of_a_shift(d: int):
    rng = np.random.default_rng(3)
    x = rng.standard_normal((60, d))
    shift = rng.standard_normal(d)
    expected = shift @ shift / d
    assert sliced_wasserstein(x, x + shift, rng, 20_000) == pytest.approx(expected, rel=0.04)
    assert sliced_wasserstein(x, x, rng) == 0.0


@pytest.mark.parametrize("d", [2, 16])
def test_mind_of_a_shift_does_not_depend_on_the_dimension(d: int):
    rng = np.random.default_rng(0)
    x, shift = rng.standard_normal((50, d)), np.full(d, 2.0 / np.sqrt(d))
    assert mind(x, x + shift, rng, 20_000) == pytest.approx(3 * 4.0, rel=0.04)
    y = rng.standard_normal((50, d))
    sliced = sliced_wasserstein(x, y, np.random.default_rng(1), 1000)
    assert mind(x, y, np.random.default_rng(1)) == pytest.approx(3 * d * sliced)


def test_sliced_wasserstein_in_one_dimension_is_the_wasserstein_distance():
    rng = np.random.default_rng(4)
    x, y = rng.standard_normal((50, 1)), 2 * rng.standard_normal((50, 1)) + 1
    expected = ((np.sort(x[:, 0]) - np.sort(y[:, 0])) ** 2).mean()
    assert sliced_wasserstein(x, y, rng, 3) == pytest.approx(expected)


def test_sliced_wasserstein_with_unequal_sizes():
    rng = np.random.default_rng(5)
    x, y = rng.standard_normal((6, 3)), rng.standard_normal((4, 3)) + 1
    repeated = sliced_wasserstein(np.repeat(x, 2, axis=0), np.repeat(y, 3, axis=0), np.random.default_rng(0), 10)
    assert sliced_wasserstein(x, y, np.random.default_rng(0), 10) == pytest.approx(repeated, rel=1e-12)
    # 0/1-valued points: squared and absolute distances coincide, so SciPy's W1 is an independent value.
    a, b = rng.integers(2, size=(30, 1)).astype(float), rng.integers(2, size=(47, 1)).astype(float)
    assert sliced_wasserstein(a, b, rng, 2) == pytest.approx(wasserstein_distance(a[:, 0], b[:, 0]))


def test_sliced_wasserstein_null_falls_as_one_over_n():
    rng = np.random.default_rng(6)

    def null(n: int) -> float:
        return float(np.mean([sliced_wasserstein(*rng.standard_normal((2, n, 8)), rng, 50) for _ in range(20)]))

    assert null(100) / null(400) == pytest.approx(4.0, rel=0.15)


def test_energy_distance_between_shifted_normals():
    rng = np.random.default_rng(7)
    values = [energy_distance(rng.standard_normal((500, 1)), rng.standard_normal((500, 1)) + 1.0) for _ in range(60)]
    assert np.mean(values) == pytest.approx(0.5418, abs=3 * np.std(values) / np.sqrt(60))
    assert np.std(values) / np.sqrt(60) < 0.015


def test_energy_distance_is_unbiased_and_scales_with_the_unit():
    rng = np.random.default_rng(8)
    nulls = [energy_distance(*rng.standard_normal((2, 40, 3))) for _ in range(200)]
    assert abs(np.mean(nulls)) < 3 * np.std(nulls) / np.sqrt(200)
    x, y = rng.standard_normal((30, 3)), rng.standard_normal((20, 3)) + 1
    assert energy_distance(5 * x, 5 * y) == pytest.approx(5 * energy_distance(x, y))
