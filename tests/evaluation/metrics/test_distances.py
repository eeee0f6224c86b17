"""Distances against SciPy's difference-based ones, where the matrix product would lose its digits."""

import numpy as np
import pytest
from scipy.spatial.distance import cdist

from genexp.evaluation.metrics import distances
from genexp.evaluation.metrics.distances import TIE, as_features, row_identities, squared_distances


@pytest.mark.parametrize("offset", [0.0, 10.0, 1e4])
@pytest.mark.parametrize("spread", [1.0, 1e-4])
def test_relative_error_is_below_the_tie_tolerance(offset: float, spread: float):
    rng = np.random.default_rng(0)
    clusters = rng.standard_normal((8, 5))
    a = offset + clusters[rng.integers(8, size=120)] + spread * rng.standard_normal((120, 5))
    b = np.concatenate([offset + clusters[rng.integers(8, size=90)] + spread, a[:30], a[:10] + 1e-9])
    exact = cdist(a, b, "sqeuclidean")
    got = squared_distances(a, b)
    assert np.array_equal(got == 0, exact == 0)
    assert np.all(np.abs(got - exact) <= TIE * exact)


def test_blocks_change_nothing(monkeypatch: pytest.MonkeyPatch):
    x = np.random.default_rng(1).standard_normal((50, 3))
    whole = squared_distances(x, x[:40])
    monkeypatch.setattr(distances, "_BLOCK_ENTRIES", 7 * 40)
    monkeypatch.setattr(distances, "_PAIRS_AT_ONCE", 6)
    np.testing.assert_allclose(squared_distances(x, x[:40]), whole, rtol=1e-12)


def test_inputs_are_not_written_to():
    x = np.random.default_rng(2).standard_normal((20, 3))
    before = x.copy()
    squared_distances(x, x)
    assert np.array_equal(x, before)


def test_row_identities_number_equal_rows_alike():
    x = np.array([[1.0, 2.0], [0.0, 3.0], [1.0, 2.0], [-0.0, 3.0], [1.0, 2.0 + 1e-15]])
    identities = row_identities(x)
    assert identities.tolist() == [0, 1, 0, 1, 2]  # 0.0 equals -0.0, although their bytes differ


def test_row_identities_do_not_depend_on_the_values():
    rng = np.random.default_rng(3)
    distinct = rng.standard_normal((40, 4))
    x = distinct[rng.integers(40, size=200)]
    identities = row_identities(x)
    order = list(dict.fromkeys(identities.tolist()))
    assert order == sorted(order)  # the numbers appear in their order
    for same_rows in (np.nextafter(x, np.inf), -x, x**3):
        assert np.array_equal(row_identities(same_rows), identities)


@pytest.mark.parametrize(
    ("bad", "sentence"),
    [
        (np.array([[0.0, np.nan]]), "x contains NaN"),
        (np.array([[0.0, np.inf]]), "x contains NaN or infinite"),
        (np.zeros(3), "must be a matrix"),
        (np.zeros((0, 2)), "at least 1 rows"),
    ],
)
def test_bad_features_are_named(bad: np.ndarray, sentence: str):
    with pytest.raises(ValueError, match=sentence):
        as_features(bad, "x")
