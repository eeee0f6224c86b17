r"""DCGAN: a pyramid of convolutions for square images of any size $s = b \cdot 2^k$.

The decoder turns a latent into a base map of $b \times b$ pixels and doubles it $k$ times with transposed
convolutions (kernel 4, stride 2, padding 1), or with a resize and a convolution; the encoder is its mirror
image. Channels double towards the base map. No pooling, no hidden linear layer; ReLU and tanh in the
decoder, leaky ReLU of slope 0.2 in the encoder, whose first layer is not normalised.

With images (3, 64, 64), 100 latent dimensions and 64 channels these are the networks of the paper: 3,576,704
parameters in the decoder and 2,765,568 in the encoder.

References:
    Unsupervised Representation Learning with Deep Convolutional GANs (Radford, Metz, Chintala, 2015),
    https://arxiv.org/abs/1511.06434
"""

from collections.abc import Callable, Sequence
from functools import partial
from itertools import pairwise

from torch import Tensor, nn

from genexp.errors import UserError
from genexp.networks.activations import Activation, output_activation
from genexp.networks.activations import activation as choose_activation
from genexp.networks.arguments import at_least, square_image_shape
from genexp.networks.initialisation import Initialisation, normal
from genexp.networks.modulation import Layers, modulated_norm
from genexp.networks.normalisation import Norm, map_norm
from genexp.networks.resizing import Up, doubling, halving

Make = Callable[..., nn.Module]
MakeNorm = Callable[[int], nn.Module | None]
SMALLEST, LARGEST = 4, 7  # an automatic base map: every size has at most one in this range


def base_map(size: int, base: int | None = None, network: str = "dcgan") -> tuple[int, int]:
    """Finds the base map of an image.

    Arguments:
        size: height and width of the image, in pixels.
        base: height and width of the base map; None finds the one of 4 to 7 pixels.
        network: the config option, for the error.

    Returns:
        The base map's size, and how many doublings lead from it to the image.

    Raises:
        UserError: no number of doublings leads there.

    Example:
        >>> base_map(28), base_map(64), base_map(8, base=2)
        ((7, 2), (4, 4), (2, 2))
    """
    smallest, largest = (SMALLEST, LARGEST) if base is None else (base, base)
    found, doublings = size, 0
    while found % 2 == 0 and found > largest:
        found, doublings = found // 2, doublings + 1
    if doublings > 0 and smallest <= found <= largest and found >= 2:
        return found, doublings
    if base is not None:
        raise UserError(
            f"base={base} never doubles to images of {size} pixels: set network.decoder.base and "
            "network.encoder.base to the size divided by 2, 4, 8, ..., or to null."
        )
    sizes = sorted(b * 2**k for b in range(SMALLEST, LARGEST + 1) for k in range(1, 10))
    nearest = [
        max((s for s in sizes if s < size), default=None),
        min((s for s in sizes if s > size), default=None),
    ]
    advice = f"resize the images to {' or '.join(str(s) for s in nearest if s is not None)} pixels"
    explicit = found if doublings else size // 2
    if size % 2 == 0 and explicit >= 2:
        advice += f", or set network.decoder.base and network.encoder.base to {explicit}"
    raise UserError(
        f"network={network} doubles a base map of {SMALLEST} to {LARGEST} pixels, which never gives {size}: {advice}."
    )


def channels_per_level(levels: int, width: int, max_width: int) -> list[int]:
    """Returns the channels from the base map to the finest hidden map: halving, and at most `max_width`.

    Example:
        >>> channels_per_level(4, width=64, max_width=256)
        [256, 256, 128, 64]
    """
    return [min(width * 2**level, max_width) for level in reversed(range(levels))]


def _block(convolution: nn.Module, norm: nn.Module | None, activate: Make) -> list[nn.Module]:
    return [convolution, activate()] if norm is None else [convolution, norm, activate()]


class DCGANDecoder(nn.Module):
    """From latents to square images, doubling the map at each level.

    Arguments:
        latent_dim: dimensions of a latent.
        shape: the shape of one image, (C, H, W) with H = W.
        width: channels at the finest hidden level; they double towards the base map.
        max_width: the most channels of a level.
        base: pixels of the base map; None finds the one of 4 to 7 pixels.
        depth_per_level: 3x3 convolutions added at each resolution, the image's own included.
        activation: `relu`, `leaky_relu`, `silu`, `gelu`, `elu`, `softplus`, `tanh` or a callable.
        norm: `batch`, `none`, `layer`, `instance`, `group` or a callable. Layers have biases if it is `none`.
        output: `tanh` (data in [-1, 1]) or `identity`.
        init: fills the weights in place, see `genexp.networks.initialisation`.
        kernel: pixels of the side of the kernels that double the map: 4, or 5 as in some DCGANs.
        up: what doubles the map: `transposed`, or `nearest` or `bilinear` with a convolution, see
            `genexp.networks.resizing`.
        self_modulation: hidden units of the modulation of every normalisation by the latents, 0 for a linear one; None
            for gains and biases that do not depend on them.

    Raises:
        UserError: the data is not square images of a size that doublings reach, or an argument is unknown.

    Example:
        >>> import torch
        >>> decoder = DCGANDecoder(latent_dim=100, shape=(3, 64, 64))
        >>> decoder(torch.zeros(2, 100)).shape, sum(p.numel() for p in decoder.parameters())
        (torch.Size([2, 3, 64, 64]), 3576704)
    """

    def __init__(
        self,
        latent_dim: int,
        shape: Sequence[int],
        width: int = 64,
        max_width: int = 512,
        base: int | None = None,
        depth_per_level: int = 0,
        activation: Activation = "relu",
        norm: Norm = "batch",
        output: Activation = "tanh",
        init: Initialisation = normal,
        kernel: int = 4,
        up: Up = "transposed",
        self_modulation: int | None = None,
    ) -> None:
        super().__init__()
        at_least(1, latent_dim=latent_dim, width=width, max_width=max_width)
        at_least(0, depth_per_level=depth_per_level)
        channels, size = square_image_shape(shape, "dcgan")
        base, levels = base_map(size, base)
        self.latent_dim, self.shape = latent_dim, (channels, size, size)
        widths = channels_per_level(levels, width, max_width)
        normalise, activate = modulated_norm(norm, latent_dim, self_modulation), choose_activation(activation)
        double = partial(doubling, up, kernel=kernel)
        self.layers = Layers(
            *self._levels([latent_dim, *widths], base, depth_per_level, activate, normalise, double),
            *self._image(widths[-1], channels, depth_per_level, activate, normalise, double),
            output_activation(output, self.shape),
        )
        init(self)

    @staticmethod
    def _levels(
        widths: list[int], base: int, depth: int, activate: Make, normalise: MakeNorm, double: Make
    ) -> list[nn.Module]:
        layers: list[nn.Module] = []
        for level, (inputs, outputs) in enumerate(pairwise(widths)):
            normalised = normalise(outputs)
            bias = normalised is None
            up: nn.Module
            if level == 0:  # (B, latent_dim, 1, 1) -> (B, C, base, base)
                up = nn.ConvTranspose2d(inputs, outputs, base, bias=bias)
            else:
                up = double(inputs, outputs, bias=bias)
            layers += _block(up, normalised, activate)
            for _ in range(depth):
                refine = nn.Conv2d(outputs, outputs, 3, padding=1, bias=bias)
                layers += _block(refine, normalise(outputs), activate)
        return layers

    @staticmethod
    def _image(
        width: int, channels: int, depth: int, activate: Make, normalise: MakeNorm, double: Make
    ) -> list[nn.Module]:
        normalised = normalise(width)
        bias = normalised is None
        if depth == 0:
            return [double(width, channels, bias=bias)]
        up = double(width, width, bias=bias)
        layers = _block(up, normalised, activate)
        for _ in range(depth - 1):
            layers += _block(nn.Conv2d(width, width, 3, padding=1, bias=bias), normalise(width), activate)
        return [*layers, nn.Conv2d(width, channels, 3, padding=1, bias=bias)]

    def forward(self, z: Tensor) -> Tensor:
        """Maps latents (B, latent_dim) to images (B, C, H, W)."""
        return self.layers(z[:, :, None, None], z)


class DCGANEncoder(nn.Module):
    """From square images to `outputs` numbers, halving the map at each level.

    Arguments:
        shape: the shape of one image, (C, H, W) with H = W.
        outputs: numbers per image, unbounded: 1 for a critic, twice the latent dimensions for a VAE.
        width: channels at the finest hidden level; they double towards the base map.
        max_width: the most channels of a level.
        base: pixels of the last map; None finds the one of 4 to 7 pixels.
        depth_per_level: 3x3 convolutions added at each resolution, the image's own included.
        activation: `relu`, `leaky_relu`, `silu`, `gelu`, `elu`, `softplus`, `tanh` or a callable.
        norm: `batch`, `none`, `layer`, `instance`, `group` or a callable, on all hidden layers but the first.
            Layers have biases if it is `none`. Penalties on gradients refuse `batch`.
        init: fills the weights in place, see `genexp.networks.initialisation`.
        kernel: pixels of the side of the kernels that halve the map.

    Raises:
        UserError: the data is not square images of a size that halvings divide, or an argument is unknown.

    Example:
        >>> import torch
        >>> encoder = DCGANEncoder(shape=(3, 64, 64), outputs=1)
        >>> encoder(torch.zeros(2, 3, 64, 64)).shape, sum(p.numel() for p in encoder.parameters())
        (torch.Size([2, 1]), 2765568)
    """

    def __init__(
        self,
        shape: Sequence[int],
        outputs: int = 1,
        width: int = 64,
        max_width: int = 512,
        base: int | None = None,
        depth_per_level: int = 0,
        activation: Activation = "leaky_relu",
        norm: Norm = "batch",
        init: Initialisation = normal,
        kernel: int = 4,
    ) -> None:
        super().__init__()
        at_least(1, outputs=outputs, width=width, max_width=max_width)
        at_least(0, depth_per_level=depth_per_level)
        channels, size = square_image_shape(shape, "dcgan")
        base, levels = base_map(size, base)
        self.shape, self.outputs = (channels, size, size), outputs
        widths = channels_per_level(levels, width, max_width)[::-1]  # from fine to coarse
        layers = self._levels(channels, widths, depth_per_level, choose_activation(activation), map_norm(norm), kernel)
        bias = map_norm(norm)(widths[-1]) is None
        self.layers = nn.Sequential(*layers, nn.Conv2d(widths[-1], outputs, base, bias=bias), nn.Flatten())
        init(self)

    @staticmethod
    def _levels(
        channels: int, widths: list[int], depth: int, activate: Make, normalise: MakeNorm, kernel: int
    ) -> list[nn.Module]:
        bias = normalise(widths[0]) is None
        layers: list[nn.Module] = []

        def add(inputs: int, outputs: int, halve: bool) -> int:
            same = partial(nn.Conv2d, kernel_size=3, padding=1)
            convolution = (partial(halving, kernel=kernel) if halve else same)(inputs, outputs, bias=bias)
            layers.extend(_block(convolution, normalise(outputs) if layers else None, activate))
            return outputs

        for _ in range(depth):
            channels = add(channels, widths[0], halve=False)
        for width in widths:
            channels = add(channels, width, halve=True)
            for _ in range(depth):
                channels = add(channels, width, halve=False)
        return layers

    def forward(self, x: Tensor) -> Tensor:
        """Maps images (B, C, H, W) to outputs (B, outputs)."""
        return self.layers(x)
