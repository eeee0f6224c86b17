"""Normalisation layers by name, and the question that gradient penalties ask of them."""

import math
from collections.abc import Callable

from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm, _NormBase

from genexp.networks.arguments import choose

Norm = str | Callable[[int], nn.Module | None]


def _none(features: int) -> None:
    return None


def _layer_over_maps(channels: int) -> nn.Module:
    return nn.GroupNorm(1, channels)  # one mean and variance over (C, H, W), a gain and a bias per channel


def _instance(channels: int) -> nn.Module:
    return nn.InstanceNorm2d(channels, affine=True)


def _group(channels: int) -> nn.Module:
    # up to 32 groups of at least 4 channels: a group of one channel would be instance normalisation
    return nn.GroupNorm(math.gcd(32, channels // 4) if channels % 4 == 0 else 1, channels)


VECTOR_NORMS: dict[str, Callable[[int], nn.Module | None]] = {
    "none": _none,
    "batch": nn.BatchNorm1d,
    "layer": nn.LayerNorm,
}

MAP_NORMS: dict[str, Callable[[int], nn.Module | None]] = {
    "none": _none,
    "batch": nn.BatchNorm2d,
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


def map_norm(choice: Norm) -> Callable[[int], nn.Module | None]:
    """Returns the constructor of a normalisation of feature maps (B, C, H, W).

    Arguments:
        choice: `none`, `batch`, `layer` (over channels and pixels), `instance`, `group` (up to 32 groups), or
            a callable that takes the number of channels.

    Raises:
        UserError: the name is unknown.
    """
    return choose(choice, MAP_NORMS, "norm")


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
    return any(
        isinstance(layer, _BatchNorm) or getattr(layer, "couples_samples", False) is True for layer in module.modules()
    )


def normalisations(module: nn.Module) -> list[str]:
    """The kinds of normalisation layers in a network, by the names of their classes.

    Example:
        >>> normalisations(nn.Sequential(nn.Linear(2, 4), nn.LayerNorm(4)))
        ['LayerNorm']
    """
    kinds = (_NormBase, nn.LayerNorm, nn.GroupNorm, nn.RMSNorm)
    return sorted({type(layer).__name__ for layer in module.modules() if isinstance(layer, kinds)})
