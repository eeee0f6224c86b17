"""What latents are drawn from."""

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass

import torch
from torch import Tensor

from genexp.errors import UserError


class Prior(ABC):
    """A distribution of latents that is made of standard normal numbers.

    Attributes:
        modes: its components; 1 if it has one.
    """

    modes: int = 1

    @abstractmethod
    def check(self, latent_dim: int) -> None:
        """Checks the dimensions of the latents.

        Raises:
            UserError: they are too few.
        """

    @abstractmethod
    def __call__(self, noise: Tensor, mode: Tensor) -> Tensor:
        """Latents (B, D) of standard normal numbers (B, D) and of the component of each, long (B,)."""


@dataclass(frozen=True)
class Normal(Prior):
    """Independent standard normals."""

    def check(self, latent_dim: int) -> None:
        """Any number of dimensions will do."""

    def __call__(self, noise: Tensor, mode: Tensor) -> Tensor:
        """The numbers themselves."""
        return noise


@dataclass(frozen=True)
class Ring(Prior):
    r"""Gaussians on a ring in the first two dimensions, drawn out along its radius like petals.

    Component $k$ of $K$ stands at the angle $2\pi k/K$. The other dimensions are standard normal.

    Arguments:
        modes: the number of components.
        radius: of the ring.
        along: standard deviation along the radius.
        across: standard deviation across it.

    Raises:
        UserError: a number is out of range.

    References:
        Adversarial Autoencoders (Makhzani et al., 2015), figures 2 to 4. https://arxiv.org/abs/1511.05644

    Example:
        >>> ring = Ring(modes=4, radius=2.0)
        >>> ring(torch.zeros(4, 2), torch.arange(4)).sum(1).round().tolist()
        [2.0, 2.0, -2.0, -2.0]
    """

    modes: int = 10
    radius: float = 3.0
    along: float = 1.0
    across: float = 0.3

    def __post_init__(self) -> None:
        if self.modes < 2:
            raise UserError(f"prior.modes={self.modes} is no ring: give at least 2, or prior=normal.")
        for name in ("radius", "along", "across"):
            if not getattr(self, name) > 0:
                raise UserError(f"prior.{name}={getattr(self, name)} is out of range: give a positive number.")

    def check(self, latent_dim: int) -> None:
        """At least two dimensions."""
        if latent_dim < 2:
            raise UserError(f"prior=ring lies in a plane, and model.latent_dim={latent_dim}: give at least 2.")

    def __call__(self, noise: Tensor, mode: Tensor) -> Tensor:
        """Latents around the centres of their components."""
        angle = (2 * math.pi / self.modes) * mode.to(noise.dtype)
        radial = torch.stack([angle.cos(), angle.sin()], 1)  # (B, 2)
        tangential = torch.stack([-angle.sin(), angle.cos()], 1)
        out, side = self.radius + self.along * noise[:, :1], self.across * noise[:, 1:2]
        return torch.cat([out * radial + side * tangential, noise[:, 2:]], 1)
