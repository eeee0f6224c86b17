"""Initial weights have the moments and the geometry that their names promise."""

import math

import pytest
import torch
from torch import nn

from genexp.networks import initialisation
from genexp.networks.dcgan import DCGANDecoder


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(0)


def test_normal_has_the_moments_of_dcgan():
    network = nn.Sequential(
        nn.ConvTranspose2d(64, 64, 4),
        nn.BatchNorm2d(4096),
        nn.Conv2d(64, 64, 4),
        nn.Linear(64, 64),
        nn.PReLU(),
    )
    nn.init.constant_(network[1].bias, 7.0)
    initialisation.normal(network, std=0.02)
    for layer in (network[0], network[2], network[3]):
        assert layer.weight.mean().abs() < 5 * 0.02 / math.sqrt(layer.weight.numel())
        assert layer.weight.std().item() == pytest.approx(0.02, rel=0.05)
        assert layer.bias.abs().max() == 0
    assert network[1].weight.mean().item() == pytest.approx(1.0, abs=0.002)
    assert network[1].weight.std().item() == pytest.approx(0.02, rel=0.05)
    assert network[1].bias.abs().max() == 0
    assert network[4].weight.item() == 0.25  # an activation's slope is no normalisation's gain


def test_dcgan_starts_from_normal_and_takes_another():
    weight = DCGANDecoder(64, (1, 16, 16)).layers[0].weight
    assert weight.std().item() == pytest.approx(0.02, rel=0.02)
    weight = DCGANDecoder(64, (1, 16, 16), init=lambda m: initialisation.normal(m, std=0.1)).layers[0].weight
    assert weight.std().item() == pytest.approx(0.1, rel=0.02)


@pytest.mark.parametrize("layer", [nn.Linear(24, 10), nn.Conv2d(5, 8, 3), nn.ConvTranspose2d(6, 5, 4)])
def test_orthogonal_weights_have_one_singular_value(layer):
    initialisation.orthogonal(layer, gain=1.7)
    singular = torch.linalg.svdvals(layer.weight.flatten(1))
    torch.testing.assert_close(singular, torch.full_like(singular, 1.7))


def test_fans_agree_with_torch_where_nothing_is_strided_or_transposed():
    for layer in (nn.Linear(7, 3), nn.Conv2d(6, 4, (3, 5)), nn.Conv2d(6, 4, 3, groups=2)):
        fan_in, fan_out = initialisation.fans(layer)
        assert fan_in == nn.init._calculate_fan_in_and_fan_out(layer.weight)[0]
        groups = getattr(layer, "groups", 1)
        assert fan_out * groups == nn.init._calculate_fan_in_and_fan_out(layer.weight)[1]


@pytest.mark.parametrize(
    "layer", [nn.Conv2d(6, 4, 4, stride=2, padding=1), nn.ConvTranspose2d(6, 4, 4, stride=2, padding=1)]
)
def test_fans_count_the_connections(layer):
    """With unit weights, one output is the number of inputs that it reads, and conversely."""
    nn.init.ones_(layer.weight)
    nn.init.zeros_(layer.bias)
    inputs = torch.ones(1, 6, 16, 16, requires_grad=True)
    outputs = layer(inputs)
    outputs.sum().backward()
    fan_in, fan_out = initialisation.fans(layer)
    assert outputs[0, 0, 3, 3].item() == fan_in
    assert inputs.grad[0, 0, 8, 8].item() == fan_out


@pytest.mark.parametrize(
    ("layer", "shape"),
    [
        (nn.Linear(400, 400), (200, 400)),
        (nn.Conv2d(64, 64, 4, stride=2, padding=1), (8, 64, 16, 16)),
        (nn.ConvTranspose2d(64, 64, 4, stride=2, padding=1), (8, 64, 16, 16)),
    ],
)
def test_kaiming_and_xavier_keep_the_scale_of_a_signal(layer, shape):
    inputs = torch.randn(shape)
    initialisation.kaiming(layer, slope=1.0)  # slope 1: a linear layer, variance 1/fan_in
    # the border of a padded convolution reads zeros, so look at the inside
    inside = (..., slice(2, -2), slice(2, -2)) if len(shape) == 4 else ...
    assert layer(inputs)[inside].var().item() == pytest.approx(1.0, rel=0.06)
    fan_in, fan_out = initialisation.fans(layer)
    initialisation.xavier(layer)
    expected = 2 * fan_in / (fan_in + fan_out)
    assert layer(inputs)[inside].var().item() == pytest.approx(expected, rel=0.06)


def test_torch_default_changes_nothing():
    layer = nn.Linear(3, 3)
    before = layer.weight.clone()
    initialisation.torch_default(layer)
    assert torch.equal(layer.weight, before)
