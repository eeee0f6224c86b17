"""Penalties on the gradient of a critic with respect to its input.

All of them read the gradient of every sample by itself, so the critic must not couple the samples of a batch:
`genexp.networks.normalisation.batch_coupled` tells.
"""

from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from genexp.errors import UserError
from genexp.objectives.penalties.base import (
    TINY,
    Critic,
    CriticPenalty,
    Step,
    input_gradient,
    interpolate,
    norms,
    one_each,
)


@dataclass(frozen=True)
class GradientPenalty(CriticPenalty):
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
        >>> GradientPenalty()(lambda x: x @ slope, x, x, Step()).item()  # (5 - 1)²
        16.0
    """

    weight: float = 10.0
    target: float = 1.0
    one_sided: bool = False
    interval: int = 1

    def __post_init__(self) -> None:
        super().__post_init__()
        self.check_range(target=self.target)

    @property
    def slope(self) -> float | None:
        """The target, unless lower slopes are free or it is zero."""
        return None if self.one_sided or self.target == 0 else self.target

    def __call__(self, critic: Critic, real: Tensor, fake: Tensor, step: Step) -> Tensor:
        """Returns the mean squared distance of the slopes' norms from the target."""
        excess = norms(input_gradient(critic, interpolate(real, fake, step))) - self.target  # (B,)
        return (F.relu(excess) if self.one_sided else excess).square().mean()


@dataclass(frozen=True)
class R1(CriticPenalty):
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

    def __call__(self, critic: Critic, real: Tensor, fake: Tensor, step: Step) -> Tensor:
        """Returns half the mean squared norm of the slopes on data."""
        return 0.5 * input_gradient(critic, real).square().sum(1).mean()


@dataclass(frozen=True)
class R2(CriticPenalty):
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

    def __call__(self, critic: Critic, real: Tensor, fake: Tensor, step: Step) -> Tensor:
        """Returns half the mean squared norm of the slopes on samples."""
        return 0.5 * input_gradient(critic, fake).square().sum(1).mean()


@dataclass(frozen=True)
class WassersteinDivergence(CriticPenalty):
    r"""WGAN-div: a power of the slope's norm, $E_s \|\nabla D(x)\|^p$, with the loss `Wasserstein`.

    Then $\max_D E_p D - E_q D - k\,E_s\|\nabla D\|^p$ is a divergence itself, zero only for $p = q$, and no
    Lipschitz bound is needed. In one dimension, with the distribution functions $P$ and $Q$, it is

    $$\frac{p - 1}{p} \Bigl(\frac{1}{k p}\Bigr)^{1/(p-1)} \int |P - Q|^{p/(p-1)} s^{-1/(p-1)} dx.$$

    The squares are summed over the dimensions, and the power is taken of each sample's own norm.

    Arguments:
        weight: the factor $k$.
        power: the power $p$, above 1; the pair $k = 2$, $p = 6$ is the paper's.
        points: what $s$ is: `both`, data and samples in equal shares, or `between`, on lines from one to the other.
        interval: evaluated every so many steps.

    Raises:
        UserError: the weight is negative, the power not above 1, the points unknown, or the interval below 1.

    References:
        Wasserstein Divergence for GANs (Wu et al., 2018), https://arxiv.org/abs/1712.01026

    Example:
        >>> slope = torch.tensor([3.0, 4.0])
        >>> x = torch.randn(8, 2)
        >>> WassersteinDivergence(power=2.0)(lambda x: x @ slope, x, x, Step()).item()
        25.0
    """

    weight: float = 2.0
    power: float = 6.0
    points: Literal["both", "between"] = "both"
    interval: int = 1

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.power > 1:
            raise UserError(f"WassersteinDivergence: power={self.power} is out of range: give more than 1.")
        if self.points not in ("both", "between"):
            raise UserError(f"WassersteinDivergence: points={self.points} is unknown: choose both or between.")

    def __call__(self, critic: Critic, real: Tensor, fake: Tensor, step: Step) -> Tensor:
        """Returns the mean power of the slopes' norms."""
        points = torch.cat([real, fake]) if self.points == "both" else interpolate(real, fake, step)
        return (input_gradient(critic, points).square().sum(1) + TINY).pow(self.power / 2).mean()


@dataclass(frozen=True)
class DRAGAN(CriticPenalty):
    r"""Slopes of norm `target` in a neighbourhood of the data, however good the samples are.

    $$E\,(\|\nabla D(\hat x)\|_2 - t)^2, \qquad \hat x = x + \alpha\,\tfrac12 \mathrm{std}(X)\,u$$

    with $u \sim U[0, 1)$ in each dimension, $\alpha \sim U[0, 1)$ per sample and the standard deviation of all
    entries of the batch. `centred` noise is $\hat x = x + \mathrm{std}(X)(u - \tfrac12)$. The neighbourhood is as
    wide as the data themselves: on points in the plane a slope of 1 is asked for nearly everywhere, and modes are lost.

    Arguments:
        weight: the factor $\lambda$.
        target: the norm $t$.
        noise: `one_sided`, as in the authors' notebook, or `centred`.
        interval: evaluated every so many steps.

    Raises:
        UserError: a number is out of range, or the noise unknown.

    References:
        On Convergence and Stability of GANs (Kodali et al., 2017), https://arxiv.org/abs/1705.07215
    """

    weight: float = 10.0
    target: float = 1.0
    noise: Literal["one_sided", "centred"] = "one_sided"
    interval: int = 1

    def __post_init__(self) -> None:
        super().__post_init__()
        self.check_range(target=self.target)
        if self.noise not in ("one_sided", "centred"):
            raise UserError(f"DRAGAN: noise={self.noise} is unknown: choose one_sided or centred.")

    @property
    def slope(self) -> float | None:
        """The target, unless it is zero."""
        return self.target or None

    def __call__(self, critic: Critic, real: Tensor, fake: Tensor, step: Step) -> Tensor:
        """Returns the mean squared distance of the slopes' norms from the target, near the data."""
        return (norms(input_gradient(critic, self.near(real.detach(), step))) - self.target).square().mean()

    def near(self, real: Tensor, step: Step) -> Tensor:
        """Returns points around data, (B, ...)."""
        deviation = step.mean((real - step.mean(real.mean())).square().mean()).sqrt()
        noise = step.uniform(*real.shape).to(real)  # (B, ...)
        if self.noise == "centred":
            return real + deviation * (noise - 0.5)
        return real + one_each(step.uniform(real.shape[0]), real) * 0.5 * deviation * noise
