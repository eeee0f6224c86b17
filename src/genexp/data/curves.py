"""Densities around a curve: a uniform parameter and Gaussian noise, with the exact density by quadrature."""

import math
from abc import abstractmethod

import numpy as np
import torch
from torch import Tensor

from genexp.data.densities import Density, _positive

PANEL = 4.0
"""Length of a panel of the quadrature along the curve, in standard deviations of the noise."""
NODES = 10
"""Gauss-Legendre nodes in a panel: log p is then exact to better than 1e-3 within 10 standard deviations."""
TERMS = 1 << 22
"""Terms of the sum that are held at once."""


class NoisyCurve(Density):
    """Points c(t) + noise, t uniform on [0, 1].

    .. math:: p(x) = \\int_0^1 N(x; c(t), \\sigma^2 I) \\, dt

    The integral is a sum over the nodes of Gauss-Legendre panels that are as short as the noise is wide.

    Arguments:
        noise: standard deviation of the noise.
        speed: the greatest norm of dc/dt.

    Raises:
        UserError: if the noise is not positive: a curve has no density.
    """

    std: float

    def __init__(self, noise: float, speed: float) -> None:
        self.std = _positive("noise", noise)
        panels = 2 * math.ceil(speed / (2 * PANEL * self.std))  # even: a curve of two pieces breaks at t = 1/2
        nodes, weights = np.polynomial.legendre.leggauss(NODES)
        starts = np.arange(panels)[:, None] / panels
        t = torch.from_numpy((starts + (nodes + 1) / (2 * panels)).ravel())
        self._centres = self.curve(t)  # (panels * NODES, 2)
        self._log_weights = torch.from_numpy(np.log(np.tile(weights / (2 * panels), panels)))

    @abstractmethod
    def curve(self, t: Tensor) -> Tensor:
        """Points (n, 2) at parameters (n,) in [0, 1]."""

    def sample(self, n: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Draw a place on the curve, then noise."""
        centres = self.curve(torch.rand(n, generator=generator))
        return centres + self.std * torch.randn(n, 2, generator=generator), torch.zeros(n, dtype=torch.long)

    def log_prob(self, x: Tensor) -> Tensor:
        """By quadrature, to better than 1e-3 within 10 standard deviations of the curve."""
        parts = x.split(max(1, TERMS // len(self._centres)))
        return torch.cat([self._log_prob(part) for part in parts])

    def _log_prob(self, x: Tensor) -> Tensor:
        centres, log_weights = self._centres.to(x), self._log_weights.to(x)
        squares = (x[:, :1] - centres[:, 0]).square() + (x[:, 1:] - centres[:, 1]).square()  # (n, nodes)
        terms = log_weights - squares / (2 * self.std**2)
        return terms.logsumexp(dim=1) - math.log(2 * math.pi * self.std**2)


class TwoMoons(NoisyCurve):
    """Two half circles of radius 1 that reach into each other: (cos a, sin a) and (1 - cos a, 1/2 - sin a), 0 < a < π.

    Arguments:
        noise: standard deviation of the noise.

    Raises:
        UserError: if the noise is not positive.
    """

    def __init__(self, noise: float = 0.05) -> None:
        super().__init__(noise, speed=2 * math.pi)

    def curve(self, t: Tensor) -> Tensor:
        """The upper moon for t < 1/2, the lower one after it."""
        upper = t < 0.5
        angle = 2 * math.pi * torch.where(upper, t, t - 0.5)
        x = torch.where(upper, angle.cos(), 1 - angle.cos())
        y = torch.where(upper, angle.sin(), 0.5 - angle.sin())
        return torch.stack([x, y], dim=-1)

    def __repr__(self) -> str:
        return f"TwoMoons(noise={self.std})"


class SwissRoll(NoisyCurve):
    """The flat Swiss roll: a spiral (a cos a, a sin a), 3π/2 < a < 9π/2, scaled to an outer radius.

    The angle a is uniform, so the density falls outwards.

    Arguments:
        noise: standard deviation of the noise, after the scaling.
        radius: of the outer end.

    Raises:
        UserError: if a number is not positive.
    """

    def __init__(self, noise: float = 0.05, radius: float = 2.0) -> None:
        self.radius = _positive("radius", radius)
        super().__init__(noise, speed=3 * math.pi * self.radius * math.hypot(1, 1 / (4.5 * math.pi)))

    def curve(self, t: Tensor) -> Tensor:
        """The spiral from the inside out."""
        angle = 1.5 * math.pi * (1 + 2 * t)
        length = angle * (self.radius / (4.5 * math.pi))
        return torch.stack([length * angle.cos(), length * angle.sin()], dim=-1)

    def __repr__(self) -> str:
        return f"SwissRoll(noise={self.std}, radius={self.radius})"
