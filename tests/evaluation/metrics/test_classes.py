"""Class shares: hand-worked divergences and the expected KL of many modes."""

import numpy as np
import pytest

from genexp.evaluation.metrics.classes import class_histogram, kl_divergence, modes_covered, total_variation


def test_histogram_is_the_share_of_each_class():
    assert class_histogram(np.array([0, 2, 2, 3]), 5).tolist() == [0.25, 0.0, 0.5, 0.25, 0.0]


def test_total_variation_by_hand():
    assert total_variation([0.5, 0.5, 0.0], [0.25, 0.25, 0.5]) == pytest.approx(0.5)
    assert total_variation([1, 0], [0, 1]) == 1.0
    assert total_variation([3, 1], [0.75, 0.25]) == 0.0  # counts and shares mix


def test_kl_by_hand():
    assert kl_divergence([0.5, 0.5], [0.25, 0.75]) == pytest.approx(0.5 * np.log(2) + 0.5 * np.log(2 / 3))
    assert kl_divergence([1.0, 0.0], [0.5, 0.5]) == pytest.approx(np.log(2))
    assert kl_divergence([0.5, 0.5], [1.0, 0.0]) == np.inf


def test_expected_kl_of_a_perfect_sampler_of_a_thousand_modes():
    labels = np.random.default_rng(0).integers(1000, size=26_000)
    kl = kl_divergence(class_histogram(labels, 1000), np.ones(1000))
    assert kl == pytest.approx(999 / 52_000, abs=0.001)  # 0.0192


def test_modes_are_counted_with_a_threshold():
    reference = [0.25, 0.25, 0.25, 0.25]
    generated = [0.70, 0.25, 0.05, 0.00]
    assert modes_covered(generated, reference) == 3  # 0.05 is exactly a fifth of 0.25
    assert modes_covered(generated, reference, threshold=0.21) == 2
    assert modes_covered([0.04, 0.96], [0.5, 0.5]) == 1  # a classifier's slips are not a mode
    assert modes_covered([0.5, 0.5], [1.0, 0.0]) == 1  # a class that the reference lacks does not count


@pytest.mark.parametrize(
    ("labels", "sentence"),
    [
        (np.array([0, 5]), r"0\.\.4"),
        (np.array([-1, 0]), r"0\.\.4"),
        (np.array([0.0, 1.0]), "integers"),
        (np.array([], dtype=int), "non-empty"),
    ],
)
def test_bad_labels_are_refused(labels: np.ndarray, sentence: str):
    with pytest.raises(ValueError, match=sentence):
        class_histogram(labels, 5)


@pytest.mark.parametrize(
    ("p", "q", "sentence"),
    [
        ([0.5, np.nan], [0.5, 0.5], "contains NaN"),
        ([0.5, 0.5], [1.0], "one length"),
        ([-0.5, 1.5], [0.5, 0.5], "non-negative"),
        ([0.0, 0.0], [0.5, 0.5], "positive sum"),
    ],
)
def test_bad_shares_are_refused(p: list[float], q: list[float], sentence: str):
    for function in (total_variation, kl_divergence, modes_covered):
        with pytest.raises(ValueError, match=sentence):
            function(p, q)
