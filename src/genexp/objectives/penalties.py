r"""Penalties on the gradient of a critic with respect to its input, added to the critic's loss alone.

Calling a penalty returns its *unweighted* value; the training step adds `penalty.scaled_weight` times that,
on the steps that are multiples of `penalty.interval`. All of them read the gradient of every sample by
itself, so the critic must not couple the samples of a batch: `genexp.networks.normalisation.batch_coupled`
tells.

They differentiate twice, which a critic wrapped by `torch.compile` cannot: hand over the module it was made
from.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor

from genexp.errors import UserError

Critic = Callable[[Tensor], Tensor]
Uniform = Callable[[int], Tensor]

TINY = 1e-12  # under a square root: the norm's gradient at zero is then zero, not NaN


class Penalty(ABC):
    """A term of the critic's loss. Subclass it, as a frozen dataclass, for a penalty of your own.

    Attributes:
        weight: the factor of the penalty in the critic's loss.
        interval: the penalty is evaluated on every step that is a multiple of it.
        per_sample: True if the penalty reads per-sample gradients, and so needs a critic without BatchNorm.
    """

    weight: float
    interval: int
    per_sample: ClassVar[bool] = True

    def __post_init__(self) -> None:
        name = type(self).__name__
        if not self.weight >= 0:
            raise UserError(f"{name}: weight={self.weight} is out of range: give 0 or more.")
        if self.interval < 1:
            raise UserError(f"{name}: interval={self.interval} is out of range: give at least 1 step.")

    @property
    def scaled_weight(self) -> float:
        """The factor on the steps where the penalty is evaluated: weight times interval.

        A lazy penalty is left out of all steps but every `interval`-th one, and weighs `interval` times as
        much there, so that its mean contribution per step is that of `interval=1`.
        """
        return self.weight * self.interval

    @abstractmethod
    def __call__(self, critic: Critic, real: Tensor, fake: Tensor, uniform: Uniform) -> Tensor:
        """Returns the unweighted penalty, a float32 scalar with a graph to the critic alone.

        Arguments:
            critic: maps data (B, ...) to raw scores (B,) or (B, 1), in training mode, without BatchNorm.
            real: data (B, ...).
            fake: samples (B, ...); their graph to the generator is cut here.
            uniform: `uniform(n)` draws n numbers from [0, 1), shape (n,). The model hands it over so that
                several processes draw what one process would.
        """


def input_gradient(critic: Critic, points: Tensor) -> Tensor:
    """Returns the gradient of each sample's score with respect to that sample, itself differentiable.

    In float32 at least, under autocast too: squared gradients lose their small entries in half precision.

    Arguments:
        critic: maps (B, ...) to scores (B,) or (B, 1).
        points: where to take the gradient (B, ...); their own graph is cut.

    Returns:
        gradients, flattened (B, D).
    """
    lifted = points.detach().to(torch.promote_types(points.dtype, torch.float32)).requires_grad_()
    with torch.autocast(points.device.type, enabled=False):
        # the sum's gradient is every sample's own gradient, because samples are not coupled
        (gradient,) = torch.autograd.grad(critic(lifted).sum(), lifted, create_graph=True)
    return gradient.flatten(1)


def interpolate(real: Tensor, fake: Tensor, uniform: Uniform) -> Tensor:
    r"""Returns $\varepsilon x + (1 - \varepsilon) G(z)$ (B, ...), one $\varepsilon$ per sample, detached."""
    real, fake = real.detach(), fake.detach()
    share = uniform(real.shape[0]).to(real).reshape(-1, *[1] * (real.ndim - 1))  # (B, 1, ..., 1)
    return share * real + (1 - share) * fake


@dataclass(frozen=True)
class GradientPenalty(Penalty):
    r"""WGAN-GP: slopes of norm `target` between data and samples.

    $$E\,(\|\nabla D(\hat x)\|_2 - t)^2, \qquad \hat x = \varepsilon x + (1 - \varepsilon) G(z)$$

    with one $\varepsilon \sim U[0, 1)$ per sample. One-sided it is
    $E\max(0, \|\nabla D(\hat x)\|_2 - t)^2$, and slopes below the target cost nothing.

    Arguments:
        weight: the factor $\lambda$; 10 in the paper, 0.1 in its 2-D toys.
        target: the norm $t$: 1, or 0 for a penalty that is centred at zero.
        one_sided: whether norms below the target are free.
        interval: evaluated every so many steps.

    Raises:
        UserError: a weight or target is negative, or the interval is below 1.

    References:
        Improved Training of Wasserstein GANs (Gulrajani et al., 2017), https://arxiv.org/abs/1704.00028

    Example:
        >>> slope = torch.tensor([3.0, 4.0])
        >>> x = torch.randn(8, 2)
        >>> GradientPenalty()(lambda x: x @ slope, x, x, torch.rand).item()  # (5 - 1)²
        16.0
    """

    weight: float = 10.0
    target: float = 1.0
    one_sided: bool = False
    interval: int = 1

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.target >= 0:
            raise UserError(f"GradientPenalty: target={self.target} is out of range: give 0 or more.")

    def __call__(self, critic: Critic, real: Tensor, fake: Tensor, uniform: Uniform) -> Tensor:
        """Returns the mean squared distance of the slopes' norms from the target."""
        gradient = input_gradient(critic, interpolate(real, fake, uniform))
        excess = (gradient.square().sum(1) + TINY).sqrt() - self.target  # (B,)
        return (F.relu(excess) if self.one_sided else excess).square().mean()


@dataclass(frozen=True)
class R1(Penalty):
    r"""Zero-centred gradient penalty on data: $\tfrac12 E_p \|\nabla D(x)\|^2$, so that `weight` is $\gamma$.

    The factor of two is a trap: papers write $\tfrac\gamma2 E\|\nabla D\|^2$, as here, and some code has no
    half, so that its `reg=10` is $\gamma = 20$. The gradient is taken with respect to data in their own
    range: $\gamma$ is four times as strong on [0, 1] as on [-1, 1].

    Arguments:
        weight: the factor $\gamma$. The default 1 damps a non-saturating GAN critically on one point
            (Dirac-GAN); 0.1 suits 2-D toys.
        interval: evaluated every so many steps; 16 makes it nearly free.

    Raises:
        UserError: the weight is negative, or the interval is below 1.

    References:
        Which Training Methods for GANs do actually Converge? (Mescheder, Geiger, Nowozin, 2018),
        https://arxiv.org/abs/1801.04406
    """

    weight: float = 1.0
    interval: int = 1

    def __call__(self, critic: Critic, real: Tensor, fake: Tensor, uniform: Uniform) -> Tensor:
        """Returns half the mean squared norm of the slopes on data."""
        return 0.5 * input_gradient(critic, real).square().sum(1).mean()


@dataclass(frozen=True)
class R2(Penalty):
    r"""Zero-centred gradient penalty on samples: $\tfrac12 E_q \|\nabla D(G(z))\|^2$; `weight` is $\gamma$.

    The mirror of `R1`, and mostly its companion: `penalty=[r1,r2]`.

    Arguments:
        weight: the factor $\gamma$.
        interval: evaluated every so many steps.

    Raises:
        UserError: the weight is negative, or the interval is below 1.

    References:
        Which Training Methods for GANs do actually Converge? (Mescheder, Geiger, Nowozin, 2018),
        https://arxiv.org/abs/1801.04406
    """

    weight: float = 1.0
    interval: int = 1

    def __call__(self, critic: Critic, real: Tensor, fake: Tensor, uniform: Uniform) -> Tensor:
        """Returns half the mean squared norm of the slopes on samples."""
        return 0.5 * input_gradient(critic, fake).square().sum(1).mean()
