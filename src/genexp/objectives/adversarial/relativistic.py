r"""Losses that compare: the critic tells which of two is the real one.

With a comparison $h$ that falls as the evidence for the right answer grows, every loss here is a mean of $h$ over
differences of scores. What the scores of samples are held against is the pairing: the score of one datum each, or the
mean score of all of them.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
import torch.distributed as dist
import torch.nn.functional as F
from torch import Tensor

from genexp.errors import UserError
from genexp.objectives.adversarial.base import AdversarialLoss, Bound, expectation, precise, scores_of_data


@dataclass(frozen=True)
class Comparison:
    r"""How a difference of scores is judged.

    Attributes:
        value: $h(t)$, (B,) -> (B,), of the evidence $t$ for the right answer; convex and falling at 0.
        at_zero: $h(0)$, what it costs to know nothing.
        divergence: of $p \otimes q$ from $q \otimes p$, over the pairs of one datum and one sample in both orders: what
            $h(0) - \min L_D$ is for a critic of pairs.
    """

    value: Callable[[Tensor], Tensor]
    at_zero: float
    divergence: str


COMPARISONS = {
    "logistic": Comparison(lambda t: F.softplus(-t), math.log(2), "js_of_pairs"),
    "least_squares": Comparison(lambda t: (t - 1).square(), 1.0, "le_cam_of_pairs"),
    "hinge": Comparison(lambda t: F.relu(1 - t), 1.0, "total_variation_of_pairs"),
}
PAIRINGS = ("pairs", "average")


def _comparison(name: str) -> Comparison:
    if name not in COMPARISONS:
        raise UserError(f"loss.comparison={name} is unknown: choose one of {', '.join(COMPARISONS)}.")
    return COMPARISONS[name]


class _MeanOverRanks(torch.autograd.Function):
    """The mean over all processes, whose gradient is the mean of theirs."""

    @staticmethod
    def forward(ctx: torch.autograd.function.FunctionCtx, values: Tensor) -> Tensor:
        values = values.clone()
        dist.all_reduce(values)
        return values / dist.get_world_size()

    @staticmethod
    def backward(ctx: torch.autograd.function.FunctionCtx, *gradients: Tensor) -> Tensor:
        return _MeanOverRanks.apply(gradients[0])


def mean_scores(real: Tensor, fake: Tensor) -> tuple[Tensor, Tensor]:
    """The mean scores of data and of samples, over the batch of all processes together."""
    means = torch.stack([expectation(real), expectation(fake)])
    if dist.is_available() and dist.is_initialized() and dist.get_world_size() > 1:
        means = _MeanOverRanks.apply(means)
    of_real, of_fake = means.unbind()
    return of_real, of_fake


@dataclass(frozen=True)
class Relativistic(AdversarialLoss):
    r"""Relativistic losses: RSGAN (RpGAN), RaSGAN, RaLSGAN, RaHinge and their kin.

    In pairs, in the order of the batch,

    $$L_D = E\,h(r - f), \qquad L_G = E\,h(f - r),$$

    and against the average, with the means $m_r$ and $m_f$ of the batch's scores, through which gradients flow,

    $$L_D = \tfrac12\bigl[E\,h(r - m_f) + E\,h(m_r - f)\bigr], \qquad
    L_G = \tfrac12\bigl[E\,h(f - m_r) + E\,h(m_f - r)\bigr].$$

    | comparison | $h(t)$ | pairs | average |
    |---|---|---|---|
    | `logistic` | $\mathrm{sp}(-t)$ | RSGAN, RpGAN | RaSGAN |
    | `least_squares` | $(t - 1)^2$ | RpLSGAN | RaLSGAN |
    | `hinge` | $\max(0, 1 - t)$ | RpHinge | RaHinge |

    For logistic pairs the best critic is $D^* = \log p/q$ up to a constant, which no difference of scores can see;
    there $L_D = \log 2 - \mathrm{JS}(p \otimes q \,\|\, q \otimes p)$, over the pairs of one real and one generated
    sample in both orders. For the other comparisons $h(0) - L_D$ stays below such a divergence, because the best
    answer to a pair need not be a difference of two scores. Every generated sample is held against a real one, so to
    leave a mode out costs the generator. Without a penalty its training need not settle: `penalty=[r1,r2]` is what its
    convergence near the solution is proved with.

    Arguments:
        pairing: `pairs` or `average`.
        comparison: `logistic`, `least_squares` or `hinge`.

    Raises:
        UserError: an unknown name.

    References:
        The relativistic discriminator: a key element missing from standard GAN (Jolicoeur-Martineau, 2018),
        https://arxiv.org/abs/1807.00734
        The GAN is dead; long live the GAN! A Modern GAN Baseline (Huang et al., 2024),
        https://arxiv.org/abs/2501.05441

    Example:
        >>> scores = torch.full((4,), 3.0)
        >>> round(Relativistic().critic(scores, scores).item(), 4)  # log 2: the critic knows nothing
        0.6931
    """

    compares: ClassVar[bool] = True
    pairing: Literal["pairs", "average"] = "pairs"
    comparison: Literal["logistic", "least_squares", "hinge"] = "logistic"

    def __post_init__(self) -> None:
        _comparison(self.comparison)
        if self.pairing not in PAIRINGS:
            raise UserError(f"loss.pairing={self.pairing} is unknown: choose one of {', '.join(PAIRINGS)}.")

    @property
    def bound(self) -> Bound:
        """h(0) - L_D: 0 at p = q, where no critic beats one that knows nothing."""
        comparison = COMPARISONS[self.comparison]
        of_average = f"relativistic_average_{self.comparison}"
        return Bound(comparison.divergence if self.pairing == "pairs" else of_average, 1.0, comparison.at_zero)

    def critic(self, real: Tensor, fake: Tensor) -> Tensor:
        """Returns E h(r - f), or the mean of E h(r - m_f) and E h(m_r - f)."""
        h = COMPARISONS[self.comparison].value
        if self.pairing == "pairs":
            return expectation(h(real - fake))
        real, fake = precise(real), precise(fake)
        mean_real, mean_fake = mean_scores(real, fake)
        return 0.5 * (expectation(h(real - mean_fake)) + expectation(h(mean_real - fake)))

    def generator(self, fake: Tensor, real: Tensor | None = None) -> Tensor:
        """Returns the critic's loss with the roles of data and samples swapped.

        Raises:
            ValueError: the scores of data are missing.
        """
        return self.critic(fake, scores_of_data(real))


@dataclass(frozen=True)
class Pair(AdversarialLoss):
    r"""T-GAN: the critic scores an ordered pair and tells whether the datum or the sample came first.

    With the score $s(x, y)$ of a pair, $s = D(E(x) - E(y))$ for an encoder $E$ and a head $D$ (`model=pair_gan`),

    $$L_D = E\,h\bigl(s(x, G(z))\bigr) + E\,h\bigl(-s(G(z), x)\bigr), \qquad
    L_G = E\,h\bigl(-s(x, G(z))\bigr) + E\,h\bigl(s(G(z), x)\bigr).$$

    It is the original GAN on pairs: $p \otimes q$ against $q \otimes p$. The best critic is
    $\log p_x q_y / (p_y q_x)$, where $L_D = 2\log 2 - 2\,\mathrm{JS}(p \otimes q \,\|\, q \otimes p)$; with a linear
    head without a bias it is twice `Relativistic`.

    Arguments:
        comparison: `logistic` (T-SGAN), `least_squares` or `hinge`; see `Relativistic`.

    Raises:
        UserError: an unknown name.

    References:
        Training Generative Adversarial Networks Via Turing Test (Su, 2018), https://arxiv.org/abs/1810.10948

    Example:
        >>> scores = torch.zeros(4)
        >>> round(Pair().critic(scores, scores).item(), 4)  # 2 log 2
        1.3863
    """

    compares: ClassVar[bool] = True
    scores_pairs: ClassVar[bool] = True
    comparison: Literal["logistic", "least_squares", "hinge"] = "logistic"

    def __post_init__(self) -> None:
        _comparison(self.comparison)

    @property
    def bound(self) -> Bound:
        """h(0) - L_D/2."""
        comparison = COMPARISONS[self.comparison]
        return Bound(comparison.divergence, 0.5, comparison.at_zero)

    def critic(self, real: Tensor, fake: Tensor) -> Tensor:
        """Returns E h(s(x, y)) + E h(-s(y, x)), of scores of pairs: `real` with the datum first."""
        h = COMPARISONS[self.comparison].value
        return expectation(h(real)) + expectation(h(-fake))

    def generator(self, fake: Tensor, real: Tensor | None = None) -> Tensor:
        """Returns E h(-s(x, y)) + E h(s(y, x)).

        Raises:
            ValueError: the scores of the pairs with the datum first are missing.
        """
        return self.critic(fake, scores_of_data(real))
