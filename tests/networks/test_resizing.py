"""Checkerboards: overlaps are even where the kernel is a multiple of the stride, and behind a resize."""

import pytest
import torch
from torch import nn

from genexp.errors import UserError
from genexp.networks.dcgan import DCGANDecoder
from genexp.networks.resizing import UPS, doubling, halving, resize

PATTERNS = {
    2: [1, 1],
    3: [2, 1],
    4: [2, 2],
    5: [3, 2],
    6: [3, 3],
}  # contributions to neighbouring pixels, along one side


def _ones(layer):
    for parameter in layer.parameters():
        nn.init.ones_(parameter)
    return layer


@pytest.mark.parametrize(("kernel", "expected"), PATTERNS.items())
def test_the_table_of_overlaps(kernel, expected):
    x = torch.ones(1, 1, 8, 8)
    made = _ones(doubling("transposed", 1, 1, kernel, bias=False))(x)[0, 0]
    assert made.shape == (16, 16)
    inside = made[4:12, 4:12]
    pattern = torch.tensor(expected, dtype=torch.float)
    pattern = pattern if inside[0, 0] == pattern[0] ** 2 else pattern.flip(0)  # it starts at either parity
    assert torch.equal(inside, torch.outer(pattern.repeat(4), pattern.repeat(4)))
    assert (inside.std() == 0) == (kernel % 2 == 0)


@pytest.mark.parametrize("up", ["nearest", "bilinear"])
@pytest.mark.parametrize("kernel", [3, 4, 5])
def test_a_resize_leaves_no_checkerboard(up, kernel):
    made = _ones(doubling(up, 1, 1, kernel, bias=False))(torch.ones(1, 1, 8, 8))[0, 0]
    assert made.shape == (16, 16)
    assert made[4:12, 4:12].std() == 0


@pytest.mark.parametrize("kernel", [2, 3, 4, 5, 6])
def test_the_gradient_of_a_strided_convolution_has_the_same_pattern(kernel):
    x = torch.ones(1, 1, 16, 16, requires_grad=True)
    halved = _ones(halving(1, 1, kernel, bias=False))(x)
    assert halved.shape == (1, 1, 8, 8)
    halved.sum().backward()
    inside = x.grad[0, 0, 4:12, 4:12]
    assert (inside.std() == 0) == (kernel % 2 == 0)
    assert sorted(inside.unique().tolist()) == sorted({a * b for a in PATTERNS[kernel] for b in PATTERNS[kernel]})


def test_bilinear_is_nearest_with_a_blur():
    torch.manual_seed(0)
    x = torch.randn(1, 1, 6, 6, dtype=torch.float64)
    side = torch.tensor([1.0, 2.0, 1.0], dtype=torch.float64) / 4
    blurred = nn.functional.conv2d(resize("nearest")(x), torch.outer(side, side)[None, None], padding=1)
    torch.testing.assert_close(resize("bilinear")(x)[..., 2:-2, 2:-2], blurred[..., 2:-2, 2:-2])


@pytest.mark.parametrize("up", UPS)
@pytest.mark.parametrize("kernel", [4, 5])
def test_a_dcgan_of_ones_shows_its_checkerboard(up, kernel):
    """With unit weights and constant activations an image is flat inside, but for transposed kernels of 5."""
    decoder = DCGANDecoder(1, (1, 32, 32), 1, 1, base=8, norm="none", output="identity", kernel=kernel, up=up)
    inside = _ones(decoder).double()(torch.ones(1, 1, dtype=torch.float64))[0, 0, 12:20, 12:20]
    assert (inside.std() / inside.mean() > 0.01) == (kernel == 5 and up == "transposed")


def test_impossible_arguments_end_in_a_sentence():
    with pytest.raises(UserError, match="up=transpose is unknown: choose one of transposed, nearest, bilinear"):
        doubling("transpose", 1, 1, 4, bias=True)
    with pytest.raises(UserError, match="kernel=1 is too small"):
        halving(1, 1, 1, bias=True)
