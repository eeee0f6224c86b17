import hashlib

import numpy as np
import pytest
import torch

from genexp.errors import UserError
from genexp.evaluation import features
from genexp.evaluation.features import PACKAGED, PACKAGED_SHA256, extractor_for
from genexp.evaluation.metrics.frechet import frechet_distance_corrected


@pytest.fixture(scope="module")
def packaged(digits):
    return extractor_for(digits, None)


class Renamed:
    """A data set with another identity and, if given, other images."""

    def __init__(self, data, content="other", x=None, num_classes=None):
        self.name, self.levels, self.density = data.name, data.levels, None
        self.num_classes = data.num_classes if num_classes is None else num_classes
        self._data, self._content, self._x = data, content, x
        self.shape = data.shape if x is None else tuple(x.shape[1:])

    def split(self, name):
        split = self._data.split(name)
        if self._x is None:
            return split
        return type(split)(x=self._x, y=split.y[: len(self._x)])

    def content_id(self):
        return self._content


def test_the_packaged_file_is_the_committed_one(packaged):
    assert hashlib.sha256(PACKAGED.read_bytes()).hexdigest() == PACKAGED_SHA256
    assert packaged.name == "digits_cnn32"
    assert packaged.sha256 == PACKAGED_SHA256
    assert packaged.dim == 32


def test_the_classifier_is_right_on_images_it_never_saw(digits, packaged):
    for name in ("ref", "floor"):
        split = digits.split(name)
        assert (packaged.classify(split.x) == split.y.numpy()).mean() >= 0.94


def test_features_of_the_training_set_are_z_scored(digits, packaged):
    seen = packaged(digits.split("train").x)
    assert seen.dtype == np.float64
    np.testing.assert_allclose(seen.mean(axis=0), 0, atol=1e-5)
    np.testing.assert_allclose(seen.std(axis=0, ddof=1), 1, atol=1e-5)


def test_training_again_gives_the_same_features(digits, packaged):
    """The packaged weights come from this code and this data; another processor adds in another order."""
    again = extractor_for(Renamed(digits), None)
    x = digits.split("ref").x
    np.testing.assert_allclose(again(x), packaged(x), atol=0.02)
    assert (again.classify(x) == packaged.classify(x)).mean() > 0.99


def test_training_twice_gives_the_same_bits(digits):
    content = {extractor_for(Renamed(digits), None).sha256 for _ in range(2)}
    assert len(content) == 1


def test_training_leaves_the_global_generators_and_settings_alone(digits):
    torch.set_float32_matmul_precision("high")
    torch.manual_seed(3)
    state, threads = torch.get_rng_state(), torch.get_num_threads()
    numpy_state = np.random.get_state()[1].copy()  # noqa: NPY002
    with torch.inference_mode():  # where Lightning runs validation
        extractor_for(Renamed(digits), None)
    assert torch.equal(torch.get_rng_state(), state)
    assert np.array_equal(np.random.get_state()[1], numpy_state)  # noqa: NPY002
    assert torch.get_num_threads() == threads
    assert torch.get_float32_matmul_precision() == "high"
    torch.set_float32_matmul_precision("highest")


@pytest.mark.parametrize("batch", [1, 37])
def test_features_do_not_depend_on_the_batch(digits, packaged, batch):
    x = digits.split("ref").x[: 10 * batch]
    parts = np.concatenate([packaged(part) for part in x.split(batch)])
    np.testing.assert_allclose(parts, packaged(x), atol=1e-5)
    np.testing.assert_array_equal(packaged(x.repeat(3, 1, 1, 1))[-len(x) :], packaged(x))


def test_no_image_gives_no_feature(digits, packaged):
    assert packaged(digits.split("ref").x[:0]).shape == (0, 32)


def test_corrected_distance_orders_real_below_gaussian_below_noise(digits, packaged):
    ref, floor = (packaged(digits.split(name).x) for name in ("ref", "floor"))
    noise = packaged(torch.rand(500, 1, 8, 8, generator=torch.Generator().manual_seed(0)) * 2 - 1)
    assert abs(frechet_distance_corrected(ref, floor)) < 0.3
    assert frechet_distance_corrected(ref, noise) > 5


def test_only_a_training_is_announced(digits, tmp_path, capsys):
    extractor_for(Renamed(digits), tmp_path)
    assert "training the feature network of digits once" in capsys.readouterr().err
    for data in (Renamed(digits), digits):
        extractor_for(data, tmp_path)
        assert capsys.readouterr() == ("", "")


def test_trained_features_are_cached_by_content(digits, tmp_path, monkeypatch):
    trainings = []
    train = features.train_features
    monkeypatch.setattr(features, "train_features", lambda *a: trainings.append(1) or train(*a))
    first = extractor_for(Renamed(digits), tmp_path)
    second = extractor_for(Renamed(digits), tmp_path)
    assert len(trainings) == 1
    assert first.sha256 == second.sha256
    np.testing.assert_array_equal(first(digits.split("ref").x), second(digits.split("ref").x))
    extractor_for(Renamed(digits, content="changed"), tmp_path)
    assert len(trainings) == 2
    for damage, times in ((lambda whole: b"cut off", 3), (lambda whole: whole[:-100], 4)):
        place = next((tmp_path / "features").iterdir())
        place.write_bytes(damage(place.read_bytes()))
        extractor_for(Renamed(digits), tmp_path)
        extractor_for(Renamed(digits, content="changed"), tmp_path)
        assert len(trainings) == times
    assert not list((tmp_path / "features").glob(".part-*"))


@pytest.mark.parametrize("shape", [(1, 8, 8), (3, 12, 9)])
def test_images_without_labels_get_features_but_no_classes(digits, shape):
    x = torch.rand(200, *shape, generator=torch.Generator().manual_seed(0)) * 2 - 1
    extractor = extractor_for(Renamed(digits, x=x, num_classes=0), None)
    assert extractor(x).shape == (200, 32)
    assert extractor.classify(x) is None


def test_points_are_refused(digits):
    points = Renamed(digits)
    points.shape = (2,)
    with pytest.raises(UserError, match="evaluation=points"):
        extractor_for(points, None)


def test_a_damaged_package_is_refused(digits, tmp_path, monkeypatch):
    damaged = bytearray(PACKAGED.read_bytes())
    damaged[-1] ^= 1
    (tmp_path / "damaged").write_bytes(damaged)
    monkeypatch.setattr(features, "PACKAGED", tmp_path / "damaged")
    with pytest.raises(UserError, match="install genexp again"):
        extractor_for(digits, None)
