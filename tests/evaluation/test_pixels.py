import numpy as np
import pytest
import torch

from genexp.data.module import InMemoryImages, Stored
from genexp.evaluation import images
from genexp.evaluation.features import Extractor
from genexp.evaluation.images import ImageProtocol
from genexp.evaluation.pixels import PixelGrid, SplitImages, SplitPixels, pooling_factor
from genexp.evaluation.scores import fingerprint_difference


class Noise(InMemoryImages):
    """Random images of 256 levels: 150 to train on, 60 in each other split."""

    def __init__(self, shape=(3, 20, 20)):
        super().__init__("noise", shape, num_classes=4, levels=256)

    def read(self):
        generator = torch.Generator().manual_seed(0)
        pixels = torch.randint(256, (330, *self.shape), dtype=torch.uint8, generator=generator)
        labels = torch.randint(4, (330,), generator=generator)
        parts = torch.randperm(330, generator=generator).split([150, 60, 60, 60])
        indices = dict(zip(("train", "val", "ref", "floor"), parts, strict=True))
        return Stored(pixels, labels, indices, "noise")


class Means(Extractor):
    """Four means of an image, and the largest of them."""

    name, version, dim, sha256 = "means", 1, 4, "0" * 64

    def look(self, x):
        quarters = x.double().flatten(1).unflatten(1, (4, -1)).mean(dim=2)
        return quarters.numpy(), quarters.argmax(dim=1).numpy()


def prepared(data):
    protocol = ImageProtocol(draws=1, permutations=10, features=lambda *_: Means())
    protocol.prepare(data)
    return protocol


@pytest.fixture(scope="module")
def noise():
    return Noise()


@pytest.fixture(scope="module")
def protocol(noise):
    return prepared(noise)


@pytest.mark.parametrize(
    ("shape", "factor"),
    [
        ((1, 8, 8), 1),
        ((1, 28, 28), 1),
        ((1, 32, 32), 1),
        ((3, 28, 28), 2),
        ((3, 32, 32), 2),
        ((3, 64, 64), 4),
        ((3, 37, 64), 4),
        ((1, 1, 5000), 8),
        ((2000, 2, 1), 2),
    ],
)
def test_pooling_is_by_the_least_power_of_two(shape, factor):
    assert pooling_factor(shape) == factor


def test_small_images_are_read_as_they_are(digits):
    x = digits.split("ref").x
    grid = PixelGrid(digits.shape, digits.levels)
    expected = np.round((x.double().flatten(1).numpy() + 1) / 2 * 16) / 16
    assert np.array_equal(grid.unit(grid.pool(grid.snap(x))).numpy(), expected)


def test_large_images_are_averaged_over_blocks_and_the_rest_at_the_edge():
    grid = PixelGrid((1, 45, 30), 256)
    grey = torch.randint(256, (2, 1, 45, 30), generator=torch.Generator().manual_seed(0)).double()
    pooled = grid.pool(grey).view(2, 1, 23, 15)
    whole = grey[:, :, :44].view(2, 1, 22, 2, 15, 2).mean(dim=(3, 5))
    assert torch.equal(pooled[:, :, :22].double(), whole)  # averages of whole blocks are exact
    assert torch.equal(pooled[:, :, 22].double(), grey[:, :, 44].view(2, 1, 15, 2).mean(dim=3))


def test_images_are_those_of_the_split(noise):
    for name in ("train", "ref"):
        split, lazy = noise.split(name), SplitImages(noise, name)
        assert lazy.shape == split.x.shape
        assert torch.equal(lazy[3:40], split.x[3:40])
        assert torch.equal(lazy[np.array([7, 2])], split.x[[7, 2]])
        assert torch.equal(torch.cat(list(lazy.split(40))), split.x)
        assert torch.equal(lazy.labels, split.y)
    first = SplitImages(noise, "train", most=100)
    assert (len(first), first.whole, SplitImages(noise, "train", most=150).whole) == (100, False, True)
    pixels = SplitPixels(first, PixelGrid(noise.shape, noise.levels))
    stored = noise.stored.pixels[noise.stored.indices["train"][:100]]
    np.testing.assert_allclose(pixels[:], stored.flatten(1).double().numpy() / 255, rtol=0, atol=1e-15)


def test_the_train_split_is_never_made_floats_as_a_whole(monkeypatch):
    data = Noise()
    read = Noise.read_split
    monkeypatch.setattr(data, "read_split", lambda name: pytest.fail(name) if name == "train" else read(data, name))
    protocol = prepared(data)
    protocol.anchors()
    assert protocol._train_grey.dtype == torch.float32


def test_copies_of_large_images_are_at_distance_zero(protocol, noise):
    anchors = {name: scores.metrics for name, scores in protocol.anchors().items()}
    assert (anchors["copycat"]["copy_rate"], anchors["copycat"]["ct_auc"]) == (1, 0)
    assert anchors["perfect"]["copy_rate"] < 0.1
    assert not protocol._distances(protocol._see(noise.split("train").x).pixels).any()


def test_duplicates_of_large_images_are_counted(protocol, noise):
    samples = noise.split("floor").x.clone()
    samples[:15] = samples[15:30]
    assert protocol.score(samples[None]).metrics["dup_share"] == 0.25


def test_distances_do_not_depend_on_the_parts(protocol, noise, monkeypatch):
    pixels = protocol._see(noise.split("floor").x).pixels
    whole = protocol._distances(pixels)
    monkeypatch.setattr(images, "_TRAIN_PART", 37)
    np.testing.assert_allclose(protocol._distances(pixels), whole, rtol=1e-12)


def test_the_fingerprint_names_pooling_and_a_part_of_the_train_split_only_where_they_are(protocol, noise, monkeypatch):
    assert protocol.fingerprint()["pixel_pooling"] == 2
    assert "train_images" not in protocol.fingerprint()
    assert "pixel_pooling" not in prepared(Noise((1, 8, 8))).fingerprint()
    monkeypatch.setattr(images, "MOST_TRAIN", 100)
    part = prepared(noise)
    difference = fingerprint_difference(protocol.fingerprint(), part.fingerprint())
    assert difference == "train_images: nothing and 100"
    assert part.anchors()["copycat"].metrics["copy_rate"] == 1  # it copies from what the distances look at
