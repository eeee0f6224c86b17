import hashlib

import numpy as np
import pytest
import torch

from genexp.data.digits import Digits
from genexp.errors import UserError

PERMUTATION = "878c839cf1e6c357de6d62926cf41aa933885e7a9a71cbb45dbebb1750af1de5"


def test_the_permutation_is_frozen():
    indices = Digits().stored.indices
    order = np.concatenate([indices[name].numpy() for name in ("train", "ref", "floor")])
    np.testing.assert_array_equal(order, np.random.Generator(np.random.PCG64(20240)).permutation(1797))
    assert hashlib.sha256(order.astype("<i8").tobytes()).hexdigest() == PERMUTATION


def test_splits_are_disjoint_and_val_is_trained_on():
    indices = {name: set(index.tolist()) for name, index in Digits().stored.indices.items()}
    assert {name: len(index) for name, index in indices.items()} == {"train": 797, "val": 500, "ref": 500, "floor": 500}
    assert indices["train"] | indices["ref"] | indices["floor"] == set(range(1797))
    assert indices["val"] < indices["train"]


def test_val_can_be_held_out():
    held_out, usual = Digits(hold_out_val=True), Digits()
    indices = {name: set(index.tolist()) for name, index in held_out.stored.indices.items()}
    assert len(indices["train"]) == 297
    assert not indices["val"] & indices["train"]
    assert torch.equal(held_out.split("val").x, usual.split("val").x)
    assert held_out.content_id() != usual.content_id()


def test_pixels_lie_on_seventeen_levels():
    x = torch.cat([Digits().split(name).x for name in ("train", "ref", "floor")])
    assert torch.equal(x.unique(), torch.linspace(-1, 1, 17))


def test_classes_are_those_of_the_images():
    from sklearn.datasets import load_digits

    y = torch.cat([Digits().split(name).y for name in ("train", "ref", "floor")])
    assert y.bincount().tolist() == np.bincount(load_digits().target).tolist()


@pytest.mark.parametrize("stated", [{"shape": [1, 16, 16]}, {"num_classes": 0}, {"levels": 256}])
def test_what_the_config_states_must_be_true(stated):
    with pytest.raises(UserError, match=f"dataset.{next(iter(stated))}="):
        Digits(**stated)
