r"""Likelihood-ratio pairs: what a critic shall estimate, and how much each place of it counts.

With $r = q/p$, an increasing $\omega$ and a positive $\rho$ on its range, set

$$\varphi'(t) = -\omega^{-1}(t)\,\rho(t), \qquad \psi'(t) = \rho(t).$$

Then $E_p\,\varphi(T) + E_q\,\psi(T)$ is largest at $T = \omega(q/p)$ and nowhere else: its slope in $t$ at a point is
$(r - \omega^{-1}(t))\,\rho(t)$ times $p$. The largest value is $E_p\,d(r)$ with $d' = \psi \circ \omega$, an increasing
function, so that $d$ is convex and the value an f-divergence (of $q$ from $p$).

References:
    Designing GANs: A Likelihood Ratio Approach (Basioti, Moustakides, 2020), https://arxiv.org/abs/2002.00865
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import torch
import torch.nn.functional as F
from torch import Tensor

from genexp.errors import UserError
from genexp.objectives.divergences.base import ends
from genexp.objectives.expressions import Compiled, NotComputable, in_log, read, stable, variable
from genexp.objectives.numeric import Function, Integral, MonotoneInverse, with_slope


@dataclass(frozen=True)
class RatioPair:
    r"""A pair by its formulas, in the language of `genexp.objectives.expressions`.

    Attributes:
        omega: $\omega(r)$.
        rho: $\rho(t)$; None for a pair that is a limit of others and given by its integrals alone.
        phi: $\varphi(t)$ in closed form; None to integrate numerically.
        psi: $\psi(t)$ in closed form; None to integrate numerically.
        everywhere: whether $\varphi$ and $\psi$ go on outside of the range of $\omega$ with the largest value where it
            is, so that the critic's output needs no activation.
    """

    omega: str
    rho: str | None
    phi: str | None = None
    psi: str | None = None
    everywhere: bool = False


PAIRS = {
    "ratio_neyman": RatioPair("r", "1", "-t**2/2", "t"),
    "ratio_reverse_kl": RatioPair("r", "1/t", "-t", "log(t)"),
    "ratio_kl": RatioPair("r", "1/t**2", "-log(t)", "-1/t"),
    "root_squared_hellinger": RatioPair("sqrt(r)", "1/t**2", "-t", "-1/t"),
    "log_js": RatioPair("log(r)", "1/(1 + exp(t))", "-log(1 + exp(t))", "t - log(1 + exp(t))", True),
    "log_kl": RatioPair("log(r)", "exp(-t)", "-t", "-exp(-t)", True),
    "log_reverse_kl": RatioPair("log(r)", "1", "-exp(t)", "t", True),
    "log_squared_hellinger": RatioPair("log(r)", "exp(-t/2)", "-2*exp(t/2)", "-2*exp(-t/2)", True),
    "half_log_squared_hellinger": RatioPair("log(r)/2", "exp(-t)", "-exp(t)", "-exp(-t)", True),
    "share_js": RatioPair("r/(1 + r)", "1/t", "log(1 - t)", "log(t)"),
    "share_le_cam": RatioPair("r/(1 + r)", "2*(1 - t)", "-t**2", "-(1 - t)**2", True),
    "sign_total_variation": RatioPair("sign(log(r))", None, "-max(0, 1 + t)", "-max(0, 1 - t)", True),
}
"""Pairs by the name of what the critic estimates and the divergence that follows."""


@dataclass(frozen=True, eq=False)
class Statistic:
    r"""A pair as functions of tensors, all elementwise.

    Attributes:
        omega: $v \mapsto \omega(e^v)$, of the logarithm of the ratio.
        log_ratio_real: $v \mapsto \varphi(\omega(e^v))$.
        log_ratio_fake: $v \mapsto \psi(\omega(e^v))$, which is the slope $d'(e^v)$.
        phi: $t \mapsto \varphi(t)$.
        psi: $t \mapsto \psi(t)$.
        output: the activation of a critic's output $o$ (large on samples), 0 at $p = q$.
        everywhere: as in `RatioPair`.
    """

    omega: Function
    log_ratio_real: Function
    log_ratio_fake: Function
    phi: Function
    psi: Function
    output: Function
    everywhere: bool

    @property
    def at_one(self) -> float:
        """The largest value at p = q."""
        here = torch.zeros(1, dtype=torch.float64)
        return float(self.log_ratio_real(here) + self.log_ratio_fake(here))


def compiled_in_t(formula: str, key: str) -> Compiled:
    """A formula in t as a function of tensors."""
    symbol = variable("t", positive=False)
    try:
        return Compiled(stable(read(formula, symbol, key), symbol), symbol)
    except NotComputable as error:
        raise UserError(f"{key}={formula} cannot be computed ({error}): mend the formula.") from None


@cache
def statistic_of(pair: RatioPair) -> Statistic:
    """Turns a pair's formulas into functions, and checks that they do what the theorem says.

    Raises:
        UserError: omega does not grow, rho is not positive, or the largest value is not at omega(r).
    """
    import sympy

    r, t, v = variable("r", True), variable("t", False), variable("v", False)
    omega_of_r = read(pair.omega, r, "loss.omega")
    try:
        omega = Compiled(in_log(omega_of_r, r, v), v)
        slope = Compiled(sympy.diff(omega.expression, v), v)
        if pair.phi is None or pair.psi is None:
            statistic = _integrated(pair, omega, slope)
        else:
            phi, psi = (read(formula, t, "loss") for formula in (pair.phi, pair.psi))
            real, fake = (Compiled(in_log(part.subs(t, omega_of_r), r, v), v) for part in (phi, psi))
            phi_of_t, psi_of_t = Compiled(stable(phi, t), t), Compiled(stable(psi, t), t)
            head = _head(omega, pair.everywhere)
            statistic = Statistic(omega, real, fake, phi_of_t, psi_of_t, head, pair.everywhere)
    except (NotComputable, TypeError) as error:
        raise UserError(f"loss.omega={pair.omega} cannot be computed ({error}): mend the formula.") from None
    _check_optimum(pair, statistic)
    return statistic


def _integrated(pair: RatioPair, omega: Compiled, slope: Compiled) -> Statistic:
    r"""The pair of a user: $\psi' = \rho$ and $\varphi' = -\omega^{-1}\rho$, integrated over $v = \log r$."""
    assert pair.rho is not None
    rho = compiled_in_t(pair.rho, "loss.rho")
    _check_pair(pair, omega, rho)
    inverse = MonotoneInverse(omega, slope)

    def weight(v: Tensor) -> Tensor:
        return rho(omega(v)) * slope(v)

    real, fake = Integral(lambda v: -v.exp() * weight(v)), Integral(weight)

    def phi(t: Tensor) -> Tensor:
        v = inverse(t)
        return with_slope(t, -v.exp() * rho(t), real(v))

    def psi(t: Tensor) -> Tensor:
        return with_slope(t, rho(t), fake(inverse(t)))

    return Statistic(omega, real, fake, phi, psi, _head(omega, False), False)


def _head(omega: Function, everywhere: bool) -> Function:
    """An increasing map of the real line onto the range of omega, which takes 0 to omega(1)."""
    middle = float(omega(torch.zeros(1, dtype=torch.float64)))
    low, high = (-math.inf, math.inf) if everywhere else ends(omega)
    if math.isinf(low) and math.isinf(high):
        return lambda o: o + middle
    if math.isinf(high):
        return lambda o: low + F.softplus(o + math.log(math.expm1(middle - low)))
    if math.isinf(low):
        return lambda o: high - F.softplus(math.log(math.expm1(high - middle)) - o)
    share = (middle - low) / (high - low)
    return lambda o: low + (high - low) * torch.sigmoid(o + math.log(share / (1 - share)))


def _check_pair(pair: RatioPair, omega: Function, rho: Function) -> None:
    v = torch.linspace(-8, 8, 801, dtype=torch.float64)
    t = omega(v)
    if not (t.isfinite().all() and (t.diff() > 0).all()):
        raise UserError(f"loss.omega={pair.omega} does not grow with r: only a growing omega can be read as a ratio.")
    weights = rho(t)
    if not (weights.isfinite().all() and (weights > 0).all()):
        where = float(t[~(weights > 0) | ~weights.isfinite()][0])
        raise UserError(f"loss.rho={pair.rho} is not positive at t = {where:.4g}: it must be wherever omega(r) can be.")


def _check_optimum(pair: RatioPair, statistic: Statistic) -> None:
    """For ratios from 0.01 to 100 the value at omega(r) is the largest, over the range of omega and beyond it."""
    places = torch.linspace(-6, 6, 1201, dtype=torch.float64)
    t = torch.cat([statistic.omega(places), places]) if statistic.everywhere else statistic.omega(places)
    of_real, of_fake = statistic.phi(t), statistic.psi(t)
    for r in torch.logspace(-2, 2, 9, dtype=torch.float64):
        best = statistic.omega(r.log())
        value = statistic.phi(best[None]) + r * statistic.psi(best[None])
        if (of_real + r * of_fake).max() > value + 1e-9 * (1 + value.abs()):
            raise UserError(
                f"The pair omega={pair.omega}, rho={pair.rho} is not largest at omega(r) for r = {float(r):.4g}: "
                "mend the formulas."
            )


def check_generator(statistic: Statistic, beta: Callable[[Tensor], Tensor], formula: str) -> None:
    r"""Refuses a generator's loss of its own that pushes samples the wrong way.

    At the best critic the generator's gradient is that of a divergence with slope $\beta(\omega(r))$, which must grow
    with $r$. That $E_q\beta$ is least at $p = q$ when the critic is trained anew does not help: the gradient sees a
    critic that stands still.

    Raises:
        UserError: beta(omega(r)) falls somewhere, or never grows.
    """
    v = torch.linspace(-6, 6, 601, dtype=torch.float64)
    values = beta(statistic.omega(v))
    falls = values.diff() < -1e-9 * values.abs().max()
    if not values.isfinite().all():
        raise UserError(f"loss.beta={formula} is no real number everywhere on the range of omega: mend the formula.")
    if falls.any() or not values[-1] > values[0]:
        where = v[:-1][falls].exp() if falls.any() else v.exp()
        raise UserError(
            f"loss.beta={formula} does not grow with omega(q/p): it falls between q/p = {float(where[0]):.3g} and "
            f"{float(where[-1]):.3g}, and pushes samples away where they should come; give a growing one."
        )
