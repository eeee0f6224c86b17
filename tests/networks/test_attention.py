import math

import pytest
import torch

from genexp.errors import UserError
from genexp.networks.attention import SelfAttention
from genexp.networks.resnet import ResNetDecoder, ResNetEncoder


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(0)


@pytest.mark.parametrize("size", [2, 7, 8])
def test_it_starts_as_the_identity(size):
    x = torch.randn(2, 16, size, size)
    assert torch.equal(SelfAttention(16)(x), x)


def test_it_is_the_formula_pixel_by_pixel():
    layer = SelfAttention(16).double()
    layer.gamma.data.fill_(0.7)
    x = torch.randn(2, 16, 4, 4, dtype=torch.float64)
    theta, phi, g = (convolution(x) for convolution in (layer.theta, layer.phi, layer.g))
    assert theta.shape[1] == phi.shape[1] == 2 and g.shape[1] == 8
    places = [(i, j) for i in (0, 2) for j in (0, 2)]
    keys = torch.stack([phi[1, :, i : i + 2, j : j + 2].amax((1, 2)) for i, j in places])  # (4, 2)
    values = torch.stack([g[1, :, i : i + 2, j : j + 2].amax((1, 2)) for i, j in places])  # (4, 8)
    scores = [math.exp(theta[1, :, 3, 1].detach() @ key) for key in keys.detach()]
    told = sum(score * value for score, value in zip(scores, values, strict=True)) / sum(scores)
    expected = x[1, :, 3, 1] + 0.7 * layer.out.weight[:, :, 0, 0] @ told
    torch.testing.assert_close(layer(x)[1, :, 3, 1], expected)


def test_where_it_is_put():
    decoder, encoder = ResNetDecoder(4, (1, 32, 32), attention=[16]), ResNetEncoder((1, 32, 32), attention=[16, 4])
    seen = []
    for network in (decoder, encoder):
        for module in network.modules():
            if isinstance(module, SelfAttention):
                module.register_forward_hook(lambda module, inputs, output: seen.append(tuple(output.shape[2:])))
    encoder(decoder(torch.randn(2, 4)))
    assert seen == [(16, 16), (16, 16), (4, 4)]
    for build in (
        lambda: ResNetDecoder(4, (1, 32, 32), attention=[12]),
        lambda: ResNetEncoder((1, 32, 32), attention=[2]),
    ):
        with pytest.raises(UserError, match="names no map of this network: choose among"):
            build()


def test_penalties_differentiate_it_twice():
    layer = SelfAttention(8).double()
    layer.gamma.data.fill_(0.5)
    x = torch.randn(1, 8, 2, 2, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradgradcheck(layer, (x,))
