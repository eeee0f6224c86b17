"""Constraints on a critic's weights, applied in place after each of its steps."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn

from genexp.errors import UserError


class Constraint(ABC):
    """Changes a critic in place after each of its updates.

    Attributes:
        bounds_critic: True if it bounds the critic's slope, as a Wasserstein loss needs.
    """

    bounds_critic: ClassVar[bool] = False

    @abstractmethod
    def __call__(self, critic: nn.Module) -> None:
        """Applies the constraint to all parameters of the critic."""


@dataclass(frozen=True)
class NoConstraint(Constraint):
    """Leaves the critic as it is."""

    def __call__(self, critic: nn.Module) -> None:
        """Does nothing."""


@dataclass(frozen=True)
class WeightClip(Constraint):
    r"""Clips every parameter of the critic to $[-c, c]$, the gains of normalisations included.

    A one-hidden-layer ReLU critic of width $H$ on $d$ inputs then has a slope of at most $c^2 H \sqrt d$: the
    bound depends on the network, and so do the score's units and the right learning rate.

    Arguments:
        bound: the largest absolute value $c$.

    Raises:
        UserError: the bound is not positive.

    References:
        Wasserstein GAN (Arjovsky, Chintala, Bottou, 2017), https://arxiv.org/abs/1701.07875

    Example:
        >>> critic = nn.Linear(2, 1)
        >>> WeightClip(0.01)(critic)
        >>> bool(critic.weight.abs().max() <= 0.01)
        True
    """

    bounds_critic: ClassVar[bool] = True
    bound: float = 0.01

    def __post_init__(self) -> None:
        if not self.bound > 0:
            raise UserError(f"constraint.bound={self.bound} is no bound: give a positive number.")

    @torch.no_grad()
    def __call__(self, critic: nn.Module) -> None:
        """Clips all parameters in place, in two kernels rather than one per parameter."""
        parameters: list[Tensor] = list(critic.parameters())
        if parameters:
            torch._foreach_clamp_min_(parameters, -self.bound)
            torch._foreach_clamp_max_(parameters, self.bound)
