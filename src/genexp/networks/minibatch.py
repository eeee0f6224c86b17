"""A critic's look at several samples at once."""

import torch
from torch import Tensor, nn

from genexp.networks.arguments import at_least


class MinibatchDeviation(nn.Module):
    """Adds a channel with the standard deviation of features over a group of samples, averaged to one number.

    Samples i, i + M, i + 2M, ... are a group, with M groups in the batch; if the batch does not divide into groups of
    the size asked for, they are smaller. A generator of few modes shows in it. Each process has groups of its own.

    Arguments:
        group: samples in a group.

    Raises:
        UserError: a group has less than two samples.

    References:
        Progressive Growing of GANs for Improved Quality, Stability, and Variation (Karras et al., 2018),
        https://arxiv.org/abs/1710.10196

    Example:
        >>> x = torch.tensor([0.0, 2, 0, 2, 4, 6, 4, 6]).reshape(8, 1, 1, 1)  # groups {0, 0, 4, 4} and {2, 2, 6, 6}
        >>> MinibatchDeviation(4)(x)[:, 1].flatten().tolist()
        [2.0, 2.0, 2.0, 2.0, 2.0, 2.0, 2.0, 2.0]
    """

    couples_samples = True
    remedy = "set network.encoder.group=1"

    def __init__(self, group: int = 4) -> None:
        super().__init__()
        at_least(2, group=group)
        self.group = group

    def forward(self, x: Tensor) -> Tensor:
        """Maps (B, C, H, W) to (B, C + 1, H, W)."""
        n = len(x)
        size = next(size for size in range(min(self.group, n), 0, -1) if n % size == 0)
        groups = x.unflatten(0, (size, n // size))  # (size, M, C, H, W)
        variance = (groups - groups.mean(0)).square().mean(0)
        deviation = (variance + 1e-8).sqrt().mean((1, 2, 3), keepdim=True)  # (M, 1, 1, 1)
        return torch.cat([x, deviation.repeat(size, 1, *x.shape[2:])], dim=1)
