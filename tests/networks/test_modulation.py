import pytest
import torch
from torch import nn

from genexp.errors import UserError
from genexp.networks.dcgan import DCGANDecoder
from genexp.networks.modulation import Layers, Modulation, modulated_norm
from genexp.networks.normalisation import map_norm
from genexp.networks.resnet import ResNetDecoder

NORMS = ["batch", "layer", "instance", "group", "none"]


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(0)


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("hidden", [0, 32])
def test_without_weights_it_is_the_normalisation_without_gains(norm, hidden):
    layer, plain = modulated_norm(norm, 5, hidden)(8), map_norm(norm, affine=False)(8) or nn.Identity()
    nn.init.zeros_(layer.affine.weight), nn.init.zeros_(layer.affine.bias)
    x, style = torch.randn(4, 8, 6, 6), torch.randn(4, 5)
    for train in (True, False):
        layer.train(train), plain.train(train)
        assert torch.equal(layer(x, style), plain(x))
    assert not list(plain.parameters())


def test_it_is_the_formula():
    layer, (x, style) = (
        Modulation(nn.BatchNorm2d(3, affine=False), 3, 5, 7),
        (torch.randn(4, 3, 6, 6), torch.randn(4, 5)),
    )
    h = torch.relu(style @ layer.hidden[0].weight.T + layer.hidden[0].bias)
    gain, shift = (h @ layer.affine.weight.T + layer.affine.bias).split(3, dim=1)
    mean, variance = x.mean((0, 2, 3), keepdim=True), x.var((0, 2, 3), correction=0, keepdim=True)
    expected = (1 + gain)[:, :, None, None] * (x - mean) / (variance + 1e-5).sqrt() + shift[:, :, None, None]
    torch.testing.assert_close(layer(x, style), expected)


@pytest.mark.parametrize("norm", NORMS)
def test_each_sample_has_its_own_gains_and_gradients_reach_the_style(norm):
    layer = modulated_norm(norm, 5, 32)(8)
    x, style = torch.randn(1, 8, 6, 6).repeat(2, 1, 1, 1), torch.randn(2, 5, requires_grad=True)
    one, other = layer(x, style)
    assert not torch.allclose(one, other)
    one.square().sum().backward()
    assert style.grad[0].abs().max() > 0
    assert norm == "batch" or style.grad[1].abs().max() == 0


def test_adain_is_the_same_in_training_and_evaluation():
    layer, (x, style) = modulated_norm("instance", 5, 0)(3), (torch.randn(4, 3, 6, 6), torch.randn(4, 5))
    assert torch.equal(layer(x, style), layer.eval()(x, style))
    assert not list(layer.buffers())
    made = layer(x, style)
    gain, shift = layer.affine(style).chunk(2, dim=1)
    torch.testing.assert_close(made.mean((2, 3)), shift, rtol=1e-4, atol=1e-4)  # the style sets the statistics
    torch.testing.assert_close(made.std((2, 3), correction=0), (1 + gain).abs(), rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("decoder", [DCGANDecoder, ResNetDecoder])
@pytest.mark.parametrize("norm", NORMS)
def test_every_normalisation_of_a_generator_is_modulated(decoder, norm):
    plain = decoder(6, (1, 16, 16), width=4, norm="batch")
    network = decoder(6, (1, 16, 16), width=4, norm=norm, self_modulation=0)
    count = sum(isinstance(m, nn.BatchNorm2d) for m in plain.modules())
    found = [m for m in network.modules() if isinstance(m, Modulation)]
    assert len(found) == count >= 2
    assert network(torch.randn(3, 6)).shape == (3, 1, 16, 16)


def test_layers_hand_the_style_on():
    layers = Layers(nn.Conv2d(2, 3, 1), Layers(Modulation(None, 3, 4, 0), nn.ReLU()))
    x, style = torch.randn(2, 2, 5, 5), torch.randn(2, 4)
    assert torch.equal(layers(x, style), torch.relu(layers[1][0](layers[0](x), style)))


@pytest.mark.parametrize("wrong", [{"channels": 0}, {"style_dim": 0}, {"hidden": -1}])
def test_numbers_out_of_range_are_refused(wrong):
    with pytest.raises(UserError, match=next(iter(wrong))):
        Modulation(None, **{"channels": 3, "style_dim": 3, **wrong})
