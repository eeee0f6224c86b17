import pytest
import torch
from torch import nn

from genexp.errors import UserError
from genexp.networks.initialisation import orthogonal
from genexp.networks.modulation import Modulation
from genexp.networks.resnet import Block, ResNetDecoder, ResNetEncoder


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(0)


def _count(network):
    return sum(p.numel() for p in network.parameters())


def test_parameter_counts_of_sngan():
    decoder = ResNetDecoder(128, (3, 32, 32), width=256, max_width=256)
    encoder = ResNetEncoder((3, 32, 32), width=128, max_width=128, base=8, refinements=2)
    assert _count(decoder) == 4_276_739
    assert _count(encoder) == 1_053_824


def _widths(blocks):
    return [
        (block.layers[-1] if isinstance(block.layers[-1], nn.Conv2d) else block.layers[-2]).out_channels
        for block in blocks
    ]


def test_widths_of_sngan_at_128_and_48_pixels():
    with torch.device("meta"):
        decoder = ResNetDecoder(128, (3, 128, 128), width=64, max_width=1024, init=lambda module: None)
        encoder = ResNetEncoder((3, 128, 128), width=64, max_width=1024, init=lambda module: None)
        small = ResNetDecoder(128, (3, 48, 48), width=64, max_width=512, init=lambda module: None)
    assert decoder.first[0].out_features == 1024 * 16
    assert _widths(decoder.blocks) == [1024, 512, 256, 128, 64]
    assert _widths(m for m in encoder.layers if isinstance(m, Block)) == [64, 128, 256, 512, 1024, 1024]
    assert small.first[0].out_features == 512 * 36
    assert _widths(small.blocks) == [256, 128, 64]


@pytest.mark.parametrize("resize", ["before", "after"])
def test_a_block_is_its_shortcut_where_its_convolutions_are_zero(resize):
    """The shortcut on the smaller map equals the paper's order: upsample then convolve, convolve then pool."""
    layer = nn.Upsample(scale_factor=2) if resize == "before" else nn.AvgPool2d(2)
    block = Block(3, 5, lambda channels: None, nn.ReLU, **{resize: layer})
    for convolution in (m for m in block.layers if isinstance(m, nn.Conv2d)):
        nn.init.zeros_(convolution.weight), nn.init.zeros_(convolution.bias)
    x = torch.randn(2, 3, 8, 8)
    matched = next(m for m in block.shortcut if isinstance(m, nn.Conv2d))
    torch.testing.assert_close(block(x), matched(layer(x)))
    torch.testing.assert_close(block(x), layer(matched(x)))


def test_the_first_block_reads_the_whole_range():
    """A ReLU on the image itself would hide all that is below zero."""
    encoder = ResNetEncoder((1, 8, 8), width=8, max_width=8)
    x = -torch.rand(4, 1, 8, 8)
    assert isinstance(encoder.layers[0].layers[0], nn.Conv2d)
    assert not torch.allclose(encoder(x), encoder(0.5 * x))


def test_the_scale_is_that_of_what_a_block_adds():
    block = Block(4, 4, lambda channels: None, nn.ReLU)
    x = torch.randn(2, 4, 8, 8)
    full = block(x)
    block.scale = 0.1
    torch.testing.assert_close(block(x) - x, 0.1 * (full - x))


def test_the_sum_of_a_map_is_its_mean_times_its_pixels():
    torch.manual_seed(0)
    total = ResNetEncoder((1, 16, 16), width=8, pool="sum")
    torch.manual_seed(0)
    mean = ResNetEncoder((1, 16, 16), width=8, pool="mean")
    x = torch.randn(3, 1, 16, 16)
    torch.testing.assert_close(total(x), 16 * mean(x))


def test_hierarchical_latents_reach_one_place_each():
    """BigGAN's 120 dimensions at 128 pixels are 6 times 20; here 3 parts, and each block sees its own alone."""
    decoder = ResNetDecoder(8, (1, 16, 16), width=4, self_modulation=0, hierarchical=True, init=orthogonal).eval()
    assert decoder.parts == [3, 3, 2]
    modulated = [m for m in decoder.modules() if isinstance(m, Modulation)]
    assert [m.affine.in_features for m in modulated] == [3, 3, 2, 2]  # two in each block, none before the image
    seen = []
    for module in (decoder.first, *decoder.blocks):
        module.register_forward_hook(lambda module, inputs, output: seen.append(output))
    z = torch.randn(1, 8)
    decoder(z)
    changed = z.clone()
    changed[:, 6:] += 1  # the last part
    decoder(changed)
    assert torch.equal(seen[0], seen[3]) and torch.equal(seen[1], seen[4]) and not torch.equal(seen[2], seen[5])
    with torch.device("meta"):
        large = ResNetDecoder(
            120, (3, 128, 128), 96, 1536, self_modulation=0, hierarchical=True, init=lambda module: None
        )
    assert large.parts == [20] * 6
    assert _widths(large.blocks) == [1536, 768, 384, 192, 96]


def test_orthogonal_weights_of_a_whole_network():
    decoder = ResNetDecoder(8, (1, 16, 16), width=4, self_modulation=0, hierarchical=True, init=orthogonal)
    for layer in (m for m in decoder.modules() if isinstance(m, nn.Linear | nn.Conv2d)):
        singular = torch.linalg.svdvals(layer.weight.flatten(1))
        torch.testing.assert_close(singular, torch.ones_like(singular))


@pytest.mark.parametrize(
    ("build", "sentence"),
    [
        (lambda: ResNetDecoder(8, (1, 16, 16), hierarchical=True), "hierarchical=true .* set self_modulation=0"),
        (
            lambda: ResNetDecoder(2, (1, 16, 16), self_modulation=0, hierarchical=True),
            "latents in 3 parts: give at least",
        ),
        (lambda: ResNetEncoder((1, 8, 8), pool="max"), "pool=max is unknown: choose one of sum, mean"),
        (lambda: ResNetDecoder(8, (1, 9, 9)), "network=resnet doubles a base map .* never gives 9"),
        (lambda: ResNetDecoder(8, (1, 16, 16), up="transposed"), "up=transposed is unknown: choose one of nearest"),
        (lambda: ResNetEncoder((1, 8, 8), refinements=-1), "refinements=-1 is too small"),
    ],
)
def test_impossible_arguments_end_in_a_sentence(build, sentence):
    with pytest.raises(UserError, match=sentence):
        build()
