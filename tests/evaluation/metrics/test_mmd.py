"""MMD against double sums, Gaussian closed forms, torchmetrics, and the level of the permutation test."""

import numpy as np
import pytest
import torch
from torchmetrics.image.kid import poly_mmd

from genexp.evaluation.metrics import distances
from genexp.evaluation.metrics.mmd import kid, median_bandwidth, mmd_permutation_test, mmd_rbf


def _expected_kernel(delta: np.ndarray, cov1: np.ndarray, cov2: np.ndarray, sigma: float) -> float:
    """E k(X, Y) of an RBF kernel for Gaussians whose means differ by delta."""
    total = cov1 + cov2 + sigma**2 * np.eye(len(delta))
    exponent = -0.5 * delta @ np.linalg.solve(total, delta)
    return float(sigma ** len(delta) / np.sqrt(np.linalg.det(total)) * np.exp(exponent))


def test_it_is_the_double_sum():
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((7, 3)), rng.standard_normal((9, 3)) + 0.5

    def mean_kernel(a: np.ndarray, b: np.ndarray, skip_diagonal: bool) -> float:
        values = [
            np.mean([np.exp(-((p - q) ** 2).sum() / (2 * s * s)) for s in (0.7, 2.0)])
            for i, p in enumerate(a)
            for j, q in enumerate(b)
            if not (skip_diagonal and i == j)
        ]
        return float(np.mean(values))

    expected = mean_kernel(x, x, True) + mean_kernel(y, y, True) - 2 * mean_kernel(x, y, False)
    assert mmd_rbf(x, y, [0.7, 2.0]) == pytest.approx(expected, rel=1e-12)


def test_it_estimates_the_closed_form_between_gaussians():
    rng = np.random.default_rng(1)
    d, sigma = 3, 1.5
    delta, cov1, cov2 = np.array([0.8, 0.0, -0.4]), np.eye(d), np.diag([0.5, 1.0, 2.0])
    zero = np.zeros(d)
    expected = (
        _expected_kernel(zero, cov1, cov1, sigma)
        + _expected_kernel(zero, cov2, cov2, sigma)
        - 2 * _expected_kernel(delta, cov1, cov2, sigma)
    )
    values = [
        mmd_rbf(
            rng.standard_normal((300, d)),
            rng.standard_normal((300, d)) * np.sqrt(np.diag(cov2)) + delta,
            [sigma],
        )
        for _ in range(40)
    ]
    assert np.mean(values) == pytest.approx(expected, abs=4 * np.std(values) / np.sqrt(40))
    assert np.std(values) / np.sqrt(40) < 0.05 * expected


@pytest.mark.parametrize(("estimator", "sd"), [("kid", 0.035), ("rbf", None)])
def test_unbiased_estimators_are_zero_on_average(estimator: str, sd: float | None):
    rng = np.random.default_rng(2)
    draws = [rng.standard_normal((2, 50, 32)) for _ in range(200)]
    values = [kid(x, y) if estimator == "kid" else mmd_rbf(x, y, [8.0]) for x, y in draws]
    assert abs(np.mean(values)) < 3 * np.std(values) / np.sqrt(len(values))
    assert min(values) < 0 < max(values)
    if sd is not None:
        assert np.std(values) == pytest.approx(sd, rel=0.25)


@pytest.mark.parametrize(("n", "d"), [(50, 8), (200, 64)])
def test_torchmetrics_agrees_on_kid(n: int, d: int):
    rng = np.random.default_rng(3)
    x, y = rng.standard_normal((n, d)), rng.standard_normal((n, d)) * 1.2 + 0.1
    independent = float(poly_mmd(torch.from_numpy(x), torch.from_numpy(y), degree=3, gamma=None, coef=1.0))
    assert kid(x, y) == pytest.approx(independent, rel=1e-10)


def test_blocks_change_nothing(monkeypatch: pytest.MonkeyPatch):
    rng = np.random.default_rng(4)
    x, y = rng.standard_normal((60, 5)), rng.standard_normal((50, 5)) + 0.3
    whole = kid(x, y), mmd_rbf(x, y, [1.0, 3.0])
    monkeypatch.setattr(distances, "_BLOCK_ENTRIES", 7 * 60)
    assert (kid(x, y), mmd_rbf(x, y, [1.0, 3.0])) == pytest.approx(whole, rel=1e-10)


def test_median_bandwidth_is_the_median_distance():
    points = np.array([[0.0], [1.0], [3.0], [7.0]])  # distances 1, 2, 3, 4, 6, 7
    assert median_bandwidth(points) == pytest.approx(3.5)
    assert median_bandwidth(points * 10) == pytest.approx(35.0)


def test_median_bandwidth_of_identical_rows_is_refused():
    with pytest.raises(ValueError, match="identical"):
        median_bandwidth(np.ones((5, 2)))


def test_permutation_test_returns_the_unbiased_value():
    rng = np.random.default_rng(5)
    x, y = rng.standard_normal((40, 6)), rng.standard_normal((55, 6)) + 0.2
    value, _ = mmd_permutation_test(x, y, [1.0, 4.0], rng)
    assert value == pytest.approx(mmd_rbf(x, y, [1.0, 4.0]), rel=1e-9)


def test_permutation_p_value_is_that_of_explicit_permutations():
    rng = np.random.default_rng(6)
    x, y = rng.standard_normal((12, 2)), rng.standard_normal((15, 2)) + 0.6
    _, p = mmd_permutation_test(x, y, [1.0], rng, permutations=2000)
    pooled, observed = np.concatenate([x, y]), mmd_rbf(x, y, [1.0])
    exceed = 0
    for _ in range(2000):
        order = rng.permutation(27)
        exceed += mmd_rbf(pooled[order[:12]], pooled[order[12:]], [1.0]) >= observed
    explicit = (1 + exceed) / 2001
    assert p == pytest.approx(explicit, abs=4 * np.sqrt(2 * explicit / 2000))


def test_permutation_test_keeps_its_level_and_has_power():
    rng = np.random.default_rng(7)
    nulls = [mmd_permutation_test(*rng.standard_normal((2, 30, 3)), [2.0], rng, permutations=99)[1] for _ in range(300)]
    # p is uniform on {.01, ..., 1}: exactly 5 % are at most .05
    assert np.mean(np.array(nulls) <= 0.05) == pytest.approx(0.05, abs=0.038)
    assert np.mean(nulls) == pytest.approx(0.505, abs=0.05)
    x, y = rng.standard_normal((2, 100, 3))
    assert mmd_permutation_test(x, y + 1.0, [2.0], rng)[1] == pytest.approx(1 / 201)


@pytest.mark.parametrize("bandwidths", [[], [0.0], [1.0, -2.0], [float("nan")]])
def test_bad_bandwidths_are_refused(bandwidths: list[float]):
    with pytest.raises(ValueError, match="bandwidths must be positive"):
        mmd_rbf(np.zeros((3, 2)), np.ones((3, 2)), bandwidths)
