r"""A divergence from a convex function that a user writes: checked, differentiated, and its conjugate found."""

from dataclasses import replace
from functools import cache

import torch

from genexp.errors import UserError
from genexp.objectives.divergences.base import Divergence, ends, onto
from genexp.objectives.expressions import Compiled, NotComputable, in_log, inverses, is_smooth, read, variable
from genexp.objectives.numeric import Function

REACH = 12.0  # convexity is checked for ratios from e^-12 to e^12
DUST = 1e-12


@cache
def divergence_of(formula: str, key: str = "loss.f") -> Divergence:
    r"""Makes a divergence of $f(u)$, $u = p/q$, whose conjugate is found numerically; see `with_closed_conjugate`.

    Arguments:
        formula: in `u`, see `genexp.objectives.expressions`.
        key: the config key that it came from, for the errors.

    Raises:
        UserError: it does not parse, is not finite on the positive reals, is not convex, is 0 near 1, or f(1) is not 0.

    Example:
        >>> divergence_of("u*log(u)").between(torch.tensor([0.5, 0.5]), torch.tensor([0.25, 0.75]))
        tensor(0.1438)
    """
    import sympy

    u, v = variable("u", positive=True), variable("v", positive=False)
    expression = read(formula, u, key)
    try:
        slope = sympy.cancel(sympy.diff(expression, u))
        f = Compiled(expression, u)
        real, fake, curvature = (
            Compiled(in_log(sympy.cancel(part), u, v), v)
            for part in (slope, u * slope - expression, u * sympy.diff(slope, u))
        )
    except (NotComputable, sympy.PolynomialError, TypeError) as error:
        raise UserError(
            f"{key}={formula} has no derivative that can be computed ({error}): mend the formula."
        ) from None
    _check(formula, key, f, str(expression.subs(u, 1)))
    return Divergence(
        name="own",
        formula=formula,
        f=f,
        log_ratio_real=real,
        log_ratio_fake=fake,
        curvature=curvature,
        activation=onto(*ends(real)),
        smooth=is_smooth(expression) and _increases(real),
    )


@cache
def with_closed_conjugate(divergence: Divergence) -> Divergence:
    """The divergence with its conjugate in closed form, t u - f(u) at the u that solves f'(u) = t, if sympy finds it.

    sympy's effort is limited; what it finds is held against the values that it must have.
    """
    import sympy

    u, t = variable("u", positive=True), variable("t", positive=False)
    expression = read(divergence.formula, u, "f")
    v = torch.linspace(-3, 3, 25, dtype=torch.float64)
    lowest = ends(divergence.log_ratio_real)[0]
    for solution in inverses(sympy.cancel(sympy.diff(expression, u)), u, t):
        try:
            best, value = Compiled(solution, t), Compiled(sympy.expand(t * solution - expression.subs(u, solution)), t)
            found, at = best(divergence.log_ratio_real(v)), value(divergence.log_ratio_real(v))
        except (NotComputable, TypeError):
            continue
        if torch.allclose(found, v.exp(), rtol=1e-9, atol=0) and at.isfinite().all():
            return replace(divergence, closed_conjugate=_constant_below(value, lowest))
    return divergence


def _constant_below(value: Function, lowest: float) -> Function:
    """A conjugate is constant below the slope of f at 0."""
    return value if lowest == -float("inf") else lambda t: value(t.clamp_min(lowest))


def _check(formula: str, key: str, f: Function, exact_at_one: str) -> None:
    """Finite, convex, 0 at 1, and not 0 near 1."""
    u = torch.linspace(-REACH, REACH, 2401, dtype=torch.float64).exp()
    values = f(u)
    if not values.isfinite().all():
        where = float(u[~values.isfinite()][0])
        raise UserError(f"{key}={formula} is no real number at u = {where:.4g}: it must be finite for all u > 0.")
    at_one = float(f(torch.ones(1, dtype=torch.float64)))
    if abs(at_one) > DUST:
        raise UserError(f"{key}={formula} is {at_one:.6g} at u = 1, where it must be 0: subtract {exact_at_one}.")
    steps = u.diff()
    chords = values.diff() / steps
    noise = 8 * torch.finfo(u.dtype).eps * torch.maximum(values[1:].abs(), values[:-1].abs()) / steps
    bends = chords.diff()
    concave = bends < -(noise[1:] + noise[:-1]) - DUST * chords[1:].abs()
    if concave.any():
        where = float(u[1:-1][concave][0])
        raise UserError(f"{key}={formula} is not convex near u = {where:.4g}: only a convex f gives a divergence.")
    around = f(torch.tensor([0.99, 1.01], dtype=torch.float64)).sum()
    if float(around) <= 1e-10:
        raise UserError(f"{key}={formula} is straight around u = 1, so that densities may differ at no cost: bend it.")


def _increases(real: Function) -> bool:
    return bool((real(torch.linspace(-8, 8, 161, dtype=torch.float64)).diff() > 0).all())
