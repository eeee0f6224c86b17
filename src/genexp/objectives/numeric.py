r"""Functions that have no formula: inverses and integrals of functions that do, with exact derivatives of any order.

Their values come from a table, made once, and a few steps from there, in float64; their derivatives come from the
formula: $1/h'(h^{-1}(t))$ for an inverse, the integrand for an integral. No loop waits for the device.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

Function = Callable[[Tensor], Tensor]

RANGE = 40.0  # tables reach from -40 to 40: of the logarithm of a ratio of densities, 17 powers of ten each way
KNOTS = 8001
STEP = 2 * RANGE / (KNOTS - 1)


def knots() -> Tensor:
    """The places of a table (8001,), float64; 0 is one of them."""
    return (torch.arange(KNOTS, dtype=torch.float64) - KNOTS // 2) * STEP


class _Inverse(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, t: Tensor, inverse: "MonotoneInverse") -> Tensor:
        exact = inverse.solve(t.detach())
        value = exact.to(t.dtype)
        within_jump = (inverse.function(exact) - t).abs() > 1e-6 * (1 + t.abs())
        ctx.save_for_backward(value, within_jump)
        ctx.slope = inverse.slope
        return value

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        value, within_jump = ctx.saved_tensors
        slope = ctx.slope(value)
        flat = within_jump | (slope <= 0)
        return torch.where(flat, 0.0, gradients[0] / torch.where(flat, 1.0, slope)), None


class MonotoneInverse:
    r"""The inverse of an increasing function $h$ on [-40, 40].

    A table brackets the answer; Newton's steps, halving where they leave the bracket, go on from there. Where $h$
    jumps over $t$ the answer is the place of the jump, with derivative 0; outside of its range it is the end.

    Arguments:
        function: $h$, elementwise.
        slope: its derivative beside its jumps, elementwise.
        steps: of Newton's method; 4 are enough if $h$ is smooth, 48 halve down to float64's precision.

    Example:
        >>> inverse = MonotoneInverse(torch.exp, torch.exp)
        >>> inverse(torch.tensor([1.0, 4.0])).exp()
        tensor([1., 4.])
    """

    def __init__(self, function: Function, slope: Function, steps: int = 4) -> None:
        self.function, self.slope, self.steps = function, slope, steps
        self._places = knots()
        self._table = torch.cummax(function(self._places), 0).values

    def __call__(self, t: Tensor) -> Tensor:
        """Returns the inverse at each element of `t`, in its dtype, differentiable."""
        return _Inverse.apply(t, self)

    @torch.no_grad()
    def solve(self, t: Tensor) -> Tensor:
        """Returns the inverse in float64."""
        self._places, self._table = self._places.to(t.device), self._table.to(t.device)  # moves once
        t = t.double()
        right = torch.searchsorted(self._table, t.contiguous()).clamp(1, KNOTS - 1)
        low, high = self._places[right - 1], self._places[right]
        middle = (low + high) / 2
        for _ in range(self.steps):
            excess = self.function(middle) - t
            low, high = torch.where(excess < 0, middle, low), torch.where(excess < 0, high, middle)
            newton = middle - excess / self.slope(middle)
            slack = 0.1 * (high - low)  # a step that overshoots an end of the bracket a little stops there
            near = (newton >= low - slack) & (newton <= high + slack)  # False where it is NaN
            moved = torch.where(near, newton.clamp(low, high), (low + high) / 2)
            middle = torch.where(excess == 0, middle, moved)
        return middle


class _WithSlope(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, slope: Tensor, value: Tensor) -> Tensor:
        ctx.save_for_backward(slope)
        return value.clone()

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None]:
        (slope,) = ctx.saved_tensors
        return gradients[0] * slope, None, None


def with_slope(x: Tensor, slope: Tensor, value: Tensor) -> Tensor:
    """Returns `value` with the derivative `slope` with respect to `x`, which may itself depend on `x`.

    Arguments:
        x: (B,).
        slope: (B,), with its graph: second derivatives come from it.
        value: (B,), without a graph.
    """
    return _WithSlope.apply(x, slope, value.detach().to(x.dtype))


class Integral:
    r"""The integral $\int_0^x g$ of a smooth function on [-40, 40].

    Gauss-Legendre quadrature between the knots of a table, cubic interpolation within them; both are far below
    float32's precision for functions that change by a few powers of $e$ per unit.

    Arguments:
        integrand: $g$, elementwise.

    Example:
        >>> Integral(torch.exp)(torch.tensor([0.0, 1.0], dtype=torch.float64))
        tensor([0.0000, 1.7183], dtype=torch.float64)
    """

    def __init__(self, integrand: Function) -> None:
        self.integrand = integrand
        self._places = knots()
        nodes, weights = (torch.from_numpy(part) for part in np.polynomial.legendre.leggauss(8))
        inner = self._places[:-1, None] + STEP * (nodes + 1) / 2  # (K - 1, 8)
        pieces = self.integrand(inner) @ weights * (STEP / 2)
        middle, zero = KNOTS // 2, torch.zeros(1, dtype=torch.float64)
        above = torch.cat([zero, pieces[middle:].cumsum(0)])
        below = -torch.cat([pieces[:middle].flip(0).cumsum(0).flip(0), zero])
        self._table, self._slopes = torch.cat([below[:-1], above]), self.integrand(self._places)

    def __call__(self, x: Tensor) -> Tensor:
        """Returns the integral from 0 to each element of `x`, in its dtype, differentiable."""
        return with_slope(x, self.integrand(x), self._value(x))

    @torch.no_grad()
    def _value(self, x: Tensor) -> Tensor:
        self._places, self._table = self._places.to(x.device), self._table.to(x.device)  # moves once
        self._slopes = self._slopes.to(x.device)
        x = x.double()
        left = ((x + RANGE) / STEP).floor().long().clamp(0, KNOTS - 2)
        s = (x - self._places[left]) / STEP  # in [0, 1]
        rise = self._table[left + 1] - self._table[left]
        start, end = STEP * self._slopes[left], STEP * self._slopes[left + 1]
        # Hermite: the cubic with both values and both slopes
        return self._table[left] + s * (start + s * (3 * rise - 2 * start - end + s * (start + end - 2 * rise)))
