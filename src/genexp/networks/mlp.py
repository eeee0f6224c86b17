"""Multilayer perceptrons: for 2-D toys, tables and small images.

A decoder maps latents (B, latent_dim) to data (B, *shape): a GAN's generator, a VAE's decoder. An encoder
maps data (B, *shape) to outputs (B, outputs): a GAN's critic (one raw score), a VAE's encoder (mean and log
variance).
"""

import math
from collections.abc import Sequence

from torch import Tensor, nn

from genexp.networks.activations import Activation, activation, output_activation
from genexp.networks.arguments import at_least, data_shape
from genexp.networks.initialisation import Initialisation, torch_default
from genexp.networks.normalisation import Norm, vector_norm


def hidden_layers(inputs: int, width: int, depth: int, act: Activation, norm: Norm) -> list[nn.Module]:
    """Makes `depth` times (linear, normalisation, activation).

    Arguments:
        inputs: features that come in.
        width: features of each layer.
        depth: number of layers.
        act: the activation, a name or a callable.
        norm: the normalisation, a name or a callable. A normalised layer has no bias: the normalisation's own
            bias does its work.

    Returns:
        The layers, from (B, inputs) to (B, width); none if `depth` is 0.
    """
    at_least(1, width=width)
    at_least(0, depth=depth)
    normalise, activate = vector_norm(norm), activation(act)
    layers: list[nn.Module] = []
    for layer in range(depth):
        normalised = normalise(width)
        layers.append(nn.Linear(width if layer else inputs, width, bias=normalised is None))
        if normalised is not None:
            layers.append(normalised)
        layers.append(activate())
    return layers


class MLPDecoder(nn.Module):
    """From latents to data through `depth` hidden layers.

    Arguments:
        latent_dim: dimensions of a latent.
        shape: the shape of one sample, (D,) or (C, H, W).
        width: features of each hidden layer.
        depth: number of hidden layers; 0 is a linear map.
        activation: `relu`, `leaky_relu`, `silu`, `gelu`, `elu`, `softplus`, `tanh` or a callable.
        norm: `none`, `batch`, `layer` or a callable, on hidden layers.
        output: `tanh`, `identity`, or `auto`: tanh for images, identity for vectors.
        init: fills the weights in place, see `genexp.networks.initialisation`.

    Raises:
        UserError: an unknown name, or a number out of range.

    Example:
        >>> import torch
        >>> MLPDecoder(latent_dim=16, shape=(1, 8, 8))(torch.zeros(5, 16)).shape
        torch.Size([5, 1, 8, 8])
    """

    def __init__(
        self,
        latent_dim: int,
        shape: Sequence[int],
        width: int = 256,
        depth: int = 2,
        activation: Activation = "relu",
        norm: Norm = "none",
        output: Activation = "auto",
        init: Initialisation = torch_default,
    ) -> None:
        super().__init__()
        at_least(1, latent_dim=latent_dim)
        self.latent_dim, self.shape = latent_dim, data_shape(shape)
        self.layers = nn.Sequential(
            *hidden_layers(latent_dim, width, depth, activation, norm),
            nn.Linear(width if depth else latent_dim, math.prod(self.shape)),
            nn.Unflatten(1, self.shape),
            output_activation(output, self.shape),
        )
        init(self)

    def forward(self, z: Tensor) -> Tensor:
        """Maps latents (B, latent_dim) to data (B, *shape)."""
        return self.layers(z)


class MLPEncoder(nn.Module):
    """From data to `outputs` numbers through `depth` hidden layers.

    Arguments:
        shape: the shape of one sample, (D,) or (C, H, W).
        outputs: numbers per sample, unbounded: 1 for a critic, twice the latent dimensions for a VAE.
        width: features of each hidden layer.
        depth: number of hidden layers; 0 is a linear map.
        activation: `relu`, `leaky_relu`, `silu`, `gelu`, `elu`, `softplus`, `tanh` or a callable.
        norm: `none`, `batch`, `layer` or a callable, on hidden layers.
        init: fills the weights in place, see `genexp.networks.initialisation`.

    Raises:
        UserError: an unknown name, or a number out of range.

    Example:
        >>> import torch
        >>> MLPEncoder(shape=(2,), outputs=1)(torch.zeros(5, 2)).shape
        torch.Size([5, 1])
    """

    def __init__(
        self,
        shape: Sequence[int],
        outputs: int = 1,
        width: int = 256,
        depth: int = 2,
        activation: Activation = "leaky_relu",
        norm: Norm = "none",
        init: Initialisation = torch_default,
    ) -> None:
        super().__init__()
        at_least(1, outputs=outputs)
        self.shape, self.outputs = data_shape(shape), outputs
        features = math.prod(self.shape)
        self.layers = nn.Sequential(
            nn.Flatten(),
            *hidden_layers(features, width, depth, activation, norm),
            nn.Linear(width if depth else features, outputs),
        )
        init(self)

    def forward(self, x: Tensor) -> Tensor:
        """Maps data (B, *shape) to outputs (B, outputs)."""
        return self.layers(x)
