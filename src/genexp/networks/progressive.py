r"""The networks of progressive growing, whole from the start: plain stacks with equalised learning rates.

The decoder normalises its latents and the vector of every pixel behind each layer; the encoder looks at the
deviation within groups of samples before its last layers. Two convolutions of 3 x 3 at each resolution, leaky ReLUs
of slope 0.2, weights of unit variance that are scaled where they are used. Resolutions do not fade in: all layers
are trained from the first step.

References:
    Progressive Growing of GANs for Improved Quality, Stability, and Variation (Karras et al., 2018),
    https://arxiv.org/abs/1710.10196
"""

import math
from collections.abc import Sequence
from itertools import pairwise

from torch import Tensor, nn

from genexp.networks.activations import Activation, output_activation
from genexp.networks.arguments import at_least, square_image_shape
from genexp.networks.dcgan import base_map, channels_per_level
from genexp.networks.equalised import equalised
from genexp.networks.minibatch import MinibatchDeviation
from genexp.networks.normalisation import PixelNorm
from genexp.networks.resizing import Up, resize


def _convolution(inputs: int, outputs: int, kernel: int = 3) -> nn.Module:
    return nn.Conv2d(inputs, outputs, kernel, padding=kernel // 2)


class ProgressiveDecoder(nn.Module):
    """From latents to square images, doubling the map at each level.

    Arguments:
        latent_dim: dimensions of a latent.
        shape: the shape of one image, (C, H, W) with H = W.
        width: channels of the finest map; they double towards the base map.
        max_width: the most channels of a map.
        base: pixels of the base map; None finds the one of 4 to 7 pixels.
        up: `nearest` or `bilinear`.
        output: `identity`, as in the paper, or `tanh`.

    Raises:
        UserError: the data is not square images of a size that doublings reach, or an argument is unknown.
    """

    def __init__(
        self,
        latent_dim: int,
        shape: Sequence[int],
        width: int = 64,
        max_width: int = 256,
        base: int | None = None,
        up: Up = "nearest",
        output: Activation = "identity",
    ) -> None:
        super().__init__()
        at_least(1, latent_dim=latent_dim, width=width, max_width=max_width)
        channels, size = square_image_shape(shape, "progressive")
        base, levels = base_map(size, base, "progressive")
        self.latent_dim, self.shape = latent_dim, (channels, size, size)
        widths = channels_per_level(levels + 1, width, max_width)

        def hidden(*layers: nn.Module) -> list[nn.Module]:
            return [*layers, nn.LeakyReLU(0.2), PixelNorm()]

        first = nn.Linear(latent_dim, widths[0] * base**2)
        layers = hidden(first, nn.Unflatten(1, (widths[0], base, base))) + hidden(_convolution(widths[0], widths[0]))
        for inputs, outputs in pairwise(widths):
            layers += [resize(up), *hidden(_convolution(inputs, outputs)), *hidden(_convolution(outputs, outputs))]
        self.layers = nn.Sequential(PixelNorm(), *layers)
        self.image = nn.Sequential(_convolution(widths[-1], channels, 1), output_activation(output, self.shape))
        equalised(first, gain=math.sqrt(2) / 4)  # PixelNorm follows: the gain only slows this layer
        equalised(self.layers[3:])
        equalised(self.image, gain=1.0)

    def forward(self, z: Tensor) -> Tensor:
        """Maps latents (B, latent_dim) to images (B, C, H, W)."""
        return self.image(self.layers(z))


class ProgressiveEncoder(nn.Module):
    """From square images to `outputs` numbers, halving the map at each level.

    Arguments:
        shape: the shape of one image, (C, H, W) with H = W.
        outputs: numbers per image, unbounded.
        width: channels of the finest map; they double at each halving.
        max_width: the most channels of a map.
        base: pixels of the last map; None finds the one of 4 to 7 pixels.
        group: samples whose deviation the last layers see; 1 for a network that looks at each sample by itself, as
            penalties on its slope need.

    Raises:
        UserError: the data is not square images of a size that halvings divide, or an argument is unknown.
    """

    def __init__(
        self,
        shape: Sequence[int],
        outputs: int = 1,
        width: int = 64,
        max_width: int = 256,
        base: int | None = None,
        group: int = 4,
    ) -> None:
        super().__init__()
        at_least(1, outputs=outputs, width=width, max_width=max_width, group=group)
        channels, size = square_image_shape(shape, "progressive")
        base, levels = base_map(size, base, "progressive")
        self.shape, self.outputs = (channels, size, size), outputs
        widths = channels_per_level(levels + 1, width, max_width)[::-1]  # from fine to coarse
        layers: list[nn.Module] = [_convolution(channels, widths[0], 1), nn.LeakyReLU(0.2)]
        for inputs, outs in pairwise(widths):
            layers += [_convolution(inputs, inputs), nn.LeakyReLU(0.2), _convolution(inputs, outs), nn.LeakyReLU(0.2)]
            layers += [nn.AvgPool2d(2)]
        last = widths[-1]
        layers += [MinibatchDeviation(group)] if group > 1 else []
        layers += [_convolution(last + (group > 1), last), nn.LeakyReLU(0.2), nn.Flatten()]
        self.layers = nn.Sequential(*layers, nn.Linear(last * base**2, last), nn.LeakyReLU(0.2))
        self.head = nn.Linear(last, outputs)
        equalised(self.layers)
        equalised(self.head, gain=1.0)

    def forward(self, x: Tensor) -> Tensor:
        """Maps images (B, C, H, W) to outputs (B, outputs)."""
        return self.head(self.layers(x))
