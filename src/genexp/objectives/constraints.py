"""Constraints on a critic: on its weights around each of its updates, or on what it is as a function."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from torch import Tensor, nn

from genexp.errors import UserError
from genexp.networks.normalisation import batch_coupled, normalisations, uncoupled
from genexp.networks.slopes import GradientNormalised
from genexp.networks.spectral import Scaled, advance, is_normalised, normalise


class Constraint(ABC):
    """Holds a critic down.

    Attributes:
        bounds_critic: True if it bounds the critic's slope or its scores, as a Wasserstein loss needs.
        fixes_slope: True if penalties that ask for a slope would pull against it.
        reads_slope: True if it takes the gradient of one datum's score.
        when: whether it is called `before` or `after` each update of the critic.
    """

    bounds_critic: ClassVar[bool] = False
    fixes_slope: ClassVar[bool] = False
    reads_slope: ClassVar[bool] = False
    when: Literal["before", "after"] = "after"

    def prepare(self, critic: nn.Module) -> nn.Module:
        """Returns the critic that is trained: itself, or what the constraint makes of it.

        Raises:
            UserError: the constraint does not fit the critic.
        """
        return critic

    @abstractmethod
    def __call__(self, critic: nn.Module) -> None:
        """Changes the critic in place, around each of its updates."""


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
        when: `after` each update of the critic; `before` it, as in the authors' code, leaves the last update
            unclipped when the generator sees the critic.

    Raises:
        UserError: the bound is not positive, or the moment unknown; the critic has weights with a spectral norm of 1.

    References:
        Wasserstein GAN (Arjovsky, Chintala, Bottou, 2017), https://arxiv.org/abs/1701.07875

    Example:
        >>> critic = nn.Linear(2, 1)
        >>> WeightClip(0.01)(critic)
        >>> bool(critic.weight.abs().max() <= 0.01)
        True
    """

    bounds_critic: ClassVar[bool] = True
    fixes_slope: ClassVar[bool] = True
    bound: float = 0.01
    when: Literal["before", "after"] = "after"

    def __post_init__(self) -> None:
        if not self.bound > 0:
            raise UserError(f"constraint.bound={self.bound} is no bound: give a positive number.")
        if self.when not in ("before", "after"):
            raise UserError(f"constraint.when={self.when} is unknown: choose before or after.")

    def prepare(self, critic: nn.Module) -> nn.Module:
        """Returns the critic itself."""
        _refuse_normalised(critic, "constraint=clip clips weights")
        return critic

    @torch.no_grad()
    def __call__(self, critic: nn.Module) -> None:
        """Clips all parameters in place, in two kernels rather than one per parameter."""
        parameters: list[Tensor] = list(critic.parameters())
        if parameters:
            torch._foreach_clamp_min_(parameters, -self.bound)
            torch._foreach_clamp_max_(parameters, self.bound)


@dataclass(frozen=True)
class SpectralNormalisation(Constraint):
    r"""Divides the weight of every linear and convolutional layer by its spectral norm: slopes of at most `scale`.

    The largest singular value comes from power iteration on the weight as a matrix (outputs x the rest), whose vectors
    are buffers: they are in the checkpoint, training and evaluation use the same ones, and they move once after each
    update of the critic, however many forward passes read it. The norm of the matrix is not the norm of the
    convolution: with a kernel of k x k it bounds the slope up to a factor of k. Normalisation layers would rescale what
    is bounded here, so the critic must have none.

    Arguments:
        scale: factor on the scores. With slopes of 1 the margins of a hinge loss are hard to reach on data of unit
            scale: 10 helps there.
        warm_up: power iterations at the start.

    Raises:
        UserError: the scale is not positive; or the critic has normalisation layers, or spectral norms already.

    References:
        Spectral Normalization for Generative Adversarial Networks (Miyato et al., 2018),
        https://arxiv.org/abs/1802.05957

    Example:
        >>> critic = SpectralNormalisation(warm_up=100).prepare(nn.Linear(3, 5))
        >>> round(torch.linalg.matrix_norm(critic.weight, 2).item(), 4)
        1.0
    """

    bounds_critic: ClassVar[bool] = True
    scale: float = 1.0
    warm_up: int = 15

    def __post_init__(self) -> None:
        if not self.scale > 0:
            raise UserError(f"constraint.scale={self.scale} is out of range: give a positive number.")
        if self.warm_up < 1:
            raise UserError(f"constraint.warm_up={self.warm_up} is out of range: give at least 1 iteration.")

    def prepare(self, critic: nn.Module) -> nn.Module:
        """Returns the critic with normalised weights, behind a factor if there is a scale."""
        _refuse_normalised(critic, "constraint=spectral normalises weights")
        if layers := normalisations(critic):
            raise UserError(
                f"constraint=spectral bounds the critic's slope, which its {layers[0]} would undo: "
                "set network.encoder.norm=none."
            )
        normalise(critic, self.warm_up)
        return _scaled(critic, self.scale)

    def __call__(self, critic: nn.Module) -> None:
        """Moves the power iteration on by one."""
        advance(critic)


@dataclass(frozen=True)
class GradientNormalisation(Constraint):
    r"""Divides the critic by what its own gradient is at each point, so that its slope is at most `scale`.

    With a scale of 1, `gn` is $\hat D = D / (\|\nabla D\| + |D|)$, with $|\hat D| \le 1$ and, for a piecewise linear
    critic, $\|\nabla \hat D\| = (\|\nabla D\| / (\|\nabla D\| + |D|))^2 \le 1$. `gran` is
    $\hat D = D\,\|\nabla D\| / (\|\nabla D\|^2 + \epsilon)$, a slope of 1 nearly everywhere. Both differentiate twice
    in every update, of the generator too.

    Arguments:
        variant: `gn` or `gran`.
        epsilon: the $\epsilon$ of `gran`.
        scale: factor on the scores, which are below 1 in `gn` without it.

    Raises:
        UserError: the variant is unknown or a number not positive; the critic couples samples, or has spectral norms.

    References:
        Gradient Normalization for Generative Adversarial Networks (Wu et al., 2021), https://arxiv.org/abs/2109.02235
        GraN-GAN: Piecewise Gradient Normalization for Generative Adversarial Networks (Bhaskara et al., 2021),
        https://arxiv.org/abs/2111.02162
    """

    bounds_critic: ClassVar[bool] = True
    fixes_slope: ClassVar[bool] = True
    reads_slope: ClassVar[bool] = True
    variant: Literal["gn", "gran"] = "gn"
    epsilon: float = 0.1
    scale: float = 1.0

    def __post_init__(self) -> None:
        if self.variant not in ("gn", "gran"):
            raise UserError(f"constraint.variant={self.variant} is unknown: choose gn or gran.")
        if not self.epsilon > 0:
            raise UserError(f"constraint.epsilon={self.epsilon} is out of range: give a positive number.")
        if not self.scale > 0:
            raise UserError(f"constraint.scale={self.scale} is out of range: give a positive number.")

    def prepare(self, critic: nn.Module) -> nn.Module:
        """Returns the critic behind the normalisation."""
        if batch_coupled(critic):
            raise UserError(f"constraint=gradient needs each sample's own gradient, which {uncoupled(critic)}.")
        _refuse_normalised(critic, "constraint=gradient normalises slopes")
        return _scaled(GradientNormalised(critic, None if self.variant == "gn" else self.epsilon), self.scale)

    def __call__(self, critic: nn.Module) -> None:
        """Does nothing: the normalisation is part of the critic."""


def _scaled(critic: nn.Module, scale: float) -> nn.Module:
    return critic if scale == 1 else Scaled(critic, scale)


def _refuse_normalised(critic: nn.Module, what: str) -> None:
    if is_normalised(critic):
        raise UserError(
            f"{what}, but the critic's weights have a spectral norm of 1 already, and one bound would undo the "
            "other: take spectral normalisation out of the network, or set constraint=none."
        )
