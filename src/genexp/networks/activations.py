"""Activations by name, as `network.encoder.activation=silu` writes them."""

from collections.abc import Callable
from functools import partial

from torch import nn

from genexp.networks.arguments import choose

Activation = str | Callable[[], nn.Module]

ACTIVATIONS: dict[str, Callable[[], nn.Module]] = {
    "relu": nn.ReLU,
    "leaky_relu": partial(nn.LeakyReLU, 0.2),  # the slope that DCGAN's discriminator uses
    "leaky_relu_0.1": partial(nn.LeakyReLU, 0.1),  # SNDCGAN's
    "silu": nn.SiLU,
    "gelu": nn.GELU,
    "elu": nn.ELU,
    "softplus": nn.Softplus,  # smooth: its second derivative does not vanish under a gradient penalty
    "tanh": nn.Tanh,
}

OUTPUTS: dict[str, Callable[[], nn.Module]] = {
    "identity": nn.Identity,
    "tanh": nn.Tanh,
}


def activation(choice: Activation) -> Callable[[], nn.Module]:
    """Returns the constructor of a hidden activation.

    Arguments:
        choice: one of `relu`, `leaky_relu` (slope 0.2), `leaky_relu_0.1`, `silu`, `gelu`, `elu`, `softplus`,
            `tanh`, or a callable without arguments that makes a module.

    Raises:
        UserError: the name is unknown.
    """
    return choose(choice, ACTIVATIONS, "activation")


def output_activation(choice: Activation, shape: tuple[int, ...]) -> nn.Module:
    """Makes the last activation of a decoder.

    Arguments:
        choice: `tanh` (data in [-1, 1]), `identity` (unbounded data, logits), a callable, or `auto`: tanh for
            images, which are stored in [-1, 1], and identity for vectors, which have no bounds.
        shape: the shape of one sample.

    Raises:
        UserError: the name is unknown.
    """
    if choice == "auto":
        choice = "tanh" if len(shape) == 3 else "identity"
    return choose(choice, OUTPUTS, "output")()
