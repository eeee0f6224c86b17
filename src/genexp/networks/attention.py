"""Self-attention over the pixels of a feature map."""

from collections.abc import Iterable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from genexp.errors import UserError
from genexp.networks.arguments import at_least


class SelfAttention(nn.Module):
    r"""Adds to each pixel what others know: $x + \gamma\, W (A\, g(x))$, $A = \mathrm{softmax}(\theta^\top \phi)$.

    $\theta$ (C/8 channels) asks at every pixel, $\phi$ (C/8) and $g$ (C/2) answer at the pixels of a map of half the
    size, made by max pooling. $\gamma$ starts at 0, so that the layer starts as the identity. No biases.

    Arguments:
        channels: C.

    Raises:
        UserError: there are no channels.

    References:
        Self-Attention Generative Adversarial Networks (Zhang et al., 2018), https://arxiv.org/abs/1805.08318

    Example:
        >>> x = torch.randn(2, 16, 8, 8)
        >>> torch.equal(SelfAttention(16)(x), x)
        True
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        at_least(1, channels=channels)
        keys, values = max(1, channels // 8), max(1, channels // 2)
        self.theta = nn.Conv2d(channels, keys, 1, bias=False)
        self.phi = nn.Conv2d(channels, keys, 1, bias=False)
        self.g = nn.Conv2d(channels, values, 1, bias=False)
        self.out = nn.Conv2d(values, channels, 1, bias=False)
        self.gamma = nn.Parameter(torch.zeros(()))

    def forward(self, x: Tensor) -> Tensor:
        """Maps (B, C, H, W), with H and W of at least 2, to the same shape."""
        queries = self.theta(x).flatten(2)  # (B, C/8, N)
        keys, values = (F.max_pool2d(layer(x), 2).flatten(2) for layer in (self.phi, self.g))  # (B, ., N/4)
        weights = (queries.transpose(1, 2) @ keys).softmax(2)  # (B, N, N/4); products are not divided by sqrt(C/8)
        told = (values @ weights.transpose(1, 2)).unflatten(2, x.shape[2:])  # (B, C/2, H, W)
        return x + self.gamma * self.out(told)


def check_attention(wanted: Sequence[int], sizes: Iterable[int]) -> None:
    """Checks that a network has the maps that attention is wanted on.

    Arguments:
        wanted: pixels of their sides.
        sizes: those that the network has.

    Raises:
        UserError: it has no such map, or the map is of one pixel.
    """
    known = sorted(size for size in set(sizes) if size >= 2)
    for size in wanted:
        if size not in known:
            raise UserError(
                f"attention={size} names no map of this network: choose among {', '.join(map(str, known))}."
            )
