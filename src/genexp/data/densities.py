"""Densities in the plane (and Gaussian mixtures anywhere) whose truth is known: they sample and they know log p.

`repr` of a density states all its parameters: it identifies the data in fingerprints and cache keys.
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence

import torch
from torch import Tensor

from genexp.errors import UserError


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
    """A mixture of isotropic Gaussians with one standard deviation.

    .. math:: p(x) = \\sum_k w_k \\, N(x; m_k, \\sigma^2 I)

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

    def __init__(
        self, means: Sequence[Sequence[float]], std: float, weights: Sequence[float] | None = None
    ) -> None:
        self.means = [[float(value) for value in mean] for mean in means]
        if not self.means or len({len(mean) for mean in self.means}) != 1 or not self.means[0]:
            raise UserError("dataset.density.means must be a list of points of one dimension, as [[0, 1], [2, 3]].")
        self.weights = [1.0] * len(self.means) if weights is None else [float(weight) for weight in weights]
        if len(self.weights) != len(self.means) or min(self.weights) <= 0:
            raise UserError(f"dataset.density.weights must be {len(self.means)} positive numbers, one for each mean.")
        self.std = _positive("std", std)
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
        self.radius = _positive("radius", radius)
        angles = [2 * math.pi * k / int(_positive("modes", modes)) for k in range(modes)]
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
        self.side, self.spacing = int(_positive("side", side)), _positive("spacing", spacing)
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
        self.squares, self.half_width = int(_positive("squares", squares)), _positive("half_width", half_width)
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


def _positive(name: str, value: float) -> float:
    if not value > 0:
        raise UserError(f"dataset.density.{name}={value} is out of range: give a number above 0.")
    return float(value)
