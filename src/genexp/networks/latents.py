"""Latents that are learnt, one for each training sample."""

from collections.abc import Mapping
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class Latents(nn.Module):
    r"""A latent on the unit sphere for each training sample.

    The rows are stored `rate` times as small as the latents. Adam's steps do not depend on a gradient's scale, so under
    it the latents learn `rate` times as fast as the other weights.

    Arguments:
        dim: dimensions of a latent.
        rate: how many times as fast.
    """

    def __init__(self, dim: int, rate: float) -> None:
        super().__init__()
        self.dim, self.rate = dim, rate
        self.rows = nn.Parameter(torch.empty(0, dim))

    def expect(self, samples: int, seed: int) -> None:
        """Makes random latents for so many samples, a function of the seed."""
        drawn = torch.randn(samples, self.dim, generator=torch.Generator().manual_seed(seed))
        self.rows = nn.Parameter(drawn.to(self.rows))
        self.project()

    @torch.no_grad()
    def project(self) -> None:
        """Puts every row back on its sphere."""
        self.rows.copy_(F.normalize(self.rows, dim=1) / self.rate)

    def forward(self, index: Tensor | None = None) -> Tensor:
        """The latents of samples by their places (B,) in the train split, (B, dim); of all for None."""
        return self.rate * (self.rows if index is None else self.rows[index])

    def _load_from_state_dict(self, state_dict: Mapping[str, Any], prefix: str, *args: Any) -> None:
        saved = state_dict.get(f"{prefix}rows")
        if saved is not None and saved.shape != self.rows.shape:  # a model that has not met its data
            self.rows = nn.Parameter(saved.detach().clone().to(self.rows))
        super()._load_from_state_dict(state_dict, prefix, *args)
