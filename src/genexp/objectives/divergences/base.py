r"""What an f-divergence is, and which one a slope belongs to.

A convex $f$ on the positive reals with $f(1) = 0$ gives $D_f(p \| q) = E_q f(p/q)$. Its conjugate
$f^*(t) = \sup_u (ut - f(u))$ turns it into a game, since $f(u) = \sup_t (ut - f^*(t))$:

$$D_f(p \| q) = \max_T E_p T - E_q f^*(T), \qquad T^* = f'(p/q).$$

A critic's raw score $v$ becomes $T$ by an increasing map. Two are offered. `log_ratio` takes $v$ for $\log u$:
$T = f'(e^v)$ and $f^*(T) = e^v f'(e^v) - f(e^v)$, which needs no conjugate, and makes the best score $\log p/q$
whatever $f$ is. `domain` is the activation of the f-GAN paper, an increasing map onto the numbers where $f^*$ is
finite.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property

import torch
import torch.nn.functional as F
from torch import Tensor

from genexp.objectives.numeric import RANGE, Function, MonotoneInverse, with_slope


@dataclass(frozen=True, eq=False)
class Divergence:
    r"""An f-divergence with everything that a GAN needs of it; all functions are elementwise on tensors.

    Attributes:
        name: its name, as in `loss.divergence`.
        formula: $f(u)$, in the language of `genexp.objectives.expressions`.
        f: $u \mapsto f(u)$, for $u > 0$.
        log_ratio_real: $v \mapsto T = f'(e^v)$.
        log_ratio_fake: $v \mapsto f^*(T) = e^v f'(e^v) - f(e^v)$.
        curvature: $v \mapsto dT/dv = e^v f''(e^v)$, 0 where $f'$ jumps.
        activation: $v \mapsto T$, increasing, onto the numbers where $f^*$ is finite.
        closed_conjugate: $t \mapsto f^*(t)$ where it has a formula; None where it is found numerically.
        smooth: whether $f'$ is continuous and increasing; if not, `log_ratio` has no gradient to train with.
        at_one: $f(1)$.
        conjugate_formula: $f^*(t)$ as a formula, where it has one; the functions above are what is computed.
        activation_formula: the activation of $v$ as a formula.
    """

    name: str
    formula: str
    f: Function
    log_ratio_real: Function
    log_ratio_fake: Function
    curvature: Function
    activation: Function
    closed_conjugate: Function | None = None
    smooth: bool = True
    at_one: float = 0.0
    conjugate_formula: str | None = None
    activation_formula: str | None = None

    def best(self, u: Tensor) -> Tensor:
        """The best critic's T = f'(u) at a ratio of densities u = p/q."""
        return self.log_ratio_real(u.log())

    def ratio_slope(self, r: Tensor) -> Tensor:
        r"""The slope in $r = q/p$ of $r f(1/r)$, whose mean under $p$ is the divergence."""
        return -self.log_ratio_fake(-r.log())

    def between(self, p: Tensor, q: Tensor) -> Tensor:
        """The divergence of two distributions on the same points (K,), all of whose probabilities are positive."""
        return (q * self.f(p / q)).sum()

    @cached_property
    def _inverse(self) -> MonotoneInverse:
        return MonotoneInverse(self.log_ratio_real, self.curvature, steps=4 if self.smooth else 48)

    def conjugate(self, t: Tensor) -> Tensor:
        """The conjugate f*(t), by its formula or else numerically, differentiable any number of times."""
        return self.numeric_conjugate(t) if self.closed_conjugate is None else self.closed_conjugate(t)

    def numeric_conjugate(self, t: Tensor) -> Tensor:
        r"""The conjugate without its formula: the best $u$ solves $f'(u) = t$, and is the conjugate's slope there."""
        u = self._inverse(t).exp()
        at = u.detach().double()
        return with_slope(t, u, t.double() * at - self.f(at))

    def on_domain(self, v: Tensor) -> Tensor:
        """The conjugate of a score's activation."""
        return self.conjugate(self.activation(v))


def onto(low: float, high: float) -> Function:
    """An increasing map of the real line onto the numbers between two ends, either of which may be infinite.

    An upper end alone is approached as in the f-GAN paper, by high - exp(-v); a lower one alone is left alone, since a
    conjugate is constant below the slope of f at 0.
    """
    if high == float("inf"):
        return lambda v: v
    if low == -float("inf"):
        return lambda v: high - torch.exp(-v)
    return lambda v: (high + low) / 2 + (high - low) / 2 * torch.tanh(v)


def ends(function: Function) -> tuple[float, float]:
    """The limits of an increasing function at both ends of the line, infinite if it still grows there."""

    def limit(end: float) -> float:
        first, near, far = function(torch.tensor([0.6, 0.8, 1.0], dtype=torch.float64) * end).tolist()
        if abs(far - near) > 1e-6 * (1 + abs(far)):
            return float("inf") * (1 if end > 0 else -1)
        bend = (far - near) - (near - first)
        return far - (far - near) ** 2 / bend if bend else far  # Aitken: exact for an exponential approach

    return limit(-RANGE), limit(RANGE)


def recognise(slope: Function, known: Mapping[str, Divergence]) -> tuple[str, float] | None:
    r"""The divergence that a convex function of $r = q/p$ is a multiple of.

    Arguments:
        slope: its derivative $d'(r)$, up to a constant, which changes no divergence.
        known: divergences to compare with, by name.

    Returns:
        the name and the factor, or None if it is a multiple of none.

    Example:
        >>> from genexp.objectives.divergences import TABLE
        >>> recognise(lambda r: r, TABLE)  # (r - 1)²/2
        ('neyman', 0.5)
    """
    r = torch.logspace(-2, 2, 41, dtype=torch.float64)  # 1 is one of them
    given = slope(r) - slope(torch.ones_like(r))
    for name, divergence in known.items():
        one = divergence.ratio_slope(r) - divergence.ratio_slope(torch.ones_like(r))
        factor = (given @ one) / (one @ one)
        if factor > 0 and torch.allclose(given, factor * one, rtol=1e-7, atol=1e-9 * float(given.abs().max())):
            return name, round(float(factor), 9)
    return None


def same(f: Function, known: Mapping[str, Divergence]) -> Divergence | None:
    """The divergence whose $f$ is this one up to a constant, which moves no gradient; None if there is none.

    A multiple of $u - 1$ makes another one: it leaves the divergence, but not the best output of its critic.

    Example:
        >>> from genexp.objectives.divergences import TABLE
        >>> found = same(lambda u: (u - 1) ** 2, TABLE)
        >>> found and found.name
        'pearson'
    """
    u = torch.logspace(-2, 2, 41, dtype=torch.float64)
    values = f(u) - f(torch.ones_like(u))
    rows = ((row, row.f(u) - row.f(torch.ones_like(u))) for row in known.values())
    return next((row for row, own in rows if torch.allclose(values, own, rtol=1e-10, atol=1e-12)), None)


def steepest(values: Callable[[Tensor], Tensor], limits: tuple[float, ...] = (1e4, 30, 20, 15, 10, 7, 5)) -> float:
    """How far scores may go before a function of them, or its gradient, leaves float32.

    Arguments:
        values: an elementwise function, or several stacked.
        limits: the candidates, the widest first; the last is taken if none holds.
    """
    for limit in limits:
        v = torch.linspace(-limit, limit, 201).requires_grad_()
        value = values(v)
        (gradient,) = torch.autograd.grad(value.sum(), v)
        if value.isfinite().all() and gradient.isfinite().all() and value.abs().max() < 1e30:
            return limit
    return limits[-1]


def logistic(v: Tensor) -> Tensor:
    """The logarithm of the sigmoid."""
    return -F.softplus(-v)
