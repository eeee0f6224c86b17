"""Layers that double or halve a map, and the checkerboards that they may leave.

A transposed convolution writes its kernel at every second pixel. If the kernel's size is no multiple of the stride,
neighbouring pixels get unequal numbers of contributions: 5 x 5 leaves a checkerboard that the weights have to undo, 4 x
4 does not, and neither does a resize with a convolution behind it. The gradient of a strided convolution has the same
pattern.

References:
    Deconvolution and Checkerboard Artifacts (Odena, Dumoulin, Olah, 2016), https://distill.pub/2016/deconv-checkerboard
"""

from collections.abc import Callable
from functools import partial

from torch import nn

from genexp.networks.arguments import at_least, choose

Up = str | Callable[..., nn.Module]


def _transposed(inputs: int, outputs: int, kernel: int, bias: bool) -> nn.Module:
    padding, missing = (kernel - 1) // 2, kernel % 2
    return nn.ConvTranspose2d(inputs, outputs, kernel, 2, padding, output_padding=missing, bias=bias)


def _resized(inputs: int, outputs: int, kernel: int, bias: bool, mode: str) -> nn.Module:
    odd = kernel - 1 + kernel % 2
    return nn.Sequential(resize(mode), nn.Conv2d(inputs, outputs, odd, padding=odd // 2, bias=bias))


UPS: dict[str, Callable[..., nn.Module]] = {
    "transposed": _transposed,
    "nearest": partial(_resized, mode="nearest"),
    "bilinear": partial(_resized, mode="bilinear"),
}

RESIZES: dict[str, Callable[[], nn.Module]] = {
    "nearest": partial(nn.Upsample, scale_factor=2, mode="nearest"),
    # as nearest, then a blur by (1, 2, 1)/4 along each side
    "bilinear": partial(nn.Upsample, scale_factor=2, mode="bilinear", align_corners=False),
}


def resize(choice: Up) -> nn.Module:
    """A layer without parameters that doubles a map: `nearest`, `bilinear`, or what a callable makes.

    Raises:
        UserError: the name is unknown.
    """
    return choose(choice, RESIZES, "up")()


def doubling(choice: Up, inputs: int, outputs: int, kernel: int, bias: bool) -> nn.Module:
    """A layer from (B, inputs, S, S) to (B, outputs, 2S, 2S).

    Arguments:
        choice: `transposed` (a transposed convolution of stride 2), `nearest` or `bilinear` (a resize and a
            convolution), or a callable of the other arguments.
        inputs: channels that come in.
        outputs: channels that go out.
        kernel: pixels of the kernel's side; a convolution behind a resize takes one less if it is even.
        bias: whether there is one.

    Raises:
        UserError: the name is unknown, or the kernel too small.

    Example:
        >>> import torch
        >>> x = torch.zeros(1, 3, 5, 5)
        >>> {doubling(up, 3, 2, kernel, bias=False)(x).shape for up in UPS for kernel in (2, 3, 4, 5)}
        {torch.Size([1, 2, 10, 10])}
    """
    at_least(2, kernel=kernel)
    return choose(choice, UPS, "up")(inputs, outputs, kernel, bias)


def halving(inputs: int, outputs: int, kernel: int, bias: bool) -> nn.Module:
    """A convolution of stride 2 from (B, inputs, 2S, 2S) to (B, outputs, S, S).

    Raises:
        UserError: the kernel is too small.
    """
    at_least(2, kernel=kernel)
    return nn.Conv2d(inputs, outputs, kernel, stride=2, padding=(kernel - 1) // 2, bias=bias)
