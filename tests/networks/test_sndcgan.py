import pytest
import torch
from torch import nn

from genexp.errors import UserError
from genexp.networks.sndcgan import SNDCGANDecoder, SNDCGANEncoder, doublings


def _count(network):
    return sum(p.numel() for p in network.parameters())


def test_the_published_networks():
    decoder, encoder = SNDCGANDecoder(128, (3, 32, 32)), SNDCGANEncoder((3, 32, 32))
    assert _count(decoder) == 3_828_739
    assert _count(encoder) == 5_860_865
    convolutions = [m for m in encoder.modules() if isinstance(m, nn.Conv2d)]
    assert [(m.out_channels, m.kernel_size[0], m.stride[0]) for m in convolutions] == [
        (64, 3, 1),
        (128, 4, 2),
        (128, 3, 1),
        (256, 4, 2),
        (256, 3, 1),
        (512, 4, 2),
        (512, 3, 1),
    ]
    assert {m.negative_slope for m in encoder.modules() if isinstance(m, nn.LeakyReLU)} == {0.1}
    assert not any(isinstance(m, nn.BatchNorm2d) for m in encoder.modules())


def test_doublings_of_any_even_size():
    for size in range(4, 65, 2):
        levels = doublings(size, None)
        assert size % 2**levels == 0 and size // 2**levels >= 2 and levels <= 3
    assert doublings(64, 4) == 4


@pytest.mark.parametrize(
    ("build", "sentence"),
    [
        (lambda: doublings(9, None), "doubles to 9 pixels: resize the images to an even size"),
        (lambda: doublings(28, 3), "levels=3: .* doubles to 28 pixels: set levels to at most 2, or to null"),
        (lambda: SNDCGANDecoder(4, (1, 8, 8), norm="instance"), "norm=instance cannot: use layer or group"),
        (lambda: SNDCGANEncoder((2,)), "network=sndcgan needs images"),
    ],
)
def test_impossible_arguments_end_in_a_sentence(build, sentence):
    with pytest.raises(UserError, match=sentence):
        build()


def test_the_base_map_is_normalised_as_a_vector():
    decoder = SNDCGANDecoder(16, (1, 8, 8), width=4)
    norm = next(m for m in decoder.modules() if isinstance(m, nn.BatchNorm2d))
    assert norm.num_features == 16 * 2 * 2
    assert decoder(torch.randn(5, 16)).shape == (5, 1, 8, 8)
