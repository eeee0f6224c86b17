r"""f-GAN: a GAN for every convex function."""

from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar, Literal

import torch
from torch import Tensor

from genexp.errors import UserError
from genexp.objectives.adversarial.base import AdversarialLoss, Bound, expectation, precise
from genexp.objectives.divergences import (
    TABLE,
    Divergence,
    divergence_of,
    recognise,
    same,
    steepest,
    with_closed_conjugate,
)
from genexp.objectives.numeric import Function


@dataclass(frozen=True)
class FGAN(AdversarialLoss):
    r"""The game whose value is an f-divergence, $D_f(p \| q) = E_q f(p/q)$.

    With $T$ the activation of a raw score and $f^*$ the conjugate of $f$,

    $$L_D = -E\,T(r) + E\,f^*(T(f)), \qquad L_G = -E\,T(f) \;\text{ or }\; -E\,f^*(T(f)),$$

    and $-\min L_D = D_f$, at $T = f'(p/q)$. With the activation `log_ratio`, $T(v) = f'(e^v)$, the best score is
    $\log p/q$ for every $f$, so that scores and divergences can be compared between runs; $f^*(T(v))$ is then
    $e^v f'(e^v) - f(e^v)$ and no conjugate is needed. Scores whose exponential would leave float32 are clamped.

    Both generator losses are right at a fixed best critic, for every $f$: the direction of a gradient is that of a
    divergence with slope $-f'(1/r)$ in $r = q/p$ for `alternative`, $-f^*(f'(1/r))$ for `minimax`, and both grow with
    $r$.

    Arguments:
        divergence: a name in `genexp.objectives.divergences.TABLE`.
        f: a convex function of the user's own in $u = p/q$, such as `u*log(u)`, in the place of `divergence`.
        activation: `log_ratio` or `domain` (the paper's); None takes `log_ratio`, or `domain` for an $f$ with kinks.
        generator: `alternative`, which the paper advises, or `minimax`.

    Raises:
        UserError: an unknown name, or an `f` that is not convex, not 0 at 1, or no formula.

    References:
        f-GAN: Training Generative Neural Samplers using Variational Divergence Minimization (Nowozin, Cseke, Tomioka,
        2016), https://arxiv.org/abs/1606.00709

    Example:
        >>> scores = torch.tensor([0.3, -0.1])
        >>> loss, own = FGAN("kl"), FGAN(f="u*log(u)")
        >>> loss.critic(scores, -scores) == own.critic(scores, -scores)
        tensor(True)
    """

    divergence: str = "js"
    f: str | None = None
    activation: Literal["log_ratio", "domain"] | None = None
    generator_loss: Literal["alternative", "minimax"] = "alternative"
    generator_losses: ClassVar[tuple[str, ...]] = ("alternative", "minimax")

    def __post_init__(self) -> None:
        if self.f is None and self.divergence not in TABLE:
            raise UserError(f"loss.divergence={self.divergence} is unknown: choose one of {', '.join(TABLE)}.")
        if self.generator_loss not in self.generator_losses:
            raise UserError(f"loss.generator_loss={self.generator_loss} is unknown: choose alternative or minimax.")
        if self.activation not in (None, "log_ratio", "domain"):
            raise UserError(f"loss.activation={self.activation} is unknown: choose log_ratio or domain.")
        if self.activation == "log_ratio" and not self.convex.smooth:
            raise UserError(
                f"loss.activation=log_ratio has no gradient for f = {self.convex.formula}, whose slope jumps or stands "
                "still: choose loss.activation=domain."
            )
        object.__setattr__(self, "_limit", steepest(lambda v: torch.stack([self._real(v), self._fake(v)])))

    @cached_property
    def convex(self) -> Divergence:
        """The divergence, with its conjugate and activations."""
        if self.f is None:
            return TABLE[self.divergence]
        own = divergence_of(str(self.f))
        if self.activation == "log_ratio" or (self.activation is None and own.smooth):
            return own
        return same(own.f, TABLE) or with_closed_conjugate(own)

    @property
    def uses_log_ratio(self) -> bool:
        """Whether a raw score is taken for log p/q."""
        return self.convex.smooth if self.activation is None else self.activation == "log_ratio"

    @cached_property
    def _real(self) -> Function:
        return self.convex.log_ratio_real if self.uses_log_ratio else self.convex.activation

    @cached_property
    def _fake(self) -> Function:
        return self.convex.log_ratio_fake if self.uses_log_ratio else self.convex.on_domain

    @cached_property
    def known(self) -> tuple[str, float] | None:
        """The divergence in the table that this one is a multiple of, and the factor."""
        return recognise(self.convex.ratio_slope, TABLE)

    @property
    def bound(self) -> Bound:
        """D_f = -L_D, less f(1); by the name of the divergence that it is a multiple of, and divided by the factor."""
        name, factor = self.known or ("own", 1.0)
        return Bound(name, 1 / factor, -self.convex.at_one / factor)

    @property
    def summary(self) -> str | None:
        """What a user's own f turned out to be."""
        if self.f is None:
            return None
        name = "a divergence without a name here" if self.known is None else f"{self.known[1]:g} x {self.known[0]}"
        conjugate = "numerically" if self.convex.closed_conjugate is None else "in closed form"
        used = "not needed" if self.uses_log_ratio else f"found {conjugate}"
        return f"f(u) = {self.f} is {name}; its conjugate is {used}"

    def _clamped(self, scores: Tensor) -> Tensor:
        scores = precise(scores)
        limit: float = self.__dict__["_limit"]
        return scores if limit >= 1e4 else scores.clamp(-limit, limit)

    def critic(self, real: Tensor, fake: Tensor) -> Tensor:
        """Returns -E T(r) + E f*(T(f))."""
        return expectation(self._fake(self._clamped(fake))) - expectation(self._real(self._clamped(real)))

    def generator(self, fake: Tensor, real: Tensor | None = None) -> Tensor:
        """Returns -E T(f), or -E f*(T(f)) for `minimax`."""
        part = self._real if self.generator_loss == "alternative" else self._fake
        return -expectation(part(self._clamped(fake)))
