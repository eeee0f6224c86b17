r"""Likelihood-ratio GANs: the critic estimates a function of the ratio of densities that the user chooses."""

from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import torch
from torch import Tensor

from genexp.errors import UserError
from genexp.objectives.adversarial.base import AdversarialLoss, Bound, expectation, precise
from genexp.objectives.divergences import TABLE, recognise, steepest
from genexp.objectives.numeric import Function
from genexp.objectives.ratio_pairs import (
    PAIRS,
    RatioPair,
    Statistic,
    check_generator,
    compiled_in_t,
    statistic_of,
)


@dataclass(frozen=True)
class LikelihoodRatio(AdversarialLoss):
    r"""A GAN from a pair $(\omega, \rho)$: its critic's best output is $T = \omega(q/p)$.

    With $\varphi' = -\omega^{-1}\rho$ and $\psi' = \rho$,

    $$L_D = -E\,\varphi(T(r)) - E\,\psi(T(f)), \qquad L_G = E\,\beta(T(f)), \quad \beta = \psi \text{ unless given},$$

    where $T$ falls with the raw score, which is high on data. `log_ratio` makes it $\omega(e^{-s})$, so that the best
    score is $\log p/q$; `domain` applies the usual output activation for the range of $\omega$ (none, softplus or a
    sigmoid). In `log_ratio` the pair matters only through the divergence that it gives.

    That divergence is $E_p\,d(r)$, $d' = \psi \circ \omega$; its name is looked up, and so is that of the divergence
    that the generator follows at a fixed critic, $d' = \beta \circ \omega$. A $\beta$ with which that does not grow is
    refused.

    Arguments:
        pair: a name in `genexp.objectives.ratio_pairs.PAIRS`.
        omega: the user's own $\omega$ in `r`, such as `log(r)`; with `rho` in the place of `pair`.
        rho: the user's own $\rho$ in `t`, such as `exp(-t)`.
        beta: the generator's own $\beta$ in `t`.
        activation: `log_ratio` or `domain`; None takes `domain` for pairs of the table that need no activation, and
            `log_ratio` for the others.

    Raises:
        UserError: an unknown name, half a pair, or a pair or a beta that does not do what it must.

    References:
        Designing GANs: A Likelihood Ratio Approach (Basioti, Moustakides, 2020), https://arxiv.org/abs/2002.00865

    Example:
        >>> loss = LikelihoodRatio(omega="log(r)", rho="1/(1 + exp(t))")
        >>> print(loss.summary)
        omega(r) = log(r), rho(t) = 1/(1 + exp(t)): the critic measures 2 x js, the generator follows 2 x js
    """

    pair: str = "log_js"
    omega: str | None = None
    rho: str | None = None
    beta: str | None = None
    activation: Literal["log_ratio", "domain"] | None = None

    def __post_init__(self) -> None:
        if (self.omega is None) != (self.rho is None):
            missing = "rho" if self.rho is None else "omega"
            raise UserError(f"loss.{missing} is missing: a pair is omega in r and rho in t.")
        if self.omega is None and self.pair not in PAIRS:
            raise UserError(f"loss.pair={self.pair} is unknown: choose one of {', '.join(PAIRS)}.")
        if self.activation not in (None, "log_ratio", "domain"):
            raise UserError(f"loss.activation={self.activation} is unknown: choose log_ratio or domain.")
        if self.activation == "log_ratio" and self.formulas.rho is None:
            raise UserError(
                f"loss.activation=log_ratio has no gradient for omega = {self.formulas.omega}, which does not grow "
                "everywhere: choose loss.activation=domain."
            )
        if self.beta is not None:
            check_generator(self.statistic, compiled_in_t(str(self.beta), "loss.beta"), str(self.beta))
        limit = steepest(lambda v: torch.stack([self._real(v), self._fake(v), self._generator(v)]))
        object.__setattr__(self, "_limit", limit)

    @property
    def formulas(self) -> RatioPair:
        """The pair, as formulas."""
        return PAIRS[self.pair] if self.omega is None else RatioPair(str(self.omega), str(self.rho))

    @cached_property
    def statistic(self) -> Statistic:
        """The pair, as functions."""
        return statistic_of(self.formulas)

    @property
    def uses_log_ratio(self) -> bool:
        """Whether a raw score is taken for log p/q."""
        return not self.statistic.everywhere if self.activation is None else self.activation == "log_ratio"

    def _output(self, scores: Tensor) -> Tensor:
        """T of raw scores."""
        return self.statistic.omega(-scores) if self.uses_log_ratio else self.statistic.output(-scores)

    def _real(self, scores: Tensor) -> Tensor:
        return (
            self.statistic.log_ratio_real(-scores) if self.uses_log_ratio else self.statistic.phi(self._output(scores))
        )

    def _fake(self, scores: Tensor) -> Tensor:
        return (
            self.statistic.log_ratio_fake(-scores) if self.uses_log_ratio else self.statistic.psi(self._output(scores))
        )

    @cached_property
    def _beta(self) -> Function | None:
        return None if self.beta is None else compiled_in_t(str(self.beta), "loss.beta")

    def _generator(self, scores: Tensor) -> Tensor:
        return self._fake(scores) if self._beta is None else self._beta(self._output(scores))

    @cached_property
    def known(self) -> tuple[str, float] | None:
        """The divergence in the table that the critic's value is a multiple of, and the factor."""
        return recognise(lambda r: self.statistic.psi(self.statistic.omega(r.log())), TABLE)

    @cached_property
    def followed(self) -> tuple[str, float] | None:
        """The divergence in the table whose gradient the generator follows at the best critic, and the factor."""
        if self._beta is None:
            return self.known
        beta = self._beta
        return recognise(lambda r: beta(self.statistic.omega(r.log())), TABLE)

    @property
    def bound(self) -> Bound:
        """E_p d = -L_D, less d(1); by the name of the divergence that it is a multiple of, divided by the factor."""
        name, factor = self.known or ("own", 1.0)
        return Bound(name, 1 / factor, -self.statistic.at_one / factor)

    @property
    def summary(self) -> str:
        """What the pair turned out to measure."""
        critic, generator = (
            "a divergence without a name here" if found is None else f"{found[1]:g} x {found[0]}"
            for found in (self.known, self.followed)
        )
        pair = f"omega(r) = {self.formulas.omega}, rho(t) = {self.formulas.rho}"
        return f"{pair}: the critic measures {critic}, the generator follows {generator}"

    def _clamped(self, scores: Tensor) -> Tensor:
        scores = precise(scores)
        limit: float = self.__dict__["_limit"]
        return scores if limit >= 1e4 else scores.clamp(-limit, limit)

    def critic(self, real: Tensor, fake: Tensor) -> Tensor:
        """Returns -E phi(T(r)) - E psi(T(f))."""
        return -expectation(self._real(self._clamped(real))) - expectation(self._fake(self._clamped(fake)))

    def generator(self, fake: Tensor, real: Tensor | None = None) -> Tensor:
        """Returns E beta(T(f))."""
        return expectation(self._generator(self._clamped(fake)))
