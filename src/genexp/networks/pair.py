r"""A critic of ordered pairs: it looks at the difference of two codes."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from genexp.networks.arguments import at_least, data_shape
from genexp.networks.mlp import hidden_layers


class PairCritic(nn.Module):
    r"""Scores the pair $(x, y)$ by $D(E(x) - E(y))$, with an encoder $E$ and a head $D$ of one hidden layer.

    Both orders of a pair are scored at once: the codes are the same.

    Arguments:
        encoder: makes the encoder, `encoder(shape=..., outputs=...)`.
        shape: shape of one datum, (C, H, W) or (D,).
        code_dim: numbers in a code.
        width: features of the head's hidden layer; 0 makes the head linear.

    Raises:
        UserError: a number is out of range.

    References:
        Training Generative Adversarial Networks Via Turing Test (Su, 2018), https://arxiv.org/abs/1810.10948

    Example:
        >>> from genexp.networks.mlp import MLPEncoder
        >>> x, y = torch.randn(2, 5, 2)
        >>> PairCritic(MLPEncoder, shape=(2,), code_dim=8, width=0)(x, y).shape
        torch.Size([2, 5])
    """

    def __init__(
        self, encoder: Callable[..., nn.Module], shape: Sequence[int], code_dim: int = 64, width: int = 128
    ) -> None:
        super().__init__()
        at_least(1, code_dim=code_dim)
        at_least(0, width=width)
        self.encoder = encoder(shape=data_shape(shape), outputs=code_dim)
        hidden = hidden_layers(code_dim, width, 1, "leaky_relu", "none") if width else []
        # no bias: it would give every pair an evidence that does not depend on it
        self.head = nn.Sequential(*hidden, nn.Linear(width or code_dim, 1, bias=False))

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        """Maps two batches (B, *shape) to the scores (2, B) of their pairs (x, y) and (y, x)."""
        difference = self.encoder(x) - self.encoder(y)  # (B, code_dim)
        return self.head(torch.stack([difference, -difference])).squeeze(2)
