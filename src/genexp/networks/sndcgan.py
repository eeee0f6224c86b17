r"""SNDCGAN: a deeper pyramid without normalisation in its critic, made for spectral normalisation.

The decoder is a linear layer to a base map, then kernels of 4 x 4 that double it, then 3 x 3 to the image. The
encoder has a convolution of 3 x 3 at every resolution and kernels of 4 x 4 that halve the map, with leaky ReLUs of
slope 0.1, and a linear layer on all that is left. Every layer has a bias. The bound on the critic's slope is not
part of the network: add `constraint=spectral`.

With images (3, 32, 32), 128 latent dimensions and 64 channels there are 3,828,739 parameters in the decoder and
5,860,865 in the encoder.

References:
    Spectral Normalization for Generative Adversarial Networks (Miyato et al., 2018), https://arxiv.org/abs/1802.05957
    A Large-Scale Study on Regularization and Normalization in GANs (Kurach et al., 2018),
    https://arxiv.org/abs/1807.04720
"""

from collections.abc import Sequence
from functools import partial
from itertools import pairwise

from torch import Tensor, nn

from genexp.errors import UserError
from genexp.networks.activations import Activation, output_activation
from genexp.networks.activations import activation as choose_activation
from genexp.networks.arguments import at_least, square_image_shape
from genexp.networks.dcgan import channels_per_level
from genexp.networks.initialisation import Initialisation, normal
from genexp.networks.modulation import Layers, modulated_norm
from genexp.networks.normalisation import Norm, map_norm
from genexp.networks.resizing import Up, doubling, halving


def doublings(size: int, levels: int | None) -> int:
    """How often a base map is doubled: as told, or up to three times, from at least 2 pixels.

    Raises:
        UserError: no base map of at least 2 pixels doubles to the size so often.

    Example:
        >>> doublings(32, None), doublings(28, None), doublings(8, None)
        (3, 2, 2)
    """
    possible = [level for level in range(1, size.bit_length()) if size % 2**level == 0 and size >= 2 * 2**level]
    if levels is None and possible:
        return min(3, possible[-1])
    if levels not in possible:
        advice = (
            f"set levels to at most {possible[-1]}, or to null" if possible else "resize the images to an even size"
        )
        asked = "" if levels is None else f"levels={levels}: "
        raise UserError(f"network=sndcgan, {asked}no base map of 2 pixels or more doubles to {size} pixels: {advice}.")
    return levels


class SNDCGANDecoder(nn.Module):
    """From latents to square images.

    Arguments:
        latent_dim: dimensions of a latent.
        shape: the shape of one image, (C, H, W) with H = W.
        width: channels of the finest hidden map; they double towards the base map.
        max_width: the most channels of a map.
        levels: doublings; None for three, or as many as the size allows.
        activation: `relu`, `leaky_relu`, `silu`, `gelu`, `elu`, `softplus`, `tanh` or a callable.
        norm: `batch`, `none`, `layer`, `group` or a callable. The base map is normalised as one vector.
        output: `tanh` (data in [-1, 1]) or `identity`.
        init: fills the weights in place, see `genexp.networks.initialisation`.
        up: what doubles the map: `transposed`, `nearest` or `bilinear`, see `genexp.networks.resizing`.
        self_modulation: hidden units of the modulation of every normalisation by the latents, 0 for a linear one; None
            for gains and biases that do not depend on them.

    Raises:
        UserError: the data is not square images of a size that doublings reach, or an argument is unknown.

    Example:
        >>> decoder = SNDCGANDecoder(latent_dim=128, shape=(3, 32, 32))
        >>> sum(p.numel() for p in decoder.parameters())
        3828739
    """

    def __init__(
        self,
        latent_dim: int,
        shape: Sequence[int],
        width: int = 64,
        max_width: int = 512,
        levels: int | None = None,
        activation: Activation = "relu",
        norm: Norm = "batch",
        output: Activation = "tanh",
        init: Initialisation = normal,
        up: Up = "transposed",
        self_modulation: int | None = None,
    ) -> None:
        super().__init__()
        at_least(1, latent_dim=latent_dim, width=width, max_width=max_width)
        channels, size = square_image_shape(shape, "sndcgan")
        levels = doublings(size, levels)
        self.latent_dim, self.shape = latent_dim, (channels, size, size)
        if norm == "instance":
            raise UserError(
                "network=sndcgan normalises a vector first, which norm=instance cannot: use layer or group."
            )
        normalise, activate = modulated_norm(norm, latent_dim, self_modulation), choose_activation(activation)
        widths = channels_per_level(levels + 1, width, max_width)
        base, flat = size // 2**levels, widths[0] * (size // 2**levels) ** 2
        layers: list[nn.Module | None] = [nn.Linear(latent_dim, flat), nn.Unflatten(1, (flat, 1, 1))]
        layers += [normalise(flat), activate(), nn.Flatten(), nn.Unflatten(1, (widths[0], base, base))]
        for inputs, outputs in pairwise(widths):
            layers += [doubling(up, inputs, outputs, kernel=4, bias=True), normalise(outputs), activate()]
        layers += [nn.Conv2d(widths[-1], channels, 3, padding=1), output_activation(output, self.shape)]
        self.layers = Layers(*[layer for layer in layers if layer is not None])
        init(self)

    def forward(self, z: Tensor) -> Tensor:
        """Maps latents (B, latent_dim) to images (B, C, H, W)."""
        return self.layers(z, z)


class SNDCGANEncoder(nn.Module):
    """From square images to `outputs` numbers.

    Arguments:
        shape: the shape of one image, (C, H, W) with H = W.
        outputs: numbers per image, unbounded.
        width: channels of the finest map; they double at each halving.
        max_width: the most channels of a map.
        levels: halvings; None for three, or as many as the size allows.
        activation: `leaky_relu_0.1`, `relu`, `leaky_relu` (slope 0.2), `silu`, `gelu`, `elu`, `softplus`, `tanh` or a
            callable.
        norm: `none`, `batch`, `layer`, `instance`, `group` or a callable, on all layers but the first.
        init: fills the weights in place, see `genexp.networks.initialisation`.

    Raises:
        UserError: the data is not square images of a size that halvings divide, or an argument is unknown.

    Example:
        >>> encoder = SNDCGANEncoder(shape=(3, 32, 32))
        >>> sum(p.numel() for p in encoder.parameters())
        5860865
    """

    def __init__(
        self,
        shape: Sequence[int],
        outputs: int = 1,
        width: int = 64,
        max_width: int = 512,
        levels: int | None = None,
        activation: Activation = "leaky_relu_0.1",
        norm: Norm = "none",
        init: Initialisation = normal,
    ) -> None:
        super().__init__()
        at_least(1, outputs=outputs, width=width, max_width=max_width)
        channels, size = square_image_shape(shape, "sndcgan")
        levels = doublings(size, levels)
        self.shape, self.outputs = (channels, size, size), outputs
        normalise, activate = map_norm(norm), choose_activation(activation)
        same, halve = partial(nn.Conv2d, kernel_size=3, padding=1), partial(halving, kernel=4, bias=True)
        widths = channels_per_level(levels + 1, width, max_width)[::-1]  # from fine to coarse
        layers: list[nn.Module | None] = [same(channels, widths[0]), activate()]
        for inputs, outs in pairwise(widths):
            layers += [halve(inputs, outs), normalise(outs), activate()]
            layers += [same(outs, outs), normalise(outs), activate()]
        layers += [nn.Flatten(), nn.Linear(widths[-1] * (size // 2**levels) ** 2, outputs)]
        self.layers = nn.Sequential(*[layer for layer in layers if layer is not None])
        init(self)

    def forward(self, x: Tensor) -> Tensor:
        """Maps images (B, C, H, W) to outputs (B, outputs)."""
        return self.layers(x)
