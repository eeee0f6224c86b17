"""Spectral normalisation of a network's weights, with a power iteration that moves only when it is told to."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils import parametrizations, parametrize

TRANSPOSED = (nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)
LAYERS = (nn.Linear, nn.Bilinear, nn.Embedding, nn.Conv1d, nn.Conv2d, nn.Conv3d, *TRANSPOSED)


class SpectralNorm(nn.Module):
    r"""A weight over its largest singular value, $W / u^\top W v$, as a parametrisation.

    $u$ and $v$ are constants of the graph, so that $\partial\sigma / \partial W = u v^\top$. A forward pass changes
    nothing: `advance` moves the iteration. (`torch.nn.utils.parametrizations.spectral_norm` iterates in every forward
    pass in training mode; two passes in one step then are two different functions.)

    Arguments:
        weight: the layer's weight.
        dim: the dimension of the outputs.
        warm_up: iterations at the start.
    """

    def __init__(self, weight: Tensor, dim: int, warm_up: int) -> None:
        super().__init__()
        self.dim = dim
        matrix = self._matrix(weight.detach())
        self.register_buffer("u", F.normalize(torch.randn_like(matrix[:, 0]), dim=0))
        self.register_buffer("v", F.normalize(matrix.T @ self.u, dim=0))
        for _ in range(warm_up):
            self.advance(weight.detach())

    u: Tensor
    v: Tensor

    def _matrix(self, weight: Tensor) -> Tensor:
        return weight.transpose(0, self.dim).flatten(1) if self.dim else weight.flatten(1)  # (outputs, rest)

    def forward(self, weight: Tensor) -> Tensor:
        """The normalised weight, of the same shape."""
        with torch.autocast(weight.device.type, enabled=False):
            return weight / torch.dot(self.u, torch.mv(self._matrix(weight), self.v))

    @torch.no_grad()
    def advance(self, weight: Tensor) -> None:
        """One power iteration on `weight`."""
        with torch.autocast(weight.device.type, enabled=False):
            matrix = self._matrix(weight)
            F.normalize(torch.mv(matrix, self.v), dim=0, eps=1e-12, out=self.u)
            F.normalize(torch.mv(matrix.T, self.u), dim=0, eps=1e-12, out=self.v)


def normalise(network: nn.Module, warm_up: int) -> None:
    """Normalise the weight of every linear, convolutional and embedding layer, in place.

    Arguments:
        network: any module.
        warm_up: power iterations at the start.
    """
    for layer in list(network.modules()):
        if isinstance(layer, LAYERS):
            norm = SpectralNorm(layer.weight, 1 if isinstance(layer, TRANSPOSED) else 0, warm_up)
            parametrize.register_parametrization(layer, "weight", norm)


def advance(network: nn.Module) -> None:
    """One power iteration for each weight that `normalise` has taken hold of."""
    for module in network.modules():
        if isinstance(module, parametrize.ParametrizationList):
            for norm in module:
                if isinstance(norm, SpectralNorm):
                    norm.advance(module.original)


def is_normalised(network: nn.Module) -> bool:
    """Whether some weight has a spectral norm of 1 by this module's or torch's own parametrisation."""
    kinds = (SpectralNorm, parametrizations._SpectralNorm)
    old = any(
        "SpectralNorm" in type(hook).__name__ for m in network.modules() for hook in m._forward_pre_hooks.values()
    )
    return old or any(isinstance(module, kinds) for module in network.modules())


class Scaled(nn.Module):
    """A network times a constant.

    Arguments:
        network: any module.
        factor: the constant.
    """

    def __init__(self, network: nn.Module, factor: float) -> None:
        super().__init__()
        self.network, self.factor = network, factor

    def forward(self, *inputs: Tensor) -> Tensor:
        """The network's outputs times the factor."""
        return self.factor * self.network(*inputs)
