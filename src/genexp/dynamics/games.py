r"""Games of a critic and a generator that are small enough to be known: few parameters, and an equilibrium.

Both sides of a game are expectations over fixed nodes, so that the game has no noise and its equilibrium is exact: the
generator maps the nodes of the latents onto the data, and no critic of the family tells them apart.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import NormalDist

import torch
from torch import Tensor, nn

from genexp.errors import UserError


class LinearCritic(nn.Module):
    r"""A critic that is linear in its parameters, $D(x) = \sum_k w_k f_k(x)$.

    Arguments:
        features: maps data (B, D) to the features $f$ (B, K).
        weight: the start of $w$, (K,).
    """

    def __init__(self, features: Callable[[Tensor], Tensor], weight: Tensor) -> None:
        super().__init__()
        self.features = features
        self.weight = nn.Parameter(weight.clone())

    def forward(self, x: Tensor) -> Tensor:
        """Scores of data, (B, D) -> (B, 1)."""
        return (self.features(x) @ self.weight).unsqueeze(1)


class AffineGenerator(nn.Module):
    r"""A generator that moves and scales its latents, $G(z) = m + s z$.

    Arguments:
        mean: the start of $m$, (D,); None holds it at zero.
        scale: the start of $s$, (D,); None holds it at zero.
    """

    def __init__(self, mean: Tensor | None = None, scale: Tensor | None = None) -> None:
        super().__init__()
        self.mean = None if mean is None else nn.Parameter(mean.clone())
        self.scale = None if scale is None else nn.Parameter(scale.clone())

    def forward(self, z: Tensor) -> Tensor:
        """Samples of latents, (B, D) -> (B, D)."""
        moved = torch.zeros_like(z) if self.scale is None else self.scale * z
        return moved if self.mean is None else moved + self.mean


@dataclass(frozen=True)
class Game:
    """A game and its equilibrium; states are vectors, the critic's parameters before the generator's.

    Attributes:
        data: the nodes of the data, float64 (n, D).
        latents: the nodes of the latents, float64 (n, L).
        generator: makes the generator with its parameters at a state's second part.
        critic: makes the critic with its parameters at a state's first part.
        axes: the names of the parameters.
        equilibrium: the state in which the samples are the data and the critic tells nothing.
        start: where the trajectory starts.
        of_critic: how many of a state's numbers are the critic's.
    """

    data: Tensor
    latents: Tensor
    generator: Callable[[Tensor], nn.Module]
    critic: Callable[[Tensor], nn.Module]
    axes: tuple[str, ...]
    equilibrium: Tensor
    start: Tensor
    of_critic: int


def _numbers(value: float | Sequence[float], name: str) -> Tensor:
    numbers = torch.as_tensor(value, dtype=torch.float64).reshape(-1)
    if not numbers.isfinite().all():
        raise UserError(f"game.{name}={value} is no start: give finite numbers.")
    return numbers


def _single(value: float, name: str) -> Tensor:
    if len(number := _numbers(value, name)) != 1:
        raise UserError(f"game.{name}={value} has {len(number)} numbers: give one.")
    return number


def dirac(phi: float | Sequence[float] = 1.0, theta: float | Sequence[float] = 1.0) -> Game:
    r"""The Dirac-GAN: data at 0, all samples at $\theta$, and a linear critic $D(x) = \langle\varphi, x\rangle$.

    The smallest game that shows what a training does at its end: on the data the critic's curvature is zero, and
    nothing but a penalty or the update plan damps the players. The equilibrium is (0, 0).

    Arguments:
        phi: the critic's start, a number or one for each dimension.
        theta: the generator's start, as many numbers.

    Raises:
        UserError: the two have different dimensions, or a number is not finite.

    References:
        Which Training Methods for GANs do actually Converge?, Mescheder, Geiger and Nowozin, 2018.
        https://arxiv.org/abs/1801.04406
    """
    critic, generator = _numbers(phi, "phi"), _numbers(theta, "theta")
    dimensions = len(critic)
    if len(generator) != dimensions:
        raise UserError(f"game.phi has {dimensions} numbers and game.theta {len(generator)}: give as many to both.")
    point = torch.zeros(1, dimensions, dtype=torch.float64)
    names = [""] if dimensions == 1 else [f"_{i + 1}" for i in range(dimensions)]
    return Game(
        data=point,
        latents=point,
        generator=lambda state: AffineGenerator(mean=state),
        critic=lambda state: LinearCritic(lambda x: x, state),
        axes=(*(rf"\varphi{n}" for n in names), *(rf"\theta{n}" for n in names)),
        equilibrium=torch.zeros(2 * dimensions, dtype=torch.float64),
        start=torch.cat([critic, generator]),
        of_critic=dimensions,
    )


def scale(w: float = 0.5, a: float = 0.5, nodes: int = 64) -> Game:
    r"""Uniform data on [-1, 1], samples $G(z) = a z$ of uniform latents, and the critic $D(x) = w x^2$.

    The data have a spread here, so that a critic with curvature in its loss is damped by the data themselves. The
    equilibrium is (0, 1); (0, -1) is another.

    Arguments:
        w: the critic's start.
        a: the generator's start.
        nodes: points of the data and of the latents, the midpoints of equal parts.

    Raises:
        UserError: there are fewer than two nodes, or a number is not finite.

    References:
        Gradient descent GAN optimization is locally stable, Nagarajan and Kolter, 2017.
        https://arxiv.org/abs/1706.04156
    """
    points = 2 * _midpoints(nodes) - 1
    return Game(
        data=points,
        latents=points,
        generator=lambda state: AffineGenerator(scale=state),
        critic=lambda state: LinearCritic(lambda x: x.square(), state),
        axes=("w", "a"),
        equilibrium=torch.tensor([0.0, 1.0], dtype=torch.float64),
        start=torch.cat([_single(w, "w"), _single(a, "a")]),
        of_critic=1,
    )


def gaussian(a: float = 0.0, b: float = 0.0, mean: float = 1.0, scale: float = 0.5, nodes: int = 64) -> Game:
    r"""Gaussian data, samples $G(z) = m + s z$, and the critic $D(x) = a x + b (x^2 - 1)$.

    Two games in one: $a$ against the mean $m$, and $b$ against the spread $s$. The equilibrium is
    $(a, b, m, s) = (0, 0, 0, 1)$.

    Arguments:
        a: the start of the critic's slope.
        b: the start of the critic's curvature.
        mean: the start of the generator's mean $m$.
        scale: the start of the generator's spread $s$.
        nodes: points of the data and of the latents, the quantiles of equal parts, scaled to variance 1.

    Raises:
        UserError: there are fewer than two nodes, or a number is not finite.
    """
    quantile = NormalDist().inv_cdf
    points = torch.tensor([[quantile(u)] for u in _midpoints(nodes).flatten().tolist()], dtype=torch.float64)
    points = points / points.square().mean().sqrt()
    return Game(
        data=points,
        latents=points,
        generator=lambda state: AffineGenerator(mean=state[:1], scale=state[1:]),
        critic=lambda state: LinearCritic(lambda x: torch.cat([x, x.square() - 1], 1), state),
        axes=("a", "b", "m", "s"),
        equilibrium=torch.tensor([0.0, 0.0, 0.0, 1.0], dtype=torch.float64),
        start=torch.cat([_single(v, n) for v, n in ((a, "a"), (b, "b"), (mean, "mean"), (scale, "scale"))]),
        of_critic=2,
    )


def _midpoints(nodes: int) -> Tensor:
    """Midpoints of `nodes` equal parts of [0, 1], (nodes, 1)."""
    if nodes < 2:
        raise UserError(f"game.nodes={nodes} shows no spread: give at least 2.")
    return ((torch.arange(nodes, dtype=torch.float64) + 0.5) / nodes).unsqueeze(1)
