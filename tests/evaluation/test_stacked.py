"""Modes of stacked digits: counted by a classifier of single digits, over all draws."""

import math

import numpy as np
import pytest
import torch
from tests.stacked import SIZE, write_digits

from genexp.data.digits import Digits
from genexp.data.stacked import StackedMNIST
from genexp.errors import UserError
from genexp.evaluation.feature_training import TrainingSettings
from genexp.evaluation.features import Extractor, extractor_for
from genexp.evaluation.stacked import StackedDigits, StackedProtocol, mode_counts, stacked_extractor


class Brightness(Extractor):
    """Tells the digits of `write_digits` by their grey level; its features are four pixels."""

    name, version, dim, sha256 = "brightness", 1, 4, "0"

    def look(self, x):
        assert x.shape[1] == 1
        grey = ((x[:, 0, 4, 4] + 1) * 127.5 / 25).round().long().clamp(0, 9)
        return x[:, 0, 4:6, 4:6].flatten(1).double().numpy(), grey.numpy()


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    path = write_digits(tmp_path_factory.mktemp("digits"))
    return StackedMNIST(path, size=SIZE, train_size=500, val_size=60, ref_size=200, floor_size=300)


@pytest.fixture(scope="module")
def protocol(data):
    protocol = StackedProtocol(
        n=100, draws=3, fast_n=50, permutations=5, features=lambda data, cache: StackedDigits(Brightness())
    )
    protocol.prepare(data)
    return protocol


def test_each_channel_is_looked_at_by_itself(data):
    split = data.split("ref")
    features, classes = StackedDigits(Brightness()).look(split.x)
    assert features.shape == (200, 12)
    assert (classes == split.y.numpy()).all()
    for channel in range(3):
        alone = Brightness().look(split.x[:, channel : channel + 1])[0]
        assert (features[:, 4 * channel : 4 * channel + 4] == alone).all()


def of_modes(modes, n):
    """Images that write these numbers in turn, (n, 3, S, S)."""
    digits = torch.tensor([[int(figure) for figure in f"{mode:03d}"] for mode in modes])[torch.arange(n) % len(modes)]
    return (25.0 * digits / 127.5 - 1)[:, :, None, None].expand(n, 3, SIZE, SIZE)


def test_modes_are_counted_over_all_draws(protocol):
    draws = [of_modes(range(first, first + 100), 100) for first in (0, 500, 900)]
    scores = protocol.score(torch.stack(draws))
    assert scores.metrics["modes"] == 300
    assert scores.metrics["mode_kl"] == pytest.approx(math.log(1000 / 300) - 999 / 600)
    assert "modes" not in scores.errors
    assert scores.metrics["class_tv"] > 0.7


def test_a_collapsed_generator_has_its_modes(protocol):
    scores = protocol.score(of_modes([7, 123], 100).expand(3, 100, 3, SIZE, SIZE))
    assert scores.metrics["modes"] == 2
    assert scores.metrics["mode_kl"] == pytest.approx(math.log(500) - 999 / 600)


def test_samples_that_are_not_finite_have_no_modes(protocol):
    samples = of_modes([7], 100).expand(3, 100, 3, SIZE, SIZE).clone()
    samples[1, 2, 0, 0, 0] = math.nan
    scores = protocol.score(samples)
    assert scores.failure is not None and scores.metrics["modes"] is None and scores.metrics["mode_kl"] is None


def test_the_fingerprint_says_that_modes_are_counted(protocol):
    fingerprint = protocol.fingerprint()
    assert fingerprint["protocol"] == "stacked digits" and fingerprint["features"] == "stacked_brightness"
    assert set(protocol.fast(of_modes([1, 2], 50))) == {"fd12c", "coverage", "recall", "class_tv", "dup_share"}


def test_a_perfect_generator_reaches_all_modes_without_divergence():
    rng = np.random.default_rng(0)
    found = [
        mode_counts(np.bincount(rng.integers(0, 1000, 25_600), minlength=1000) / 25_600, 25_600) for _ in range(20)
    ]
    assert all(counts["modes"] == 1000 for counts in found)
    divergences = [counts["mode_kl"] for counts in found]
    assert abs(np.mean(divergences)) < 4 * np.std(divergences) / math.sqrt(20) + 1e-3
    assert mode_counts(np.eye(1000)[3], 25_600)["mode_kl"] == pytest.approx(math.log(1000) - 999 / 51_200)


def test_the_network_is_that_of_the_single_digits(data, tmp_path):
    settings = TrainingSettings(dim=8, max_steps=5)
    stacked = stacked_extractor(data, tmp_path, settings)
    single = extractor_for(data.digits, tmp_path, settings)  # found in the cache
    assert (stacked.sha256, stacked.dim, stacked.name) == (single.sha256, 24, "stacked_mnist_cnn8")
    assert len(list((tmp_path / "features").iterdir())) == 1
    with pytest.raises(UserError, match="choose evaluation=images"):
        stacked_extractor(Digits(), tmp_path, settings)
