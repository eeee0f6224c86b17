"""Feature likelihood divergence: its fit against another optimiser, its bounds, and its orderings on the digits."""

import numpy as np
import pytest
from scipy.optimize import minimize
from scipy.stats import multivariate_normal

from genexp.evaluation.features import extractor_for
from genexp.evaluation.metrics import fld
from genexp.evaluation.metrics.fld import feature_likelihood_divergence


def divergence(generated, train, held_out, seed=0) -> dict[str, float]:
    return feature_likelihood_divergence(generated, train, held_out, np.random.default_rng(seed))


def mixture_nll(rows: np.ndarray, centres: np.ndarray, variances: np.ndarray) -> float:
    """The mixture's mean negative log-likelihood as its definition says."""
    dim = rows.shape[1]
    parts = [multivariate_normal(c, v * np.eye(dim)).pdf(rows) for c, v in zip(centres, variances, strict=True)]
    parts.append(multivariate_normal(np.zeros(dim)).pdf(rows))
    return -np.log(np.mean(parts, axis=0)).mean()


def test_the_variances_are_those_of_another_optimiser():
    rng = np.random.default_rng(0)
    rows, centres = rng.standard_normal((60, 2)), 0.7 * rng.standard_normal((4, 2))
    found = fld._fitted_variances(centres, rows)
    start = np.log(found) + 0.5
    best = minimize(lambda logs: mixture_nll(rows, centres, np.exp(logs)), start, method="Nelder-Mead", tol=1e-10)
    assert mixture_nll(rows, centres, found) == pytest.approx(best.fun, abs=1e-5)
    assert fld._mean_nll(rows, centres, found) == pytest.approx(mixture_nll(rows, centres, found))


def test_a_copied_row_takes_its_gaussian_with_it():
    rng = np.random.default_rng(0)
    train, fresh = rng.standard_normal((200, 4)), rng.standard_normal((199, 4))
    variances = fld._fitted_variances(np.concatenate([fresh, train[:1]]), train)
    assert variances[-1] == pytest.approx(1e-6)
    assert np.median(variances[:-1]) > 1e-2


def test_a_copier_reads_the_background_and_no_more():
    rng = np.random.default_rng(0)
    train, test = rng.standard_normal((300, 8)), rng.standard_normal((300, 8))
    copier = divergence(train, train, test)
    far = divergence(train + 1e6, train, test)  # no Gaussian of its own is near anything
    assert 0 < copier["fld"] == pytest.approx(far["fld"], rel=0.01)
    assert copier["fld_gap"] < -500
    standard = (test - train.mean(axis=0)) / train.std(axis=0)
    background = -multivariate_normal(np.zeros(8)).logpdf(standard).mean() + np.log(301)
    rows = (train - train.mean(axis=0)) / train.std(axis=0)
    order = np.random.default_rng(0).permutation(rows)
    baseline = fld._mean_nll(standard, order[:150], fld._fitted_variances(order[:150], order[150:]))
    assert far["fld"] == pytest.approx(100 / 8 * (background - baseline))


@pytest.fixture(scope="module")
def features(digits, tmp_path_factory) -> dict[str, np.ndarray]:
    look = extractor_for(digits, tmp_path_factory.mktemp("cache"))
    return {name: look(digits.split(name).x) for name in ("train", "ref", "floor")}


def test_digits_are_ordered_as_their_quality(features, digits):
    train, ref, floor = features["train"], features["ref"], features["floor"]
    classes = digits.split("floor").y.numpy()
    rng = np.random.default_rng(0)
    made = {
        "perfect": floor,
        "nine classes": floor[classes != 3],
        "five classes": floor[classes < 5],
        "collapsed": np.repeat(floor[:50], 10, axis=0),
        "gaussian": rng.multivariate_normal(train.mean(axis=0), np.cov(train.T), 500),
        "copier": train[:500],
    }
    scores = {name: divergence(rows, train, ref)["fld"] for name, rows in made.items()}
    assert scores["perfect"] == pytest.approx(-3.5, abs=3)  # not 0
    assert scores["perfect"] + 5 < scores["nine classes"] < scores["five classes"] - 20
    assert scores["perfect"] + 20 < scores["collapsed"] < scores["gaussian"] < scores["copier"]


def test_the_gap_falls_with_the_copied_share(features):
    train, ref, floor = features["train"], features["ref"], features["floor"]
    gaps = []
    for copies in (0, 10, 50, 250):
        rows = np.concatenate([floor[copies:], train[:copies]])
        gaps.append(divergence(rows, train, ref)["fld_gap"])
    assert gaps[0] == pytest.approx(-4, abs=3)
    assert gaps[0] - 5 > gaps[1] > gaps[2] + 20 > gaps[3] + 40


def test_neither_scale_nor_shift_of_a_column_matters_nor_a_constant_one():
    rng = np.random.default_rng(3)
    sets = [rng.standard_normal((80, 3)) for _ in range(3)]
    plain = divergence(*sets)
    moved = divergence(*[rows * [1e-3, 1.0, 1e3] + [5.0, -2.0, 0.0] for rows in sets])
    assert moved == pytest.approx(plain, rel=1e-6, abs=1e-6)
    constant = divergence(*[np.column_stack([rows, np.full(80, 0.1)]) for rows in sets])
    assert all(np.isfinite(value) for value in constant.values())
    shuffled = divergence(rng.permutation(sets[0]), sets[1], rng.permutation(sets[2]))
    assert shuffled == pytest.approx(plain)


def test_a_training_set_that_cannot_be_halved_is_refused():
    with pytest.raises(ValueError, match="train needs at least 4 rows"):
        divergence(np.zeros((5, 2)), np.eye(2), np.zeros((5, 2)))
