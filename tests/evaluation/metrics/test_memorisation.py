"""Memorisation on the digits with a known share of copies, and its parts against SciPy."""

import numpy as np
import pytest
from scipy.spatial.distance import cdist
from scipy.stats import binomtest, mannwhitneyu, norm
from sklearn.datasets import load_digits

from genexp.evaluation.metrics.memorisation import (
    c_t,
    copy_rate,
    copy_rate_interval,
    duplicate_share,
    nearest_distances,
)

Split = tuple[np.ndarray, np.ndarray, np.ndarray]


@pytest.fixture(scope="module")
def splits() -> list[Split]:
    """Six i.i.d. splits of the digits into train, held-out and "generated" (a perfect generator)."""
    pixels = load_digits().data / 16.0
    orders = [np.random.default_rng(seed).permutation(1797) for seed in range(6)]
    return [(pixels[o[:599]], pixels[o[599:1198]], pixels[o[1198:]]) for o in orders]


@pytest.mark.parametrize(("share", "reads"), [(0.0, 0.0095), (0.02, 0.0275), (0.05, 0.057), (0.10, 0.107)])
def test_copy_rate_reads_the_share_of_copies(splits: list[Split], share: float, reads: float):
    values = []
    for train, held_out, perfect in splits:
        copies = round(share * len(perfect))
        generated = np.concatenate([train[:copies], perfect[copies:]])
        values.append(copy_rate(generated, train, held_out))
    assert np.mean(values) == pytest.approx(reads, abs=0.006)


def test_noise_on_held_out_rows_is_no_false_alarm(splits: list[Split]):
    rng = np.random.default_rng(0)
    values = [copy_rate(g + 0.05 * rng.standard_normal(g.shape), t, h) for t, h, g in splits]
    assert np.mean(values) < 0.015


def test_near_copies_are_found(splits: list[Split]):
    train, held_out, _ = splits[0]
    near = train + 0.02 * np.random.default_rng(0).standard_normal(train.shape)
    assert copy_rate(near, train, held_out) == 1.0


def test_c_t_of_a_perfect_generator_and_of_a_copier(splits: list[Split]):
    nulls = [c_t(generated, train, held_out) for train, held_out, generated in splits]
    z = np.array([value[0] for value in nulls])
    assert abs(z.mean()) < 1.2
    assert np.abs(z).max() < 3.0
    assert np.mean([value[1] for value in nulls]) == pytest.approx(0.5, abs=0.03)
    train, held_out, _ = splits[0]
    near = train + 1e-3 * np.random.default_rng(0).standard_normal(train.shape)
    z_copy, auc_copy = c_t(near, train, held_out)
    assert z_copy == pytest.approx(-599 * np.sqrt(3 / 1199))  # -30.0, the lowest possible
    assert auc_copy == 0.0
    # 599 distances of exactly 0 are one large tie, which narrows the null: -32.0
    n, total = 599, 1198
    variance = n * n / 12 * (total + 1 - (n**3 - n) / (total * (total - 1)))
    assert c_t(train, train, held_out)[0] == pytest.approx(-n * n / 2 / np.sqrt(variance), rel=1e-3)


def test_c_t_agrees_with_scipy_with_ties():
    rng = np.random.default_rng(1)
    generated, train, held_out = (rng.integers(4, size=(n, 3)) / 255 for n in (60, 5, 80))
    a, b = (np.rint(cdist(s * 255, train * 255, "sqeuclidean")).min(axis=1) for s in (generated, held_out))
    z, auc = c_t(generated, train, held_out)
    expected = mannwhitneyu(a, b, alternative="two-sided", method="asymptotic", use_continuity=False)
    assert auc == pytest.approx(expected.statistic / (60 * 80))
    assert 2 * norm.sf(abs(z)) == pytest.approx(expected.pvalue)


def test_c_t_of_all_equal_distances_is_undecided():
    assert c_t(np.zeros((5, 2)), np.zeros((3, 2)), np.zeros((6, 2))) == (0.0, 0.5)


def test_nearest_distances_agree_with_scipy_and_are_zero_for_members():
    rng = np.random.default_rng(2)
    a, b = rng.standard_normal((40, 6)) + 100.0, rng.standard_normal((30, 6)) + 100.0
    np.testing.assert_allclose(nearest_distances(a, b), cdist(a, b).min(axis=1), rtol=1e-9)
    assert np.array_equal(nearest_distances(b, b), np.zeros(30))


def test_duplicate_share():
    x = np.random.default_rng(3).standard_normal((50, 4))
    assert duplicate_share(x) == 0.0
    assert duplicate_share(np.concatenate([x, x[:10]])) == pytest.approx(10 / 60)
    assert duplicate_share(np.ones((20, 3))) == pytest.approx(19 / 20)
    resampled = x[np.random.default_rng(4).integers(50, size=599)]
    assert duplicate_share(resampled) == pytest.approx(0.917, abs=0.001)


@pytest.mark.parametrize("copies", [0, 1, 10, 499, 500])
def test_interval_is_the_exact_binomial_one(copies: int):
    expected = binomtest(copies, 500).proportion_ci(0.95, method="exact")
    assert copy_rate_interval(copies / 500, 500) == pytest.approx((expected.low, expected.high), abs=1e-9)


def test_bad_settings_are_refused():
    x = np.zeros((5, 2))
    with pytest.raises(ValueError, match="quantile must be between 0 and 1"):
        copy_rate(x, x, x, quantile=0.0)
    with pytest.raises(ValueError, match="0 <= rate <= 1"):
        copy_rate_interval(1.5, 10)
    with pytest.raises(ValueError, match="held_out"):
        copy_rate(x, x, np.full((5, 2), np.nan))
