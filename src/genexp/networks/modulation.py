"""Modulation: gains and shifts of feature maps that are functions of a style, such as a generator's own latents."""

from collections.abc import Callable
from typing import ClassVar

from torch import Tensor, nn

from genexp.networks.arguments import at_least
from genexp.networks.normalisation import Norm, map_norm


class Modulation(nn.Module):
    r"""A normalisation without parameters, then $(1 + \gamma(s)) \odot \hat x + \beta(s)$ for the style $s$.

    $(\gamma, \beta)$ is a linear function of $h = \mathrm{relu}(W s + b)$, or of $s$ itself if there are no hidden
    units. With latents as the style this is self-modulation; with instance normalisation and no hidden units it is
    AdaIN. Where the linear function is zero, it is the normalisation alone.

    Arguments:
        norm: the normalisation of (B, C, H, W), without gains; None for none.
        channels: C.
        style_dim: numbers in a style.
        hidden: hidden units; 0 for none.

    Raises:
        UserError: a number is out of range.

    References:
        On Self Modulation for Generative Adversarial Networks (Chen et al., 2018), https://arxiv.org/abs/1810.01365
        Arbitrary Style Transfer in Real-time with Adaptive Instance Normalization (Huang, Belongie, 2017),
        https://arxiv.org/abs/1703.06868
    """

    takes_style: ClassVar[bool] = True

    def __init__(self, norm: nn.Module | None, channels: int, style_dim: int, hidden: int = 32) -> None:
        super().__init__()
        at_least(1, channels=channels, style_dim=style_dim)
        at_least(0, hidden=hidden)
        self.norm = norm or nn.Identity()
        self.hidden = nn.Sequential(nn.Linear(style_dim, hidden), nn.ReLU()) if hidden else nn.Identity()
        self.affine = nn.Linear(hidden or style_dim, 2 * channels)

    def forward(self, x: Tensor, style: Tensor) -> Tensor:
        """Maps (B, C, H, W) and styles (B, style_dim) to (B, C, H, W)."""
        gain, shift = self.affine(self.hidden(style))[:, :, None, None].chunk(2, dim=1)
        return (1 + gain) * self.norm(x) + shift


def modulated_norm(norm: Norm, style_dim: int, hidden: int | None) -> Callable[[int], nn.Module | None]:
    """Returns the constructor of a normalisation of maps, modulated if `hidden` is a number.

    Arguments:
        norm: see `genexp.networks.normalisation.map_norm`.
        style_dim: numbers in a style.
        hidden: hidden units of the modulation, 0 for a linear one; None for the normalisation with parameters of
            its own.

    Raises:
        UserError: the name is unknown.
    """
    if hidden is None:
        return map_norm(norm)
    plain = map_norm(norm, affine=False)
    return lambda channels: Modulation(plain(channels), channels, style_dim, hidden)


class Layers(nn.Sequential):
    """Layers one after the other; those that say `takes_style` also get the style."""

    takes_style: ClassVar[bool] = True

    def forward(self, x: Tensor, style: Tensor | None = None) -> Tensor:
        """Maps (B, ...) and styles (B, style_dim) to the last layer's output."""
        for layer in self:
            x = layer(x, style) if getattr(layer, "takes_style", False) else layer(x)
        return x
