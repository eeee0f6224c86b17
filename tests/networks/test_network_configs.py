"""Every file under conf/network gives the two factories that models call."""

from pathlib import Path

import pytest
import torch
from hydra import compose, initialize_config_dir
from hydra.utils import instantiate

CONF = Path(__file__).parents[2] / "conf"
OPTIONS = sorted(path.stem for path in (CONF / "network").glob("*.yaml"))


def _network(*overrides):
    with initialize_config_dir(str(CONF), version_base="1.3"):
        return instantiate(compose(overrides=list(overrides)), _convert_="all")["network"]


def test_there_are_networks():
    assert {"mlp", "dcgan"} <= set(OPTIONS)


@pytest.mark.parametrize("option", OPTIONS)
def test_factories_build_both_roles(option):
    network = _network(f"+network={option}")
    decoder = network["decoder"](latent_dim=5, shape=(1, 8, 8))
    encoder = network["encoder"](shape=(1, 8, 8), outputs=3)
    assert decoder(torch.randn(4, 5)).shape == (4, 1, 8, 8)
    assert encoder(torch.randn(4, 1, 8, 8)).shape == (4, 3)


def test_keys_reach_the_network():
    network = _network(
        "+network=dcgan",
        "network.encoder.norm=none",
        "network.encoder.base=2",
        "network.encoder.init.std=0.5",
    )
    encoder = network["encoder"](shape=(1, 8, 8), outputs=1)
    assert encoder.layers[0].weight.std().item() == pytest.approx(0.5, rel=0.1)
    assert encoder.layers[-2].kernel_size == (2, 2)
    assert encoder.layers[0].bias is not None
