"""Densities in the plane (and Gaussian mixtures anywhere) whose truth is known: they sample and they know log p.

`repr` of a density states all its parameters: it identifies the data in fingerprints and cache keys.
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from genexp.errors import UserError

PANEL = 4.0
"""Length of a panel of the quadrature along the curve, in standard deviations of the noise."""
NODES = 10
"""Gauss-Legendre nodes in a panel: log p is then exact to better than 1e-3 within 10 standard deviations."""
TERMS = 1 << 22
"""Terms of the sum that are held at once."""


def positive(name: str, value: float) -> float:
    """A parameter as a float.

    Raises:
        UserError: if it is not above 0.
    """
    if not value > 0:
        raise UserError(f"dataset.density.{name}={value} is out of range: give a number above 0.")
    return float(value)


class Density(ABC):
    """A known density.

    A subclass whose `repr` does not state every parameter that it samples from would share scores between different
    data.

    Attributes:
        dim: dimension D of the points.
        modes: centres (K, D) of the modes; None where there are none to count.
        std: standard deviation of the noise around a mode or a curve; None without noise.
    """

    dim: int = 2
    modes: Tensor | None = None
    std: float | None = None

    @property
    def num_classes(self) -> int:
        """The number of modes, whose index is a point's class; 0 without modes."""
        return 0 if self.modes is None else len(self.modes)

    @abstractmethod
    def sample(self, n: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Draw `n` points, float32 (n, D), and the index of the mode of each, long (n,), zeros without modes."""

    @abstractmethod
    def log_prob(self, x: Tensor) -> Tensor:
        """Log-density (n,) in nats of points (n, D), in the dtype of `x`; -inf outside the support."""

    @abstractmethod
    def __repr__(self) -> str: ...


class GaussianMixture(Density):
    r"""A mixture of isotropic Gaussians with one standard deviation.

    .. math:: p(x) = \sum_k w_k \, N(x; m_k, \sigma^2 I)

    Of a sample, 1 - exp(-4.5) = 98.889 % lie within three standard deviations of their centre in the plane.

    Arguments:
        means: centres (K, D).
        std: standard deviation.
        weights: weights (K,), normalised here; None for equal ones.

    Raises:
        UserError: if the centres are ragged, the standard deviation or a weight is not positive, or their numbers
            differ.
    """

    std: float
    modes: Tensor

    def __init__(self, means: Sequence[Sequence[float]], std: float, weights: Sequence[float] | None = None) -> None:
        self.means = [[float(value) for value in mean] for mean in means]
        if not self.means or len({len(mean) for mean in self.means}) != 1 or not self.means[0]:
            raise UserError("dataset.density.means must be a list of points of one dimension, as [[0, 1], [2, 3]].")
        self.weights = [1.0] * len(self.means) if weights is None else [float(weight) for weight in weights]
        if len(self.weights) != len(self.means) or min(self.weights) <= 0:
            raise UserError(f"dataset.density.weights must be {len(self.means)} positive numbers, one for each mean.")
        self.std = positive("std", std)
        self.dim = len(self.means[0])
        self.modes = torch.tensor(self.means)
        self._means = torch.tensor(self.means, dtype=torch.float64)
        self._shares = torch.tensor(self.weights, dtype=torch.float64)
        self._shares /= self._shares.sum()

    def sample(self, n: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Draw a mode for each point, then noise around its centre."""
        y = torch.multinomial(self._shares, n, replacement=True, generator=generator)
        return self.modes[y] + self.std * torch.randn(n, self.dim, generator=generator), y

    def log_prob(self, x: Tensor) -> Tensor:
        """Exact."""
        squares = (x.unsqueeze(1) - self._means.to(x)).square().sum(-1)  # (n, K)
        normaliser = self.dim * math.log(self.std * math.sqrt(2 * math.pi))
        terms = self._shares.log().to(x) - squares / (2 * self.std**2)
        return terms.logsumexp(dim=1) - normaliser

    def __repr__(self) -> str:
        return f"GaussianMixture(means={self.means}, std={self.std}, weights={self.weights})"


class Ring(GaussianMixture):
    """Equal Gaussians on a circle, the first at angle zero.

    Arguments:
        modes: how many.
        radius: of the circle.
        std: standard deviation of each.

    Raises:
        UserError: if a number is not positive.

    References:
        VEEGAN: Reducing Mode Collapse in GANs using Implicit Variational Learning, Srivastava et al., 2017.
        https://arxiv.org/abs/1705.07761
    """

    def __init__(self, modes: int = 8, radius: float = 1.0, std: float = 0.01) -> None:
        self.radius = positive("radius", radius)
        angles = [2 * math.pi * k / int(positive("modes", modes)) for k in range(modes)]
        super().__init__([[radius * math.cos(a), radius * math.sin(a)] for a in angles], std)

    def __repr__(self) -> str:
        return f"Ring(modes={len(self.modes)}, radius={self.radius}, std={self.std})"


class Grid(GaussianMixture):
    """Equal Gaussians on a square grid around the origin.

    Arguments:
        side: how many along each side.
        spacing: distance between neighbours.
        std: standard deviation of each.

    Raises:
        UserError: if a number is not positive.

    References:
        VEEGAN: Reducing Mode Collapse in GANs using Implicit Variational Learning, Srivastava et al., 2017.
        https://arxiv.org/abs/1705.07761
    """

    def __init__(self, side: int = 5, spacing: float = 2.0, std: float = 0.05) -> None:
        self.side, self.spacing = int(positive("side", side)), positive("spacing", spacing)
        ticks = [self.spacing * (i - (self.side - 1) / 2) for i in range(self.side)]
        super().__init__([[a, b] for a in ticks for b in ticks], std)

    def __repr__(self) -> str:
        return f"Grid(side={self.side}, spacing={self.spacing}, std={self.std})"


class Checkerboard(Density):
    """Uniform on the fields of one colour of a board around the origin; the lower left field is one of them.

    Arguments:
        squares: fields along each side.
        half_width: half the width of the board.

    Raises:
        UserError: if a number is not positive.
    """

    def __init__(self, squares: int = 4, half_width: float = 2.0) -> None:
        self.squares, self.half_width = int(positive("squares", squares)), positive("half_width", half_width)
        self.field = 2 * self.half_width / self.squares
        fields = [(i, j) for i in range(self.squares) for j in range(self.squares) if (i + j) % 2 == 0]
        self._corners = torch.tensor(fields) * self.field - self.half_width

    def sample(self, n: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Draw a field for each point, then a place in it."""
        corner = self._corners[torch.randint(len(self._corners), (n,), generator=generator)]
        # The sum is rounded: without the limit a point could fall on the edge of the next field, where p = 0.
        place = torch.rand(n, 2, generator=generator).clamp_(2**-20, 1 - 2**-20)
        return corner + self.field * place, torch.zeros(n, dtype=torch.long)

    def log_prob(self, x: Tensor) -> Tensor:
        """Exact; -inf outside the fields."""
        column, row = ((x + self.half_width) / self.field).floor().unbind(-1)
        on_board = (x.abs() < self.half_width).all(-1)
        inside = on_board & ((column + row) % 2 == 0)
        log_area = math.log(len(self._corners) * self.field**2)
        return torch.where(inside, -log_area, -torch.inf).to(x)

    def __repr__(self) -> str:
        return f"Checkerboard(squares={self.squares}, half_width={self.half_width})"


class NoisyCurve(Density):
    r"""Points c(t) + noise, t uniform on [0, 1].

    .. math:: p(x) = \int_0^1 N(x; c(t), \sigma^2 I) \, dt

    The integral is a sum over the nodes of Gauss-Legendre panels that are as short as the noise is wide.

    Arguments:
        noise: standard deviation of the noise.
        speed: the greatest norm of dc/dt.

    Raises:
        UserError: if the noise is not positive: a curve has no density.
    """

    std: float

    def __init__(self, noise: float, speed: float) -> None:
        self.std = positive("noise", noise)
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
        self.radius = positive("radius", radius)
        super().__init__(noise, speed=3 * math.pi * self.radius * math.hypot(1, 1 / (4.5 * math.pi)))

    def curve(self, t: Tensor) -> Tensor:
        """The spiral from the inside out."""
        angle = 1.5 * math.pi * (1 + 2 * t)
        length = angle * (self.radius / (4.5 * math.pi))
        return torch.stack([length * angle.cos(), length * angle.sin()], dim=-1)

    def __repr__(self) -> str:
        return f"SwissRoll(noise={self.std}, radius={self.radius})"
