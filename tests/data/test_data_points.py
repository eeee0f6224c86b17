import pytest
import torch

from genexp.data.densities import Checkerboard, GaussianMixture, Ring
from genexp.data.points import Points
from genexp.errors import UserError


def test_splits_and_training_share_no_point():
    data = Points("ring8", Ring(), num_classes=8, split_size=500)
    data.configure(seed=20240, batch_size=500, batches_per_step=1, start_step=0, max_steps=4)
    parts = [batch["x"] for batch in data.train_dataloader()]
    parts += [data.split(name).x for name in ("train", "val", "ref", "floor")]
    assert len(torch.cat(parts).unique(dim=0)) == len(parts) * 500


def test_content_id_follows_the_density_and_the_splits():
    def content_id(density, **options):
        return Points("name", density, num_classes=density.num_classes, **options).content_id()

    ids = [content_id(Ring()), content_id(Ring(std=0.02)), content_id(Checkerboard()), content_id(Ring(), split_size=5)]
    assert len(set(ids)) == 4
    assert content_id(Ring(8, 1.0, 0.01)) == ids[0]


def test_classes_are_modes():
    density = GaussianMixture([[0, 0, 0], [5, 5, 5]], 0.1)
    data = Points("far", density, shape=[3], num_classes=2, split_size=100)
    split = data.split("ref")
    assert torch.equal((split.x.mean(dim=1) > 2.5).long(), split.y)
    assert data.density is density
    assert data.levels is None


@pytest.mark.parametrize("stated", [{"shape": [3]}, {"num_classes": 7}, {"levels": 256}, {"split_size": 0}])
def test_what_the_config_states_must_be_true(stated):
    with pytest.raises(UserError, match=f"dataset.{next(iter(stated))}="):
        Points("ring8", Ring(), **{"num_classes": 8, **stated})
