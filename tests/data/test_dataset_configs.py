"""Every file of the dataset group builds, and states what is true."""

import inspect
from pathlib import Path

import pytest
import torch
from hydra.utils import get_method, instantiate
from omegaconf import OmegaConf

from genexp.data.module import DataModule

FILES = sorted((Path(__file__).parents[2] / "conf" / "dataset").glob("*.yaml"))
EXPECTED = {  # name: shape, classes, levels
    "celeba": ((3, 64, 64), 0, 256),
    "checkerboard": ((2,), 0, None),
    "cifar10": ((3, 32, 32), 10, 256),
    "digits": ((1, 8, 8), 10, 17),
    "fashion_mnist": ((1, 28, 28), 10, 256),
    "gaussian_mixture": ((2,), 3, None),
    "grid25": ((2,), 25, None),
    "image_folder": ((3, 64, 64), 0, 256),
    "mnist": ((1, 28, 28), 10, 256),
    "ring8": ((2,), 8, None),
    "stacked_mnist": ((3, 28, 28), 1000, 256),
    "swiss_roll": ((2,), 0, None),
    "two_moons": ((2,), 0, None),
}


def load(path, cache):
    root = OmegaConf.create({"paths": {"cache": str(cache)}, "dataset": OmegaConf.load(path)})
    root.dataset.pop("defaults", None)
    OmegaConf.resolve(root)
    return root.dataset


def test_every_file_is_known():
    assert [path.stem for path in FILES] == sorted(EXPECTED)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_the_file_builds_and_states_what_is_true(path, tmp_path):
    config = load(path, tmp_path)
    data = instantiate(config, _convert_="all")
    assert isinstance(data, DataModule)
    shape, classes, levels = EXPECTED[path.stem]
    assert (data.name, data.shape, data.num_classes, data.levels) == (path.stem, shape, classes, levels)
    assert (tuple(config.shape), config.num_classes, config.levels) == (shape, classes, levels)
    assert data.num_workers == 0
    assert not list(tmp_path.iterdir())
    if len(shape) == 1:
        (override,) = OmegaConf.load(path).defaults
        assert [(key.split("@")[0], value) for key, value in override.items()] == [("override /evaluation", "points")]
        assert data.split("ref").x.shape == (10_000, *shape)
        assert torch.isfinite(data.density.log_prob(data.split("ref").x)).all()


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_the_file_shows_every_argument(path, tmp_path):
    config = load(path, tmp_path)
    for node in (config, config.get("density")):
        if node is not None:
            assert set(node) - {"_target_"} == set(inspect.signature(get_method(node._target_)).parameters)


def test_the_shape_follows_size_and_channels(tmp_path):
    root = OmegaConf.create(
        {"paths": {"cache": str(tmp_path)}, "dataset": OmegaConf.load(FILES[0].with_name("mnist.yaml"))}
    )
    root.dataset.size, root.dataset.channels = 32, 3
    assert instantiate(root, _convert_="all")["dataset"].shape == (3, 32, 32)
