r"""A critic of data and latents together, and the rows in which it reads them.

A datum $x$ and a latent $z$ are one row of numbers: the entries of $x$, then those of $z$. To everything that takes
data, such a row is a datum: a gradient penalty asks for the slope with respect to both, and a point between two rows is
between them in both.
"""

from collections.abc import Callable, Sequence
from math import prod

import torch
from torch import Tensor, nn

from genexp.networks.activations import activation
from genexp.networks.arguments import at_least, data_shape
from genexp.networks.mlp import hidden_layers


def join(x: Tensor, *vectors: Tensor) -> Tensor:
    """Rows of data and vectors: (B, *shape) and (B, n) each -> (B, D + n + ...).

    Example:
        >>> join(torch.zeros(5, 1, 8, 8), torch.zeros(5, 3)).shape
        torch.Size([5, 67])
    """
    return torch.cat([x.flatten(1), *vectors], dim=1)


def part(rows: Tensor, shape: Sequence[int]) -> tuple[Tensor, Tensor]:
    """Data and what stands after them in rows: (B, D + n) -> (B, *shape), (B, n).

    Example:
        >>> x, z = part(torch.zeros(5, 67), (1, 8, 8))
        >>> x.shape, z.shape
        (torch.Size([5, 1, 8, 8]), torch.Size([5, 3]))
    """
    x, rest = rows.tensor_split([prod(shape)], dim=1)
    return x.reshape(-1, *shape), rest


class JointCritic(nn.Module):
    """Scores rows of a datum and a latent: a network for each, and a head on what both say.

    Arguments:
        encoder: makes the network for data, `encoder(shape=..., outputs=code_dim)`.
        shape: shape of one datum, (C, H, W) or (D,).
        latent_dim: dimensions of the latents.
        code_dim: features of a datum.
        width: features of a latent, and of the head's hidden layers.
        depth: hidden layers of the head.
        bias: whether the score has a bias; a loss of differences of scores does not see it.

    Raises:
        UserError: a number is out of range.

    References:
        Adversarially Learned Inference, Dumoulin et al., 2016. https://arxiv.org/abs/1606.00704

    Example:
        >>> from genexp.networks.mlp import MLPEncoder
        >>> JointCritic(MLPEncoder, shape=(2,), latent_dim=3)(join(torch.zeros(5, 2), torch.zeros(5, 3))).shape
        torch.Size([5, 1])
    """

    def __init__(
        self,
        encoder: Callable[..., nn.Module],
        shape: Sequence[int],
        latent_dim: int,
        code_dim: int = 128,
        width: int = 256,
        depth: int = 2,
        bias: bool = True,
    ) -> None:
        super().__init__()
        at_least(1, code_dim=code_dim, width=width)
        self.shape = data_shape(shape)
        self.of_data = nn.Sequential(encoder(shape=self.shape, outputs=code_dim), activation("leaky_relu")())
        self.of_latents = nn.Sequential(*hidden_layers(latent_dim, width, 1, "leaky_relu", "none"))
        hidden = hidden_layers(code_dim + width, width, depth, "leaky_relu", "none")
        self.head = nn.Sequential(*hidden, nn.Linear(width if depth else code_dim + width, 1, bias=bias))

    def forward(self, rows: Tensor) -> Tensor:
        """Maps rows (B, D + latent_dim) to raw scores (B, 1)."""
        x, z = part(rows, self.shape)
        return self.head(join(self.of_data(x), self.of_latents(z)))
