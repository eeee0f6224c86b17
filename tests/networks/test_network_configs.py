"""Every file under conf/network gives the two factories that models call."""

from pathlib import Path

import pytest
import torch
from hydra import compose, initialize_config_dir
from hydra.utils import instantiate

from genexp import config as configs
from genexp.assembly import build_model
from genexp.errors import UserError
from genexp.networks.normalisation import batch_coupled
from genexp.objectives.constraints import SpectralNormalisation
from genexp.objectives.penalties import R1, Step

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


@pytest.fixture
def parts():
    """Decoder, encoder, latents and images of an option, small."""

    def make(option):
        torch.manual_seed(0)
        network = _network(f"+network={option}", "network.decoder.width=16", "network.encoder.width=16")
        decoder, encoder = network["decoder"](latent_dim=5, shape=(3, 8, 8)), network["encoder"](shape=(3, 8, 8))
        return decoder, encoder, torch.randn(8, 5), torch.randn(8, 3, 8, 8).tanh()

    return make


@pytest.mark.parametrize("option", OPTIONS)
def test_channels_last_and_half_precision_give_the_same_function(option, parts):
    decoder, encoder, z, x = parts(option)
    for network, inputs in ((decoder, z), (encoder, x)):
        expected = network(inputs)
        network.to(memory_format=torch.channels_last)
        inputs = inputs.contiguous(memory_format=torch.channels_last) if inputs.ndim == 4 else inputs
        torch.testing.assert_close(network(inputs), expected, rtol=1e-3, atol=1e-4)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            rough = network(inputs)
        assert rough.shape == expected.shape
        assert (rough.float() - expected).norm() < 0.1 * expected.norm()
        rough.float().square().sum().backward()
        assert all(p.grad is not None and p.grad.isfinite().all() for p in network.parameters())


def _critic(option):
    free = {"progressive": ["network.encoder.group=1"], "stylegan": []}
    overrides = free.get(option, ["network.encoder.norm=none"])
    network = _network(f"+network={option}", "network.encoder.width=16", *overrides)
    return network["encoder"](shape=(1, 8, 8), outputs=1)


@pytest.mark.parametrize("option", OPTIONS)
def test_a_penalty_on_slopes_reaches_the_weights(option):
    torch.manual_seed(0)
    critic, x = _critic(option), torch.randn(6, 1, 8, 8)
    assert not batch_coupled(critic)
    R1()(lambda x: critic(x).squeeze(1), x, x, Step()).backward()
    moved = [p.grad for p in critic.parameters() if p.grad is not None]
    assert all(gradient.isfinite().all() for gradient in moved)
    assert sum(gradient.abs().max() > 0 for gradient in moved) >= len(list(critic.parameters())) // 2  # not biases


@pytest.mark.parametrize("option", OPTIONS)
def test_spectral_normalisation_takes_every_weight(option):
    torch.manual_seed(0)
    constraint = SpectralNormalisation(warm_up=300)
    critic = constraint.prepare(_critic(option))
    weights = [m.weight for m in critic.modules() if isinstance(m, torch.nn.Linear | torch.nn.Conv2d)]
    assert len(weights) >= 2
    for weight in weights:
        assert torch.linalg.matrix_norm(weight.flatten(1), 2).item() == pytest.approx(1.0, abs=0.02)
    before = critic(torch.ones(1, 1, 8, 8))
    constraint(critic)
    torch.testing.assert_close(critic(torch.ones(1, 1, 8, 8)), before, rtol=0.05, atol=1e-3)


def test_a_penalty_on_slopes_refuses_the_deviation_within_a_batch():
    words = ["network=progressive", "network.encoder.width=8", "network.decoder.width=8", "penalty=r1"]
    with pytest.raises(UserError, match="MinibatchDeviation in the critic mixes: set network.encoder.group=1"):
        build_model(configs.compose_train(words).config)
    build_model(configs.compose_train([*words, "network.encoder.group=1"]).config)


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
