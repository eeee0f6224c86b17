"""Stacked digits: classes, splits, and images that are a function of seed and index."""

import os
from pathlib import Path

import pytest
import torch
from tests.stacked import SIZE, write_digits

from genexp.data.sampler import Share
from genexp.data.spec import SPLITS
from genexp.data.stacked import StackedMNIST, stack
from genexp.errors import UserError

MNIST = Path(os.environ.get("GENEXP_MNIST", Path(__file__).parents[3] / "shared" / "data" / "mnist"))
SIZES = {"train_size": 900, "val_size": 80, "ref_size": 200, "floor_size": 300}


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    return write_digits(tmp_path_factory.mktemp("digits"))


def make(path, **options):
    return StackedMNIST(path, size=SIZE, **{**SIZES, **options})


def numbers(x):
    """The number that each channel's digit has in its parquet file, (N, 3), of images in [-1, 1]."""
    pixels = ((x + 1) * 127.5).round().long()
    return 256 * pixels[:, :, 0, 0] + pixels[:, :, 0, 1]


def brightness(x):
    """The class of each channel by its grey level, (N, 3)."""
    return (((x + 1) * 127.5)[:, :, 4, 4] / 25).round().long()


@pytest.mark.parametrize("split", SPLITS)
def test_the_class_is_the_number_that_the_digits_write(path, split):
    found = make(path).split(split)
    assert found.x.shape == (SIZES[f"{split}_size"], 3, SIZE, SIZE)
    digits = brightness(found.x)
    assert torch.equal(100 * digits[:, 0] + 10 * digits[:, 1] + digits[:, 2], found.y)
    assert len(found.y.unique()) > 60


def test_no_digit_is_in_two_splits(path):
    data = make(path)
    used = {name: set(numbers(data.split(name).x).flatten().tolist()) for name in SPLITS}
    assert not used["train"] & used["val"]  # both of the digits' train file
    assert not used["ref"] & used["floor"]  # both of their test file
    own = {name: set(data.digits.stored.indices[name].tolist()) for name in SPLITS}
    assert used["train"] <= own["train"] and {n + 400 for n in used["ref"]} <= own["ref"]


def test_an_image_is_a_function_of_seed_and_index(path):
    first, again, other = make(path), make(path, train_size=30), make(path, stack_seed=1)
    assert torch.equal(first.split("train").x[:30], again.split("train").x)
    assert torch.equal(first.split("ref").x, again.split("ref").x)
    assert not torch.equal(first.split("ref").x, other.split("ref").x)
    assert len({data.content_id() for data in (first, again, other, make(path))}) == 3


def test_digits_and_places_are_drawn_alike():
    chosen = stack(torch.arange(7, 17), 30_000, seed=3, stream=0) - 7
    counts = torch.stack([torch.bincount(chosen[:, channel], minlength=10) for channel in range(3)]).float()
    assert ((counts - 3000).abs() < 5 * (3000 * 0.9) ** 0.5).all()
    pairs = torch.bincount(10 * chosen[:, 0] + chosen[:, 1], minlength=100).float()
    assert ((pairs - 300).abs() < 5 * 300**0.5).all()


def test_the_batch_of_a_step_is_of_its_train_split(path):
    data = make(path)
    batch = data.step_dataset(seed=5, share=Share(1, 64))[3]
    train = {tuple(row) for row in numbers(data.split("train").x).tolist()}
    assert batch["x"].shape == (64, 3, SIZE, SIZE)
    assert {tuple(row) for row in numbers(batch["x"]).tolist()} <= train
    digits = brightness(batch["x"])
    assert torch.equal(100 * digits[:, 0] + 10 * digits[:, 1] + digits[:, 2], batch["y"])
    halves = [data.step_dataset(seed=5, share=Share(1, 64, rank, 2))[3]["x"] for rank in range(2)]
    assert torch.equal(torch.cat(halves), batch["x"])


@pytest.mark.parametrize("wrong", [{"shape": [1, 8, 8]}, {"num_classes": 10}, {"levels": 17}, {"ref_size": 0}])
def test_what_is_stated_otherwise_is_refused(path, wrong):
    with pytest.raises(UserError, match=next(iter(wrong))):
        make(path, **wrong)


@pytest.mark.slow
@pytest.mark.skipif(not MNIST.is_dir(), reason=f"no MNIST at {MNIST}")
def test_real_digits(tmp_path):
    data = StackedMNIST(str(MNIST), cache_dir=tmp_path, train_size=2000, ref_size=25_600)
    digits = data.digits
    assert (len(digits.split("ref").x), data.shape, data.num_classes) == (5000, (3, 28, 28), 1000)
    ref = data.split("ref")
    assert len(ref.y.unique()) == 1000
    chosen = data.stored.pixels.index_select(0, data.stored.indices["ref"][:50])
    pixels = digits.stored.pixels[digits.stored.indices["ref"]].flatten(1)
    assert all((pixels == image.flatten()).all(dim=1).any() for image in chosen.flatten(0, 1))
