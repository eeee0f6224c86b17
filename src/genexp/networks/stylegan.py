r"""A small StyleGAN generator: latents become a style, and the style sets the statistics of every map.

A mapping network turns $z / \mathrm{rms}(z)$ into a style $w$. The synthesis starts from a learned map and has,
twice at each resolution, a convolution of 3 x 3, a leaky ReLU, and AdaIN: instance normalisation, then gains and
shifts that are linear in $w$. Weights have equalised learning rates, those of the mapping a hundredth of the
others'.

$w$ pulled towards its mean, $\bar w + \psi (w - \bar w)$, gives more typical and less varied images. $\bar w$ is a
running mean over the styles of training, a buffer.

Left out of the paper's generator: noise inputs and style mixing (both draw random numbers inside the network, and
samples are a function of their latents here), and fading in of resolutions. The learned map starts from normal
numbers, since without noise a map of ones leaves instance normalisation nothing to normalise.

References:
    A Style-Based Generator Architecture for Generative Adversarial Networks (Karras et al., 2019),
    https://arxiv.org/abs/1812.04948
"""

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn

from genexp.networks.activations import Activation, output_activation
from genexp.networks.arguments import at_least, square_image_shape
from genexp.networks.dcgan import base_map, channels_per_level
from genexp.networks.equalised import equalised
from genexp.networks.modulation import Layers, Modulation
from genexp.networks.normalisation import PixelNorm, map_norm
from genexp.networks.resizing import Up, resize

KEPT = 0.995  # of the mean style, in each forward pass of training


class StyleGANDecoder(nn.Module):
    """From latents to square images, by way of styles.

    Arguments:
        latent_dim: dimensions of a latent.
        shape: the shape of one image, (C, H, W) with H = W.
        width: channels of the finest map; they double towards the base map.
        max_width: the most channels of a map.
        base: pixels of the learned map; None finds the size of 4 to 7 pixels.
        style_dim: dimensions of a style; None for as many as a latent has.
        mapping_depth: layers of the mapping network.
        mapping_lr: their learning rate, relative to the others'.
        up: `bilinear` (nearest with a blur, as in the paper) or `nearest`.
        output: `identity`, as in the paper, or `tanh`.

    Raises:
        UserError: the data is not square images of a size that doublings reach, or an argument is unknown.

    Example:
        >>> decoder = StyleGANDecoder(latent_dim=8, shape=(1, 8, 8), width=8).eval()
        >>> z = torch.randn(2, 8)
        >>> torch.equal(decoder.truncated(z, psi=1.0), decoder(z))
        True
    """

    def __init__(
        self,
        latent_dim: int,
        shape: Sequence[int],
        width: int = 64,
        max_width: int = 256,
        base: int | None = None,
        style_dim: int | None = None,
        mapping_depth: int = 4,
        mapping_lr: float = 0.01,
        up: Up = "bilinear",
        output: Activation = "identity",
    ) -> None:
        super().__init__()
        style_dim = latent_dim if style_dim is None else style_dim
        at_least(1, latent_dim=latent_dim, width=width, max_width=max_width, style_dim=style_dim)
        at_least(1, mapping_depth=mapping_depth)
        channels, size = square_image_shape(shape, "stylegan")
        base, levels = base_map(size, base, "stylegan")
        self.latent_dim, self.shape = latent_dim, (channels, size, size)
        dims = [latent_dim, *[style_dim] * mapping_depth]
        layers = [(nn.Linear(i, o), nn.LeakyReLU(0.2)) for i, o in pairwise(dims)]
        self.mapping = nn.Sequential(PixelNorm(), *[part for layer in layers for part in layer])
        equalised(self.mapping, lr_multiplier=mapping_lr)
        widths = channels_per_level(levels + 1, width, max_width)
        self.start = nn.Parameter(torch.randn(1, widths[0], base, base))
        self.synthesis = self._synthesis(widths, style_dim, up)
        self.image = nn.Sequential(nn.Conv2d(widths[-1], channels, 1), output_activation(output, self.shape))
        equalised(self.image, gain=1.0)
        self.register_buffer("mean_style", torch.zeros(style_dim))
        self.register_buffer("passes", torch.zeros(()))

    mean_style: Tensor
    passes: Tensor

    @staticmethod
    def _synthesis(widths: list[int], style_dim: int, up: Up) -> Layers:
        norm = map_norm("instance", affine=False)

        def styled(channels: int) -> list[nn.Module]:
            adain = Modulation(norm(channels), channels, style_dim, hidden=0)
            equalised(adain, gain=1.0)
            return [nn.LeakyReLU(0.2), adain]

        def convolution(inputs: int, outputs: int) -> list[nn.Module]:
            layer = nn.Conv2d(inputs, outputs, 3, padding=1)
            equalised(layer)
            return [layer, *styled(outputs)]

        layers = [*styled(widths[0]), *convolution(widths[0], widths[0])]
        for inputs, outputs in pairwise(widths):
            layers += [resize(up), *convolution(inputs, outputs), *convolution(outputs, outputs)]
        return Layers(*layers)

    def forward(self, z: Tensor) -> Tensor:
        """Maps latents (B, latent_dim) to images (B, C, H, W)."""
        style = self.mapping(z)
        if self.training:
            self._remember(style)
        return self._draw(style)

    def truncated(self, z: Tensor, psi: float) -> Tensor:
        r"""Maps latents (B, latent_dim) to images (B, C, H, W) by styles $\bar w + \psi (w - \bar w)$.

        Arguments:
            z: latents.
            psi: 1 leaves styles as they are, 0 gives the image of the mean style, 0.7 is usual.
        """
        style = self.mapping(z)
        return self._draw(self.mean_style.to(style) + psi * (style - self.mean_style.to(style)) if psi != 1 else style)

    def _draw(self, style: Tensor) -> Tensor:
        return self.image(self.synthesis(self.start.expand(len(style), -1, -1, -1), style))

    @torch.no_grad()
    def _remember(self, style: Tensor) -> None:
        self.passes += 1
        share = (1 / self.passes).clamp_min(1 - KEPT)  # the plain mean at the start
        self.mean_style.lerp_(style.mean(0).to(self.mean_style), share)
