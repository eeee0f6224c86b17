import numpy as np
import pytest
import torch

from genexp.data.densities import GaussianMixture
from genexp.data.points import Points
from genexp.evaluation.by_class import mean_class_distance
from genexp.evaluation.images import ImageProtocol
from genexp.evaluation.metrics.frechet import frechet_distance_corrected
from genexp.evaluation.points import PointProtocol


@pytest.fixture(scope="module")
def protocol(digits, tmp_path_factory):
    protocol = ImageProtocol(draws=1, permutations=20, cache_dir=tmp_path_factory.mktemp("cache"))
    protocol.prepare(digits)
    return protocol


@pytest.fixture(scope="module")
def perfect(digits, protocol):
    floor = digits.split("floor")
    return protocol.score(floor.x[None], floor.y[None])


def test_classes_add_columns_and_change_no_other(digits, protocol, perfect):
    plain = protocol.score(digits.split("floor").x[None])
    added = {name: value for name, value in perfect.metrics.items() if name not in plain.metrics}
    assert list(added) == ["class_accuracy", "fd32c_class"]
    assert {name: perfect.metrics[name] for name in plain.metrics} == plain.metrics
    assert plain.fingerprint == perfect.fingerprint


def test_the_accuracy_is_that_of_the_frozen_classifier(digits, protocol, perfect):
    floor = digits.split("floor")
    own = float((protocol.extractor.classify(floor.x) == floor.y.numpy()).mean())
    assert perfect.metrics["class_accuracy"] == own > 0.95
    assert protocol.fast(floor.x, floor.y)["class_accuracy"] == own
    assert "class_accuracy" not in protocol.fast(floor.x)


def test_samples_of_other_classes_than_asked_for_are_found_by_both_and_by_nothing_else(digits, protocol, perfect):
    floor = digits.split("floor")
    wrong = floor.y.clone()
    wrong[:100] = (wrong[:100] + 1) % 10
    scores = protocol.score(floor.x[None], wrong[None]).metrics
    assert scores["class_accuracy"] == pytest.approx(perfect.metrics["class_accuracy"] - 0.2, abs=0.02)
    assert scores["fd32c_class"] > perfect.metrics["fd32c_class"] + 1
    assert scores["fd32c"] == perfect.metrics["fd32c"]


def test_the_distance_is_the_mean_over_classes_that_can_be_measured():
    rng = np.random.default_rng(0)
    x, reference = rng.standard_normal((60, 3)), rng.standard_normal((60, 3))
    y, classes = np.repeat([0, 1, 2], 20), np.array([0] * 30 + [1] * 29 + [2])
    expected = np.mean([frechet_distance_corrected(reference[classes == k], x[y == k]) for k in (0, 1)])
    assert mean_class_distance(x, y, reference, classes) == pytest.approx(expected)
    assert np.isnan(mean_class_distance(x[:1], y[:1], reference, classes))


def test_anchors_that_know_their_classes_have_the_columns_too(digits, protocol, perfect):
    plain, told = protocol.anchors(), protocol.anchors(classes=True)
    knowing = {name for name, scores in told.items() if "class_accuracy" in scores.metrics}
    assert knowing == {"perfect", "copycat", "kde"} and not any("class_accuracy" in s.metrics for s in plain.values())
    # the perfect anchor is the whole floor, whose classes must have stayed with their images
    assert told["perfect"].metrics["class_accuracy"] == perfect.metrics["class_accuracy"]
    assert told["perfect"].metrics["fd32c_class"] == pytest.approx(perfect.metrics["fd32c_class"])
    assert told["copycat"].metrics["class_accuracy"] > 0.97 and told["kde"].metrics["class_accuracy"] > 0.9
    other = ImageProtocol(draws=1, permutations=20, cache_dir=protocol.cache_dir)
    other.prepare(digits)
    assert other.anchors(classes=True) == told  # read from the cache
    assert other.anchors() == plain


def test_fast_labels_have_the_shares_of_the_validation_split(digits):
    protocol = ImageProtocol(draws=1, fast_n=20_000)
    protocol.prepare(digits)
    shares = torch.bincount(protocol.fast_labels(), minlength=10) / 20_000
    val = digits.split("val").y
    torch.testing.assert_close(shares, torch.bincount(val, minlength=10) / len(val), atol=0.012, rtol=0)


def test_a_point_is_of_the_component_that_is_likeliest_to_have_made_it():
    """Two Gaussians of weights 9 and 1 at -1 and 1, std 1: the border is at (log 9) / 2, not at 0."""
    density = GaussianMixture([[-1.0, 0.0], [1.0, 0.0]], 1.0, [9.0, 1.0])
    protocol = PointProtocol(n=100, draws=1, permutations=20, pairwise_n=100)
    protocol.prepare(Points("two", density, shape=(2,), num_classes=2, split_size=4000))
    border = np.log(9) / 2
    x = torch.tensor([[border - 0.01, 0.0], [border + 0.01, 0.0]]).repeat(50, 1)
    y = torch.tensor([0, 1]).repeat(50)
    assert protocol.score(x[None], y[None]).metrics["class_accuracy"] == 1
    assert protocol.fast(x, 1 - y)["class_accuracy"] == 0
    told = protocol.anchors(classes=True)
    assert {name for name, s in told.items() if "class_accuracy" in s.metrics} == {"perfect", "kde"}
    # of the best classifier: 0.9 P(z < border + 1) + 0.1 P(z > border - 1)
    assert told["perfect"].metrics["class_accuracy"] == pytest.approx(0.9 * 0.982 + 0.1 * 0.461, abs=0.06)


def test_samples_that_are_not_finite_have_no_class_scores(digits, protocol):
    floor = digits.split("floor")
    broken = floor.x.clone()
    broken[0, 0, 0, 0] = float("nan")
    scores = protocol.score(broken[None], floor.y[None])
    assert scores.failure is not None and scores.metrics["class_accuracy"] is None
