r"""Residual networks for square images of any size $s = b \cdot 2^k$: SNGAN's, and with other arguments BigGAN's.

Each block adds to its input, resized, what two convolutions of 3 x 3 make of it: norm, ReLU, resize, convolution,
norm, ReLU, convolution in the decoder; ReLU, convolution, ReLU, convolution, average pooling in the encoder, whose
first block reads the image itself and so has no ReLU before it. The shortcut has a convolution of 1 x 1 where
channels or resolution change; it commutes with nearest or bilinear resizing and with average pooling, and is done
on the smaller map. All strides are 1, so nothing leaves a checkerboard.

With images (3, 32, 32), 128 latent dimensions and `width=256, max_width=256` in the decoder, `width=128,
max_width=128, base=8, refinements=2` in the encoder, these are SNGAN's networks for CIFAR-10: 4,276,739 and
1,053,824 parameters.

References:
    Spectral Normalization for Generative Adversarial Networks (Miyato et al., 2018), https://arxiv.org/abs/1802.05957
    Large Scale GAN Training for High Fidelity Natural Image Synthesis (Brock et al., 2018),
    https://arxiv.org/abs/1809.11096
"""

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import ClassVar

from torch import Tensor, nn

from genexp.errors import UserError
from genexp.networks.activations import Activation, output_activation
from genexp.networks.activations import activation as choose_activation
from genexp.networks.arguments import at_least, choose, square_image_shape
from genexp.networks.attention import SelfAttention, check_attention
from genexp.networks.dcgan import base_map, channels_per_level
from genexp.networks.initialisation import Initialisation, xavier
from genexp.networks.modulation import Layers, modulated_norm
from genexp.networks.normalisation import Norm, map_norm
from genexp.networks.resizing import Up, resize

Make = Callable[[], nn.Module]
MakeNorm = Callable[[int], nn.Module | None]

POOLS: dict[str, Callable[[Tensor], Tensor]] = {
    "sum": lambda maps: maps.sum((2, 3)),
    "mean": lambda maps: maps.mean((2, 3)),
}


class Block(nn.Module):
    r"""Shortcut plus `scale` times two convolutions.

    Arguments:
        inputs: channels that come in.
        outputs: channels that go out.
        normalise: makes the normalisation before each activation, None for none.
        activate: makes an activation.
        before: resizes the map before the first convolution and on the shortcut, None for no change.
        after: resizes the map after the second convolution and on the shortcut, None for no change.
        first: whether it reads data, and so starts with the convolution.
        scale: the factor.
    """

    takes_style: ClassVar[bool] = True

    def __init__(
        self,
        inputs: int,
        outputs: int,
        normalise: MakeNorm,
        activate: Make,
        before: nn.Module | None = None,
        after: nn.Module | None = None,
        first: bool = False,
        scale: float = 1.0,
    ) -> None:
        super().__init__()
        self.scale = scale
        start = [] if first else [normalise(inputs), activate()]
        layers = [*start, before, nn.Conv2d(inputs, outputs, 3, padding=1), normalise(outputs), activate()]
        layers += [nn.Conv2d(outputs, outputs, 3, padding=1), after]
        self.layers = Layers(*[layer for layer in layers if layer is not None])
        changes = inputs != outputs or before is not None or after is not None
        matched = nn.Conv2d(inputs, outputs, 1) if changes else None
        self.shortcut = nn.Sequential(*[layer for layer in (after, matched, before) if layer is not None])

    def forward(self, x: Tensor, style: Tensor | None = None) -> Tensor:
        """Maps (B, inputs, S, S) and styles (B, style_dim) to (B, outputs, S', S')."""
        changed = self.layers(x, style)
        return self.shortcut(x) + (changed if self.scale == 1 else self.scale * changed)


def split(total: int, parts: int) -> list[int]:
    """Sizes that differ by at most one, the larger ones first.

    Example:
        >>> split(20, 6)
        [4, 4, 3, 3, 3, 3]
    """
    return [total // parts + (part < total % parts) for part in range(parts)]


class ResNetDecoder(nn.Module):
    """From latents to square images, doubling the map in each block.

    Arguments:
        latent_dim: dimensions of a latent.
        shape: the shape of one image, (C, H, W) with H = W.
        width: channels of the finest block; they double towards the base map.
        max_width: the most channels of a map.
        base: pixels of the base map; None finds the one of 4 to 7 pixels.
        activation: `relu`, `leaky_relu`, `silu`, `gelu`, `elu`, `softplus`, `tanh` or a callable.
        norm: `batch`, `none`, `layer`, `instance`, `group` or a callable.
        output: `tanh` (data in [-1, 1]) or `identity`.
        init: fills the weights in place, see `genexp.networks.initialisation`.
        up: `nearest` or `bilinear`.
        attention: sides of the maps, in pixels, behind which self-attention is put.
        self_modulation: hidden units of the modulation of every normalisation by the latents, 0 for a linear one; None
            for gains and biases that do not depend on them.
        hierarchical: whether the latents are split, one part for the base map and one for the modulation in each block,
            as in BigGAN; the last normalisation is then not modulated.
        scale: the factor on what a block adds; 0.1 where nothing is normalised.

    Raises:
        UserError: the data is not square images of a size that doublings reach, or an argument is unknown or does not
            go with another.

    Example:
        >>> decoder = ResNetDecoder(latent_dim=128, shape=(3, 32, 32), width=256, max_width=256)
        >>> sum(p.numel() for p in decoder.parameters())
        4276739
    """

    def __init__(
        self,
        latent_dim: int,
        shape: Sequence[int],
        width: int = 64,
        max_width: int = 256,
        base: int | None = None,
        activation: Activation = "relu",
        norm: Norm = "batch",
        output: Activation = "tanh",
        init: Initialisation = xavier,
        up: Up = "nearest",
        attention: Sequence[int] = (),
        self_modulation: int | None = None,
        hierarchical: bool = False,
        scale: float = 1.0,
    ) -> None:
        super().__init__()
        at_least(1, latent_dim=latent_dim, width=width, max_width=max_width)
        channels, size = square_image_shape(shape, "resnet")
        base, levels = base_map(size, base, "resnet")
        sizes = [base * 2 ** (level + 1) for level in range(levels)]
        check_attention(attention, sizes)
        self.latent_dim, self.shape = latent_dim, (channels, size, size)
        self.parts = self._parts(levels, hierarchical, self_modulation)
        widths = channels_per_level(levels, width, max_width)
        widths = [min(2 * widths[0], max_width), *widths]
        activate = choose_activation(activation)
        self.first = nn.Sequential(
            nn.Linear(self.parts[0] if hierarchical else latent_dim, widths[0] * base**2),
            nn.Unflatten(1, (widths[0], base, base)),
        )
        self.blocks = nn.ModuleList()
        for level, (inputs, outputs) in enumerate(pairwise(widths)):
            style_dim = self.parts[level + 1] if hierarchical else latent_dim
            normalise = modulated_norm(norm, style_dim, self_modulation)
            block = Block(inputs, outputs, normalise, activate, before=resize(up), scale=scale)
            self.blocks.append(Layers(block, SelfAttention(outputs)) if sizes[level] in attention else block)
        last = (map_norm(norm) if hierarchical else modulated_norm(norm, latent_dim, self_modulation))(widths[-1])
        convolution = nn.Conv2d(widths[-1], channels, 3, padding=1)
        tail = [last, activate(), convolution, output_activation(output, self.shape)]
        self.image = Layers(*[layer for layer in tail if layer is not None])
        init(self)

    def _parts(self, levels: int, hierarchical: bool, hidden: int | None) -> list[int]:
        """Dimensions of each part of the latents, for the base map and for the blocks."""
        if hierarchical and hidden is None:
            raise UserError("hierarchical=true gives each block its latents by modulation: set self_modulation=0.")
        if hierarchical and self.latent_dim <= levels:
            raise UserError(
                f"hierarchical=true splits the latents in {levels + 1} parts: give at least as many dimensions."
            )
        return split(self.latent_dim, levels + 1) if hierarchical else []

    def forward(self, z: Tensor) -> Tensor:
        """Maps latents (B, latent_dim) to images (B, C, H, W)."""
        parts = z.split(self.parts, dim=1) if self.parts else [z] * (len(self.blocks) + 1)
        x = self.first(parts[0])
        for block, part in zip(self.blocks, parts[1:], strict=True):
            x = block(x, part)
        return self.image(x, z)


class ResNetEncoder(nn.Module):
    """From square images to `outputs` numbers, halving the map in each block but the last ones.

    Arguments:
        shape: the shape of one image, (C, H, W) with H = W.
        outputs: numbers per image, unbounded.
        width: channels of the first block; they double at each halving.
        max_width: the most channels of a map.
        base: pixels of the last map; None finds the one of 4 to 7 pixels.
        refinements: blocks behind the halvings that leave the size as it is.
        activation: `relu`, `leaky_relu`, `silu`, `gelu`, `elu`, `softplus`, `tanh` or a callable.
        norm: `none`, `batch`, `layer`, `instance`, `group` or a callable.
        init: fills the weights in place, see `genexp.networks.initialisation`.
        pool: `sum` or `mean` of the last map's pixels, before a linear layer without a bias. The mean of 4 x 4 pixels
            makes scores 16 times smaller.
        attention: sides of the maps, in pixels, behind which self-attention is put.
        scale: the factor on what a block adds; 0.1 where nothing is normalised.

    Raises:
        UserError: the data is not square images of a size that halvings divide, or an argument is unknown.

    Example:
        >>> encoder = ResNetEncoder(shape=(3, 32, 32), width=128, max_width=128, base=8, refinements=2)
        >>> sum(p.numel() for p in encoder.parameters())
        1053824
    """

    def __init__(
        self,
        shape: Sequence[int],
        outputs: int = 1,
        width: int = 64,
        max_width: int = 256,
        base: int | None = None,
        refinements: int = 1,
        activation: Activation = "relu",
        norm: Norm = "none",
        init: Initialisation = xavier,
        pool: str | Callable[[Tensor], Tensor] = "sum",
        attention: Sequence[int] = (),
        scale: float = 1.0,
    ) -> None:
        super().__init__()
        at_least(1, outputs=outputs, width=width, max_width=max_width)
        at_least(0, refinements=refinements)
        channels, size = square_image_shape(shape, "resnet")
        base, levels = base_map(size, base, "resnet")
        sizes = [size // 2 ** (level + 1) for level in range(levels)] + [base] * refinements
        check_attention(attention, sizes)
        self.shape, self.outputs = (channels, size, size), outputs
        widths = channels_per_level(levels, width, max_width)[::-1]
        widths = [channels, *widths, *[widths[-1]] * refinements]
        normalise, activate = map_norm(norm), choose_activation(activation)
        layers: list[nn.Module | None] = []
        for level, (inputs, outs) in enumerate(pairwise(widths)):
            pooling = nn.AvgPool2d(2) if level < levels else None
            layers.append(Block(inputs, outs, normalise, activate, after=pooling, first=level == 0, scale=scale))
            if sizes[level] in attention and sizes.index(sizes[level]) == level:
                layers.append(SelfAttention(outs))
        layers += [normalise(widths[-1]), activate()]
        self.layers = nn.Sequential(*[layer for layer in layers if layer is not None])
        self.pool = choose(pool, POOLS, "pool")
        self.head = nn.Linear(widths[-1], outputs, bias=False)
        init(self)

    def forward(self, x: Tensor) -> Tensor:
        """Maps images (B, C, H, W) to outputs (B, outputs)."""
        return self.head(self.pool(self.layers(x)))
