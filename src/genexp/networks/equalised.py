"""Equalised learning rates: weights of unit variance, scaled where they are used."""

import math

from torch import Tensor, nn
from torch.nn.utils import parametrize

from genexp.networks.initialisation import fans, weighted_layers


class Scale(nn.Module):
    """A parametrisation that multiplies by a constant.

    Arguments:
        factor: the constant.
    """

    def __init__(self, factor: float) -> None:
        super().__init__()
        self.factor = factor

    def forward(self, stored: Tensor) -> Tensor:
        """The weight that the layer uses, of the same shape."""
        return self.factor * stored


def equalised(module: nn.Module, gain: float = math.sqrt(2), lr_multiplier: float = 1.0) -> None:
    r"""Stores weights $\mathcal N(0, 1)$ and uses them times $g / \sqrt{\text{fan-in}}$; biases start at zero.

    Adam's steps are as long for all weights, whatever their scale; stored like this they are as long relative to the
    weights. It is an initialisation: any network takes it as `init`.

    Arguments:
        module: the network, changed in place.
        gain: the factor $g$; $\sqrt 2$ keeps the scale of signals through ReLUs.
        lr_multiplier: the learning rate of these layers relative to others, under an optimizer such as Adam.

    References:
        Progressive Growing of GANs for Improved Quality, Stability, and Variation (Karras et al., 2018),
        https://arxiv.org/abs/1710.10196

    Example:
        >>> layer = nn.Linear(8, 2)
        >>> equalised(layer, gain=2.0)
        >>> (layer.weight / layer.parametrizations.weight.original).std().item() < 1e-6, 2 / math.sqrt(8)
        (True, 0.7071067811865475)
    """
    for layer in list(weighted_layers(module)):
        nn.init.normal_(layer.weight, 0.0, 1.0 / lr_multiplier)
        fan_in, _ = fans(layer)
        parametrize.register_parametrization(layer, "weight", Scale(gain * lr_multiplier / math.sqrt(fan_in)))
        if layer.bias is not None:
            nn.init.zeros_(layer.bias)
            if lr_multiplier != 1:
                parametrize.register_parametrization(layer, "bias", Scale(lr_multiplier))
