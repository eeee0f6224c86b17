import numpy as np

from genexp.evaluation import anchors


def test_subset_repeats_nothing():
    rows = np.arange(20.0)[:, None]
    drawn = anchors.subset(rows, 12, np.random.default_rng(0))
    assert len(np.unique(drawn)) == 12
    assert len(anchors.subset(rows, 30, np.random.default_rng(0))) == 20


def test_gaussian_has_the_moments_of_the_rows_also_when_singular():
    rng = np.random.default_rng(0)
    rows = rng.standard_normal((60, 3)) @ np.array([[1.0, 0.5, 0.0], [0.0, 0.3, 0.0], [0.2, 0.0, 0.0]]) + 4.0
    drawn = anchors.gaussian(rows, 200_000, rng)
    np.testing.assert_allclose(drawn.mean(axis=0), rows.mean(axis=0), atol=0.01)
    np.testing.assert_allclose(np.cov(drawn.T), np.cov(rows.T), atol=0.02)
    np.testing.assert_allclose(drawn[:, 2], 4.0, atol=1e-12)


def test_kernel_density_adds_the_variance_of_its_kernel():
    rng = np.random.default_rng(0)
    rows = rng.standard_normal((50, 1))
    drawn = anchors.kernel_density(rows, 200_000, 0.5, rng)
    np.testing.assert_allclose(drawn.var(), rows.var() + 0.25, rtol=0.02)


def test_uniform_fills_its_box():
    drawn = anchors.uniform(np.array([0.0, -2.0]), np.array([1.0, 2.0]), 10_000, np.random.default_rng(0))
    np.testing.assert_allclose(drawn.min(axis=0), [0, -2], atol=0.01)
    np.testing.assert_allclose(drawn.max(axis=0), [1, 2], atol=0.01)
