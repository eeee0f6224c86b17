"""Precision, recall, density, coverage: by their definitions, their null values, and with ties."""

import numpy as np
import pytest

from genexp.evaluation.metrics import distances
from genexp.evaluation.metrics.prdc import expected_coverage, prdc


def _by_definition(real: np.ndarray, fake: np.ndarray, k: int) -> dict[str, float]:
    def distance(a: np.ndarray, b: np.ndarray) -> float:
        return float(np.linalg.norm(a - b))

    def radius(i: int, rows: np.ndarray) -> float:
        return sorted(distance(rows[i], rows[j]) for j in range(len(rows)) if j != i)[k - 1]

    real_radii = [radius(i, real) for i in range(len(real))]
    fake_radii = [radius(i, fake) for i in range(len(fake))]
    inside = np.array([[distance(r, f) <= real_radii[i] for f in fake] for i, r in enumerate(real)])
    recalled = [any(distance(r, f) <= fake_radii[j] for j, f in enumerate(fake)) for r in real]
    return {
        "precision": float(inside.any(axis=0).mean()),
        "recall": float(np.mean(recalled)),
        "density": float(inside.sum() / (k * len(fake))),
        "coverage": float(inside.any(axis=1).mean()),
    }


@pytest.mark.parametrize("k", [1, 3])
def test_it_is_the_definition(k: int):
    rng = np.random.default_rng(0)
    real, fake = rng.standard_normal((25, 3)), rng.standard_normal((31, 3)) * 0.8 + 0.3
    assert prdc(real, fake, k) == pytest.approx(_by_definition(real, fake, k), rel=1e-12)


def test_blocks_change_nothing(monkeypatch: pytest.MonkeyPatch):
    rng = np.random.default_rng(1)
    real, fake = rng.standard_normal((70, 3)), rng.standard_normal((90, 3)) * 0.8 + 0.3
    whole = prdc(real, fake)
    monkeypatch.setattr(distances, "_BLOCK_ENTRIES", 11 * 90)
    assert prdc(real, fake) == whole


@pytest.mark.parametrize(("k", "seen"), [(3, (0.870, 0.882)), (5, (0.965, 0.972))])
def test_null_density_and_coverage(k: int, seen: tuple[float, float]):
    rng = np.random.default_rng(2)
    values = [prdc(*rng.standard_normal((2, 500, 8)), k) for _ in range(12)]
    coverage = np.mean([v["coverage"] for v in values])
    assert seen[0] < coverage < seen[1]
    assert coverage == pytest.approx(expected_coverage(500, 500, k), abs=0.005)
    assert np.mean([v["density"] for v in values]) == pytest.approx(1.0, abs=0.03)


@pytest.mark.parametrize(("n", "m", "abs_error"), [(100, 300, 0.004), (300, 100, 0.015)])
def test_null_coverage_with_unequal_sizes(n: int, m: int, abs_error: float):
    rng = np.random.default_rng(3)
    values = [prdc(rng.standard_normal((n, 4)), rng.standard_normal((m, 4)))["coverage"] for _ in range(100)]
    assert np.mean(values) == pytest.approx(expected_coverage(n, m, 5), abs=abs_error)


@pytest.mark.parametrize(
    ("n", "m", "k", "expected"),
    [
        (500, 500, 5, 0.969),
        (500, 500, 3, 0.876),
        (500, 1500, 5, 0.999),
        (1500, 500, 5, 0.763),
        (2, 1, 1, 0.5),
    ],
)
def test_expected_coverage(n: int, m: int, k: int, expected: float):
    assert expected_coverage(n, m, k) == pytest.approx(expected, abs=0.001)


@pytest.mark.parametrize(("d", "expected"), [(2, 0.995), (64, 0.754)])
def test_null_precision_and_recall_depend_on_the_dimension(d: int, expected: float):
    values = [prdc(*np.random.default_rng(seed).standard_normal((2, 600, d))) for seed in range(4)]
    assert np.mean([v["precision"] for v in values]) == pytest.approx(expected, abs=0.02)
    assert np.mean([v["recall"] for v in values]) == pytest.approx(expected, abs=0.02)


@pytest.mark.parametrize("offset", [0.0, 100.0])
def test_identical_sets(offset: float):
    x = np.random.default_rng(4).standard_normal((80, 5)) + offset
    # a closed ball holds its k neighbours and its centre
    assert prdc(x, x, 5) == pytest.approx({"precision": 1, "recall": 1, "density": 6 / 5, "coverage": 1})


def test_constant_sets():
    same, other = np.zeros((10, 3)), np.ones((10, 3))
    assert prdc(same, same, 5) == {"precision": 1.0, "recall": 1.0, "density": 2.0, "coverage": 1.0}
    assert prdc(same, other, 5) == {"precision": 0.0, "recall": 0.0, "density": 0.0, "coverage": 0.0}


def test_ties_on_a_grid_count_as_inside():
    # The corners that were left out have a kept neighbour exactly on their sphere, rounding aside.
    square = np.array([[0.0, 0.0], [0.1, 0.0], [0.1, 0.1], [0.0, 0.1]]) + 0.3
    assert prdc(square, square[::2], 1)["coverage"] == 1.0


def test_dropped_modes_lower_recall_and_coverage_but_not_precision():
    rng = np.random.default_rng(5)
    real = rng.standard_normal((400, 2)) + 20.0 * (np.arange(400) % 4)[:, None]
    fake = rng.standard_normal((400, 2)) + 20.0 * (np.arange(400) % 2)[:, None]
    got = prdc(real, fake)
    assert got["precision"] > 0.97
    assert got["recall"] == pytest.approx(0.5, abs=0.02)
    assert got["coverage"] == pytest.approx(0.5, abs=0.02)


def test_too_few_rows_and_bad_k_are_refused():
    with pytest.raises(ValueError, match="fake needs at least 6 rows"):
        prdc(np.zeros((10, 2)), np.zeros((5, 2)), 5)
    with pytest.raises(ValueError, match="k must be at least 1"):
        prdc(np.zeros((10, 2)), np.zeros((5, 2)), 0)
    with pytest.raises(ValueError, match="n_real > k"):
        expected_coverage(5, 5, 5)
