import pytest
import torch

from genexp.errors import UserError
from genexp.networks.glann import GLANNDecoder
from genexp.networks.mlp import MLPDecoder


def count(network):
    return sum(p.numel() for p in network.parameters())


def test_the_authors_parameter_counts():
    """T6.5: of MNIST with 64 latents, the normalisations' own parameters beside."""
    bare, normalised = (GLANNDecoder(64, (1, 28, 28), norm=norm) for norm in ("none", "batch"))
    assert count(bare) == 6_620_225
    assert count(normalised) == 6_620_225 + 12_672
    mapping = MLPDecoder(32, (64,), width=128, depth=2, norm="batch")
    assert count(mapping) == 28_672 + 512 + 64  # a bias in the last layer, which the authors leave out


@pytest.mark.parametrize("shape", [(1, 8, 8), (3, 32, 32)])
def test_shapes(shape):
    assert GLANNDecoder(5, shape, hidden=16, width=4)(torch.randn(3, 5)).shape == (3, *shape)


def test_other_sizes_are_refused():
    with pytest.raises(UserError, match="multiple of 4 pixels, not 10"):
        GLANNDecoder(5, (1, 10, 10))
