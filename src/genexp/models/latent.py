"""Families that map latents to data: what they share in drawing samples."""

import torch
from torch import Tensor

from genexp.models.base import GenerativeModel


class LatentVariableModel(GenerativeModel):
    """A family whose samples are what `decode` makes of latents.

    Attributes:
        latent_dim: dimensions of a latent.
    """

    latent_dim: int

    def sample(self, n: int, y: Tensor | None = None, seed: int | None = None, temperature: float = 1.0) -> Tensor:
        """Draw `n` samples, (n, *shape): decoded latents, of classes `y` (n,) where the family is conditional.

        Raises:
            UserError: `y` is not one class for each sample.
        """
        z = self.latents(n, seed, temperature)
        return self.decode(z) if self.num_classes is None else self.decode(z, y)

    def latents(self, n: int, seed: int | None = None, temperature: float = 1.0) -> Tensor:
        """Standard normal latents, (n, latent_dim)."""
        return temperature * torch.randn(n, self.latent_dim, device=self.device, generator=self.generator_for(seed))

    def decode(self, z: Tensor, y: Tensor | None = None) -> Tensor:
        """Data of latents, (B, latent_dim) -> (B, *shape); of classes `y` (B,) where the family is conditional."""
        raise NotImplementedError
