"""The Fréchet distance against closed forms, torchmetrics, and its own predicted bias."""

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits
from torchmetrics.image.fid import _compute_fid

from genexp.evaluation.metrics.frechet import (
    frechet_bias,
    frechet_distance,
    frechet_distance_corrected,
    trace_sqrt_product,
)


def _with_moments(rng: np.random.Generator, n: int, mean: np.ndarray, variances: np.ndarray) -> np.ndarray:
    """A sample whose mean and (diagonal) covariance are exactly as given."""
    x = rng.standard_normal((n, len(mean)))
    x -= x.mean(axis=0)
    whitening = np.linalg.inv(np.linalg.cholesky(np.cov(x, rowvar=False)))
    return x @ whitening.T * np.sqrt(variances) + mean


def _independent(x: np.ndarray, y: np.ndarray) -> float:
    moments = [torch.from_numpy(m) for m in (x.mean(0), np.cov(x, rowvar=False), y.mean(0), np.cov(y, rowvar=False))]
    return float(_compute_fid(*moments))


@pytest.mark.parametrize(("n", "d"), [(500, 32), (100, 64), (20, 64)])
def test_identical_samples_are_at_distance_zero(n: int, d: int):
    x = np.random.default_rng(0).standard_normal((n, d))
    assert abs(frechet_distance(x, x)) < 1e-10


def test_identical_samples_with_constant_columns_are_at_distance_zero():
    x = np.random.default_rng(0).standard_normal((300, 8))
    x[:, 2] = 0.0
    x[:, 5] = x[:, 1]
    assert abs(frechet_distance(x, x)) < 1e-10


@pytest.mark.parametrize("n", [400, 30])
def test_shift_adds_its_squared_length(n: int):
    rng = np.random.default_rng(1)
    x, shift = rng.standard_normal((n, 40)), rng.standard_normal(40)
    assert frechet_distance(x, x + shift) == pytest.approx(shift @ shift, rel=1e-10)


def test_commuting_covariances_have_a_closed_form():
    rng = np.random.default_rng(2)
    mean1, mean2 = rng.standard_normal((2, 6))
    a, b = rng.uniform(0.1, 4.0, (2, 6))
    x, y = _with_moments(rng, 200, mean1, a), _with_moments(rng, 90, mean2, b)
    expected = ((mean1 - mean2) ** 2).sum() + ((np.sqrt(a) - np.sqrt(b)) ** 2).sum()
    assert frechet_distance(x, y) == pytest.approx(expected, rel=1e-10)


def test_scaling_multiplies_by_the_square():
    rng = np.random.default_rng(3)
    x, y = rng.standard_normal((80, 10)), rng.standard_normal((120, 10)) * 1.5 + 0.2
    assert frechet_distance(3 * x, 3 * y) == pytest.approx(9 * frechet_distance(x, y), rel=1e-10)
    scaled = frechet_distance_corrected(3 * x, 3 * y)
    assert scaled == pytest.approx(9 * frechet_distance_corrected(x, y), rel=1e-10)


def test_it_is_symmetric():
    rng = np.random.default_rng(4)
    x, y = rng.standard_normal((15, 20)), rng.standard_normal((200, 20)) * 1.5
    assert frechet_distance(x, y) == pytest.approx(frechet_distance(y, x), rel=1e-10)


@pytest.mark.parametrize(("n", "m", "d"), [(200, 200, 8), (600, 500, 128), (40, 50, 96), (60, 300, 96)])
def test_torchmetrics_agrees(n: int, m: int, d: int):
    rng = np.random.default_rng(5)
    mixing = rng.standard_normal((d, d)) / np.sqrt(d)
    x, y = rng.standard_normal((n, d)) @ mixing, rng.standard_normal((m, d)) + 0.1
    assert frechet_distance(x, y) == pytest.approx(_independent(x, y), rel=1e-6)


def test_the_three_routes_to_the_trace_agree():
    rng = np.random.default_rng(6)
    a, b = rng.standard_normal((2, 90, 40))
    full = trace_sqrt_product(a.T @ a, b.T @ b)
    assert full == pytest.approx(np.linalg.svd(a @ b.T, compute_uv=False).sum(), rel=1e-12)
    low_rank = trace_sqrt_product(a[:20].T @ a[:20], b.T @ b)
    assert low_rank == pytest.approx(np.linalg.svd(a[:20] @ b.T, compute_uv=False).sum(), rel=1e-7)


def test_nearly_singular_covariances_keep_their_digits():
    rng = np.random.default_rng(7)
    rotation = np.linalg.qr(rng.standard_normal((12, 12)))[0]
    cov = (rotation * np.logspace(0, -14, 12)) @ rotation.T
    assert trace_sqrt_product(cov, cov) == pytest.approx(np.trace(cov), abs=1e-12)


@pytest.mark.parametrize(("d", "n", "predicted"), [(8, 50, 1.040), (32, 100, 5.920), (64, 50, 44.16), (64, 200, 11.04)])
def test_bias_of_the_identity_has_a_closed_form(d: int, n: int, predicted: float):
    assert 2 * frechet_bias(np.eye(d), n) == pytest.approx(2 / n * (d + d * (d + 1) / 4), rel=1e-12)
    assert 2 * frechet_bias(np.eye(d), n) == pytest.approx(predicted, rel=1e-3)


def test_bias_is_the_double_sum_and_ignores_empty_directions():
    eigenvalues = np.array([2.0, 0.5, 0.0])
    pairs = sum(
        (1 + (i == j)) * a * b / (a + b)
        for i, a in enumerate(eigenvalues)
        for j, b in enumerate(eigenvalues)
        if a + b > 0
    )
    assert frechet_bias(np.diag(eigenvalues), 10) == pytest.approx((2.5 + 0.5 * pairs) / 10)


@pytest.mark.parametrize(
    ("d", "n", "m", "decay", "runs"),
    [(32, 100, 100, 0.0, 60), (64, 200, 200, 0.0, 25), (16, 150, 300, 1.0, 300)],
)
def test_bias_predicts_the_distance_of_equal_distributions(d: int, n: int, m: int, decay: float, runs: int):
    rng = np.random.default_rng(8)
    std = np.arange(1, d + 1) ** -decay
    pairs = [(rng.standard_normal((n, d)) * std, rng.standard_normal((m, d)) * std) for _ in range(runs)]
    cov = np.diag(std**2)
    predicted = frechet_bias(cov, n) + frechet_bias(cov, m)
    assert np.mean([frechet_distance(x, y) for x, y in pairs]) == pytest.approx(predicted, rel=0.04)


@pytest.mark.parametrize(("d", "n"), [(32, 500), (64, 500), (64, 200)])
def test_correction_leaves_half_of_d_over_n_of_the_bias_of_isotropic_features(d: int, n: int):
    rng = np.random.default_rng(11)
    values = [frechet_distance_corrected(*rng.standard_normal((2, n, d))) for _ in range(60)]
    left = np.mean(values) / (2 * frechet_bias(np.eye(d), n))
    assert left == pytest.approx(d / (2 * n), abs=0.025)


def test_correction_removes_the_bias_on_real_data():
    pixels = load_digits().data / 16.0
    raw, corrected = [], []
    for seed in range(30):
        order = np.random.default_rng(seed).permutation(len(pixels))
        x, y = pixels[order[:500]], pixels[order[500:1000]]
        raw.append(frechet_distance(x, y))
        corrected.append(frechet_distance_corrected(x, y))
    assert abs(np.mean(corrected)) < 0.08 * np.mean(raw)


def test_corrected_distance_is_not_clipped():
    rng = np.random.default_rng(12)
    assert min(frechet_distance_corrected(*rng.standard_normal((2, 400, 4))) for _ in range(20)) < 0


def test_correction_leaves_a_true_difference_in_place():
    rng = np.random.default_rng(9)
    shift = np.full(16, 0.5)  # |shift|^2 = 4, while the bias at n = 100 is 1.7
    values = [
        frechet_distance_corrected(rng.standard_normal((100, 16)), rng.standard_normal((100, 16)) + shift)
        for _ in range(60)
    ]
    assert np.mean(values) == pytest.approx(4.0, abs=0.15)


def test_one_row_is_refused():
    with pytest.raises(ValueError, match="at least 2 rows"):
        frechet_distance(np.zeros((1, 3)), np.zeros((5, 3)))


def test_shapes_of_covariances_are_checked():
    with pytest.raises(ValueError, match="square"):
        trace_sqrt_product(np.ones((2, 3)), np.ones((2, 3)))
    with pytest.raises(ValueError, match="square"):
        frechet_bias(np.ones((2, 3)), 5)
