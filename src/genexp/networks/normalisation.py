"""Normalisation layers by name, and the question that gradient penalties ask of them."""

import math
from collections.abc import Callable
from functools import partial

from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm, _NormBase

from genexp.networks.arguments import choose

Norm = str | Callable[[int], nn.Module | None]


class PixelNorm(nn.Module):
    r"""Divides each pixel's vector of channels (or each row) by its root mean square; no parameters.

    References:
        Progressive Growing of GANs for Improved Quality, Stability, and Variation (Karras et al., 2018),
        https://arxiv.org/abs/1710.10196
    """

    def forward(self, x: Tensor) -> Tensor:
        """Maps (B, C) or (B, C, H, W) to the same shape."""
        return x * (x.square().mean(1, keepdim=True) + 1e-8).rsqrt()


def _none(features: int, affine: bool = True) -> None:
    return None


def _batch_over_maps(channels: int, affine: bool = True) -> nn.Module:
    return nn.BatchNorm2d(channels, affine=affine)


def _layer_over_maps(channels: int, affine: bool = True) -> nn.Module:
    return nn.GroupNorm(1, channels, affine=affine)  # one mean and variance over (C, H, W), a gain and a bias a channel


def _instance(channels: int, affine: bool = True) -> nn.Module:
    return nn.InstanceNorm2d(channels, affine=affine)


def _group(channels: int, affine: bool = True) -> nn.Module:
    # up to 32 groups of at least 4 channels: a group of one channel would be instance normalisation
    return nn.GroupNorm(math.gcd(32, channels // 4) if channels % 4 == 0 else 1, channels, affine=affine)


VECTOR_NORMS: dict[str, Callable[[int], nn.Module | None]] = {
    "none": _none,
    "batch": nn.BatchNorm1d,
    "layer": nn.LayerNorm,
}

MAP_NORMS: dict[str, Callable[..., nn.Module | None]] = {
    "none": _none,
    "batch": _batch_over_maps,
    "layer": _layer_over_maps,
    "instance": _instance,
    "group": _group,
}


def vector_norm(choice: Norm) -> Callable[[int], nn.Module | None]:
    """Returns the constructor of a normalisation of vectors (B, D).

    Arguments:
        choice: `none`, `batch`, `layer`, or a callable that takes the number of features; None means that
            nothing normalises.

    Raises:
        UserError: the name is unknown.
    """
    return choose(choice, VECTOR_NORMS, "norm")


def map_norm(choice: Norm, affine: bool = True) -> Callable[[int], nn.Module | None]:
    """Returns the constructor of a normalisation of feature maps (B, C, H, W).

    Arguments:
        choice: `none`, `batch`, `layer` (over channels and pixels), `instance`, `group` (up to 32 groups), or
            a callable that takes the number of channels.
        affine: whether it has a gain and a bias for each channel; a callable has what it has.

    Raises:
        UserError: the name is unknown.
    """
    found = choose(choice, MAP_NORMS, "norm")
    return found if affine or callable(choice) else partial(found, affine=False)


def batch_coupled(module: nn.Module) -> bool:
    """Says whether a sample's output depends on the other samples of its batch.

    A penalty on the gradient of each sample reads `grad(critic(x).sum(), x)`, which is that gradient only if
    the samples are not coupled. BatchNorm couples them; a layer of one's own says so with the class attribute
    `couples_samples = True`.

    Arguments:
        module: the network, in either mode (the answer is about training).

    Returns:
        True if any layer couples samples.

    Example:
        >>> batch_coupled(nn.Sequential(nn.Linear(2, 4), nn.BatchNorm1d(4)))
        True
        >>> batch_coupled(nn.Sequential(nn.Linear(2, 4), nn.LayerNorm(4)))
        False
    """
    return coupling(module) is not None


def coupling(module: nn.Module) -> nn.Module | None:
    """The first layer in which a sample meets the others of its batch, see `batch_coupled`."""
    layers = (m for m in module.modules() if isinstance(m, _BatchNorm) or getattr(m, "couples_samples", False) is True)
    return next(layers, None)


def uncoupled(module: nn.Module) -> str:
    """What mixes the samples of a batch in a network that couples them, and what to set so that nothing does.

    A layer of one's own says what in the attribute `remedy`.

    Example:
        >>> uncoupled(nn.BatchNorm1d(4))
        'BatchNorm in the critic mixes: set network.encoder.norm=none (or layer)'
    """
    layer = coupling(module)
    if isinstance(layer, _BatchNorm):
        return "BatchNorm in the critic mixes: set network.encoder.norm=none (or layer)"
    return f"{type(layer).__name__} in the critic mixes: {getattr(layer, 'remedy', 'take it out of the network')}"


def normalisations(module: nn.Module) -> list[str]:
    """The kinds of normalisation layers in a network, by the names of their classes.

    Example:
        >>> normalisations(nn.Sequential(nn.Linear(2, 4), nn.LayerNorm(4)))
        ['LayerNorm']
    """
    kinds = (_NormBase, nn.LayerNorm, nn.GroupNorm, nn.RMSNorm, PixelNorm)
    return sorted({type(layer).__name__ for layer in module.modules() if isinstance(layer, kinds)})
