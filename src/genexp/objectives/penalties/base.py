"""What a penalty is, and the two things that most of them need: a point between two samples and a slope there."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from genexp.errors import UserError
from genexp.networks.eager import uncompiled

Critic = Callable[[Tensor], Tensor]

TINY = 1e-12  # under a square root: the norm's gradient at zero is then zero, not NaN


def alone(value: Tensor) -> Tensor:
    """The mean over the processes of a value, where there is one process."""
    return value


@dataclass(frozen=True)
class Step:
    """What a penalty may ask of the step that it is part of.

    Attributes:
        uniform: `uniform(n, *shape)` draws numbers from [0, 1), (n, *shape). The model hands it over so that several
            processes draw what one process would.
        mean: the mean of a tensor over the processes, without a graph.
        scores: the critic's scores of data (B,) and of samples (B,), as its loss has just read them.
    """

    uniform: Callable[..., Tensor] = torch.rand
    mean: Callable[[Tensor], Tensor] = alone
    scores: tuple[Tensor, Tensor] | None = None


class Penalty(ABC):
    """A term of a player's loss. Subclass `CriticPenalty` or `GeneratorPenalty` for a penalty of your own.

    Attributes:
        weight: the factor of the penalty in the player's loss.
        interval: the penalty is evaluated on every step that is a multiple of it.
    """

    weight: float
    interval: int

    def __post_init__(self) -> None:
        self.check_range(weight=self.weight)
        if not isinstance(self.interval, int) or self.interval < 1:
            raise UserError(
                f"{type(self).__name__}: interval={self.interval} is out of range: give a whole number of at least 1."
            )

    def check_range(self, **numbers: float) -> None:
        """Checks that numbers are not negative.

        Raises:
            UserError: one of them is.
        """
        for name, value in numbers.items():
            if not value >= 0:
                raise UserError(f"{type(self).__name__}: {name}={value} is out of range: give 0 or more.")

    def due(self, step: int) -> bool:
        """Whether it is evaluated in this step."""
        return step % self.interval == 0

    @property
    def scaled_weight(self) -> float:
        """The factor on the steps where the penalty is evaluated: weight times interval.

        A lazy penalty is left out of all steps but every `interval`-th one, and weighs `interval` times as
        much there, so that its mean contribution per step is that of `interval=1`.
        """
        return self.weight * self.interval


class CriticPenalty(Penalty):
    """A term of the critic's loss.

    Attributes:
        per_sample: True if the penalty reads per-sample gradients, and so needs a critic without BatchNorm.
        reads_scores: True if it reads the step's scores, which then carry no graph to the generator.
        bounds_critic: True if an unbounded loss of the critic, as Wasserstein's, has a minimum with it.
    """

    per_sample: ClassVar[bool] = True
    reads_scores: ClassVar[bool] = False
    bounds_critic: ClassVar[bool] = True

    @property
    def slope(self) -> float | None:
        """The norm of the critic's gradient that the penalty asks for; None if it asks for none above zero."""
        return None

    @abstractmethod
    def __call__(self, critic: Critic, real: Tensor, fake: Tensor, step: Step) -> Tensor:
        """Returns the unweighted penalty, a scalar in float32 at least, with a graph to the critic alone.

        Arguments:
            critic: maps data (B, ...) to raw scores (B,) or (B, 1), in training mode, without BatchNorm if the
                penalty is `per_sample`.
            real: data (B, ...).
            fake: samples (B, ...); their graph to the generator is cut here.
            step: random numbers, means over the processes, and the scores that the critic's loss has read.
        """

    def observe(self, step: Step) -> None:
        """Called with the scores of each update of the critic, for penalties that remember; due or not."""


class GeneratorPenalty(Penalty):
    """A term of the generator's loss that holds its samples against those it made before it moved."""

    @abstractmethod
    def __call__(self, fake: Tensor, reference: Tensor) -> Tensor:
        """Returns the unweighted penalty, a scalar in float32 at least, with a graph to the generator.

        Arguments:
            fake: samples (B, ...).
            reference: samples (B, ...) of the same latents, made before the generator's first update of the step.
        """


def precise(points: Tensor) -> Tensor:
    """The same numbers in float32 at least, without a graph."""
    return points.detach().to(torch.promote_types(points.dtype, torch.float32))


def input_gradient(critic: Critic, points: Tensor) -> Tensor:
    """Returns the gradient of each sample's score with respect to that sample, itself differentiable.

    In float32 at least, under autocast too: squared gradients lose their small entries in half precision. A critic
    that `torch.compile` has wrapped is run uncompiled, since its compiled graph has no second derivative.

    Arguments:
        critic: maps (B, ...) to scores (B,) or (B, 1).
        points: where to take the gradient (B, ...); their own graph is cut.

    Returns:
        gradients, flattened (B, D).
    """
    lifted = precise(points).requires_grad_()
    with torch.autocast(points.device.type, enabled=False), uncompiled():
        # the sum's gradient is every sample's own gradient, because samples are not coupled
        (gradient,) = torch.autograd.grad(critic(lifted).sum(), lifted, create_graph=True)
    return gradient.flatten(1)


def norms(gradient: Tensor) -> Tensor:
    """Returns the Euclidean norm of each row, (B, D) -> (B,), with a gradient of zero where the row is zero."""
    return (gradient.square().sum(1) + TINY).sqrt()


def one_each(numbers: Tensor, like: Tensor) -> Tensor:
    """Returns one number for each sample, (B,), in a shape that multiplies samples (B, ...)."""
    return numbers.to(like).reshape(-1, *[1] * (like.ndim - 1))


def interpolate(real: Tensor, fake: Tensor, step: Step) -> Tensor:
    r"""Returns $\varepsilon x + (1 - \varepsilon) G(z)$ (B, ...), one $\varepsilon$ per sample, detached."""
    real, fake = real.detach(), fake.detach()
    share = one_each(step.uniform(real.shape[0]), real)  # (B, 1, ..., 1)
    return share * real + (1 - share) * fake
