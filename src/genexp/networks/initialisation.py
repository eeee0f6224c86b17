"""How weights start: each function fills the weights of all layers of a module, in place.

A network takes one as its argument `init`, in a config as
`init: {_target_: genexp.networks.initialisation.normal, _partial_: true, std: 0.02}`. All of them set biases
to zero (`torch_default` excepted) and draw from torch's global generator.
"""

import math
from collections.abc import Callable, Iterator

from torch import nn
from torch.nn.modules.batchnorm import _NormBase
from torch.nn.modules.conv import _ConvNd, _ConvTransposeNd

Initialisation = Callable[[nn.Module], object]
Layer = nn.Linear | _ConvNd
NORMALISATIONS = (_NormBase, nn.GroupNorm, nn.LayerNorm)  # _NormBase: batch and instance normalisation


def weighted_layers(module: nn.Module) -> Iterator[Layer]:
    """The linear layers and convolutions of a module, itself included."""
    return (layer for layer in module.modules() if isinstance(layer, nn.Linear | _ConvNd))


def _layers(module: nn.Module) -> Iterator[Layer]:
    for layer in weighted_layers(module):
        if layer.bias is not None:
            nn.init.zeros_(layer.bias)
        yield layer


def fans(layer: Layer) -> tuple[float, float]:
    r"""Counts the inputs of one output value and the outputs that one input value reaches.

    A strided convolution reaches $\text{out} \cdot k^2 / s^2$ outputs, and a transposed one is its mirror
    image: $\text{in} \cdot k^2 / s^2$ inputs. torch's own count reads a transposed weight (in, out, k, k) as
    if it were (out, in, k, k) and ignores strides, so a DCGAN generator's signal would shrink or grow at each
    layer.

    Arguments:
        layer: a linear layer or a convolution.

    Returns:
        fan-in and fan-out.
    """
    if isinstance(layer, nn.Linear):
        return float(layer.in_features), float(layer.out_features)
    kernel = math.prod(layer.kernel_size) / layer.groups
    stride = math.prod(layer.stride)
    if isinstance(layer, _ConvTransposeNd):
        return layer.in_channels * kernel / stride, layer.out_channels * kernel
    return layer.in_channels * kernel, layer.out_channels * kernel / stride


def torch_default(module: nn.Module) -> None:
    """Leaves the weights as PyTorch's layers set them."""


def normal(module: nn.Module, std: float = 0.02) -> None:
    r"""DCGAN's start: weights $\mathcal N(0, \sigma^2)$, gains of normalisations $\mathcal N(1, \sigma^2)$.

    Arguments:
        module: the network, changed in place.
        std: the standard deviation.

    References:
        Unsupervised Representation Learning with Deep Convolutional GANs (Radford, Metz, Chintala, 2015),
        https://arxiv.org/abs/1511.06434
    """
    for layer in _layers(module):
        nn.init.normal_(layer.weight, 0.0, std)
    for part in module.modules():
        if isinstance(part, NORMALISATIONS) and part.weight is not None:
            nn.init.normal_(part.weight, 1.0, std)
            if part.bias is not None:
                nn.init.zeros_(part.bias)


def orthogonal(module: nn.Module, gain: float = 1.0) -> None:
    """Weights whose rows (or columns) are orthonormal, times a gain; convolutions as (first axis, the rest).

    Arguments:
        module: the network, changed in place.
        gain: the factor; all singular values of each flattened weight equal it.

    References:
        Exact solutions to the nonlinear dynamics of learning in deep linear neural networks (Saxe,
        McClelland, Ganguli, 2013), https://arxiv.org/abs/1312.6120
    """
    for layer in _layers(module):
        nn.init.orthogonal_(layer.weight, gain)


def xavier(module: nn.Module, gain: float = 1.0) -> None:
    r"""Normal weights of variance $2 g^2 / (\text{fan-in} + \text{fan-out})$, strides counted (see `fans`).

    Arguments:
        module: the network, changed in place.
        gain: the factor $g$.

    References:
        Understanding the difficulty of training deep feedforward neural networks (Glorot, Bengio, 2010),
        https://proceedings.mlr.press/v9/glorot10a.html
    """
    for layer in _layers(module):
        fan_in, fan_out = fans(layer)
        nn.init.normal_(layer.weight, 0.0, gain * math.sqrt(2.0 / (fan_in + fan_out)))


def kaiming(module: nn.Module, slope: float = 0.0) -> None:
    r"""Normal weights of variance $2 / ((1 + a^2)\, \text{fan-in})$: signals keep their scale through ReLUs.

    A transposed convolution on a 1x1 map (DCGAN's first layer) has fewer inputs per output than its kernel
    says, and starts smaller than this rule intends; a normalisation behind it makes that good.

    Arguments:
        module: the network, changed in place.
        slope: the slope $a$ of the leaky ReLU behind each layer; 0 for a ReLU.

    References:
        Delving Deep into Rectifiers (He, Zhang, Ren, Sun, 2015), https://arxiv.org/abs/1502.01852
    """
    for layer in _layers(module):
        fan_in, _ = fans(layer)
        nn.init.normal_(layer.weight, 0.0, math.sqrt(2.0 / ((1.0 + slope**2) * fan_in)))
