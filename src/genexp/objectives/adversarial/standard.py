r"""The standard losses, each a term for data and a term for samples; see `base` for the notation."""

import math
from dataclasses import dataclass

import torch.nn.functional as F
from torch import Tensor

from genexp.errors import UserError
from genexp.objectives.adversarial.base import AdversarialLoss, Bound, expectation


class _Logistic(AdversarialLoss):
    """The critic of the original GAN: logistic regression of data against samples."""

    @property
    def bound(self) -> Bound:
        """JS = log 2 - L_D/2, in nats."""
        return Bound("js", scale=0.5, offset=math.log(2))

    def critic(self, real: Tensor, fake: Tensor) -> Tensor:
        """Returns E sp(-r) + E sp(f)."""
        return expectation(F.softplus(-real)) + expectation(F.softplus(fake))


@dataclass(frozen=True)
class NonSaturating(_Logistic):
    r"""The original GAN with the generator loss that is used in practice.

    $$L_D = E\,\mathrm{sp}(-r) + E\,\mathrm{sp}(f), \qquad L_G = E\,\mathrm{sp}(-f)$$

    The best critic is $D^* = \log p/q$, where $L_D = \log 4 - 2\,\mathrm{JS}(p \| q)$. With the critic held
    there the generator follows the gradient of $2\,\mathrm{KL}(m \| p)$, $m = (p + q)/2$, and gets a strong
    signal from samples that the critic rejects.

    References:
        Generative Adversarial Networks (Goodfellow et al., 2014), https://arxiv.org/abs/1406.2661

    Example:
        >>> import torch
        >>> scores = torch.zeros(4)
        >>> round(NonSaturating().critic(scores, scores).item(), 4)  # log 4: the critic knows nothing
        1.3863
    """

    def generator(self, fake: Tensor, real: Tensor | None = None) -> Tensor:
        """Returns E sp(-f)."""
        return expectation(F.softplus(-fake))


@dataclass(frozen=True)
class Saturating(_Logistic):
    r"""The original GAN as a zero-sum game: the generator maximises what the critic minimises.

    $$L_D = E\,\mathrm{sp}(-r) + E\,\mathrm{sp}(f), \qquad L_G = -E\,\mathrm{sp}(f)$$

    The best critic is $D^* = \log p/q$; with it the generator minimises $2\,\mathrm{JS}(p \| q) - \log 4$.
    Its gradient vanishes on samples that the critic rejects with confidence.

    References:
        Generative Adversarial Networks (Goodfellow et al., 2014), https://arxiv.org/abs/1406.2661
    """

    def generator(self, fake: Tensor, real: Tensor | None = None) -> Tensor:
        """Returns -E sp(f)."""
        return -expectation(F.softplus(fake))


@dataclass(frozen=True)
class Hinge(AdversarialLoss):
    r"""The hinge loss: the critic stops pushing scores that are beyond a margin of 1.

    $$L_D = E\max(0, 1 - r) + E\max(0, 1 + f), \qquad L_G = -E f$$

    The best critic is $D^* = \mathrm{sign}(p - q)$, where $L_D = 2\,(1 - \mathrm{TV}(p, q))$; with it the
    generator follows the gradient of $2\,\mathrm{TV}$.

    References:
        Geometric GAN (Lim, Ye, 2017), https://arxiv.org/abs/1705.02894
    """

    @property
    def bound(self) -> Bound:
        """TV = 1 - L_D/2."""
        return Bound("total_variation", scale=0.5, offset=1.0)

    def critic(self, real: Tensor, fake: Tensor) -> Tensor:
        """Returns E relu(1 - r) + E relu(1 + f)."""
        return expectation(F.relu(1 - real)) + expectation(F.relu(1 + fake))

    def generator(self, fake: Tensor, real: Tensor | None = None) -> Tensor:
        """Returns -E f."""
        return -expectation(fake)


@dataclass(frozen=True)
class LeastSquares(AdversarialLoss):
    r"""Least squares on raw scores: the critic regresses labels, and has no sigmoid.

    $$L_D = \tfrac12 E(r - b)^2 + \tfrac12 E(f - a)^2, \qquad L_G = \tfrac12 E(f - c)^2$$

    The best critic is $D^* = (b p + a q)/(p + q)$, where $L_D = \tfrac14 (b - a)^2 (1 - \mathrm{LC})$ with Le Cam's
    divergence $\mathrm{LC} = \tfrac12 \int (p - q)^2/(p + q)$. With $b - c = 1$ and $b - a = 2$ the generator minimises
    half of Pearson's $\chi^2(p + q \,\|\, 2q)$ if the critic follows at once. At a fixed critic, which is what its
    gradient sees, any $c < b$ pushes samples away from where there are too few of them: the scores of data lie above
    the label that the generator wants. A run says so when it starts; $c = b$ (the default) does not do it.

    Arguments:
        a: the critic's label for samples.
        b: the critic's label for data.
        c: the label that the generator wants its samples to have.

    Raises:
        UserError: the label for data is not the larger one, or the generator's is not above that for samples.

    References:
        Least Squares Generative Adversarial Networks (Mao et al., 2016), https://arxiv.org/abs/1611.04076
    """

    a: float = 0.0
    b: float = 1.0
    c: float = 1.0

    def __post_init__(self) -> None:
        if not self.b > self.a:
            raise UserError(f"loss.b={self.b} must be above loss.a={self.a}: scores are large on data here.")
        if not self.c > self.a:
            raise UserError(
                f"loss.c={self.c} is no label to wish for, since samples have loss.a={self.a}: give c={self.b}."
            )

    @property
    def summary(self) -> str | None:
        """A warning of labels that push the wrong way in places."""
        if self.c >= self.b:
            return None
        return (
            f"loss.c={self.c} is below loss.b={self.b}: with the best critic, samples are pushed away from where there "
            f"are too few of them; loss.c={self.b} does not do so"
        )

    @property
    def bound(self) -> Bound:
        """LC = 1 - 4 L_D/(b - a)²."""
        return Bound("le_cam", scale=4 / (self.b - self.a) ** 2, offset=1.0)

    def critic(self, real: Tensor, fake: Tensor) -> Tensor:
        """Returns E (r - b)²/2 + E (f - a)²/2."""
        return 0.5 * (expectation((real - self.b) ** 2) + expectation((fake - self.a) ** 2))

    def generator(self, fake: Tensor, real: Tensor | None = None) -> Tensor:
        """Returns E (f - c)²/2."""
        return 0.5 * expectation((fake - self.c) ** 2)
