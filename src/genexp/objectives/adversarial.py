r"""Adversarial losses: what a critic minimises, and what a generator minimises.

Every loss reads raw scores (no sigmoid), *real-high*: the critic $D$ is large on real data. Below $p$ is the
data's density, $q$ the generator's, $r = D(x)$ with $x \sim p$ and $f = D(G(z))$; all expectations are means
over the batch, and softplus $\mathrm{sp}(t) = \log(1 + e^t)$ stands for $-\log\sigma(-t)$, which would
underflow.

The critic's loss is the sum over real and fake samples, not their average: halving it would change the
critic's learning rate under SGD, and the weight of every penalty.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor


def expectation(values: Tensor) -> Tensor:
    """Means over the batch, in float32 at least: under autocast the scores may be bfloat16."""
    return values.mean(dtype=torch.promote_types(values.dtype, torch.float32))


class AdversarialLoss(ABC):
    """A pair of losses on raw scores, real-high. Subclass it for a loss of your own.

    Attributes:
        needs_constraint: True if the critic's loss has no minimum unless something bounds the critic's slope:
            a penalty on its gradient or a clip of its weights.
        compares: True if the generator's loss needs the scores of data beside those of samples.
    """

    needs_constraint: ClassVar[bool] = False
    compares: ClassVar[bool] = False

    @abstractmethod
    def critic(self, real: Tensor, fake: Tensor) -> Tensor:
        """Returns what the critic minimises, a scalar.

        Arguments:
            real: scores of data (B,).
            fake: scores of samples (B,), which carry no gradient to the generator.
        """

    @abstractmethod
    def generator(self, fake: Tensor, real: Tensor | None = None) -> Tensor:
        """Returns what the generator minimises, a scalar.

        Arguments:
            fake: scores of samples (B,).
            real: scores of data (B,), for losses that compare the two; the others ignore it.
        """


@dataclass(frozen=True)
class NonSaturating(AdversarialLoss):
    r"""The original GAN with the generator loss that is used in practice.

    $$L_D = E\,\mathrm{sp}(-r) + E\,\mathrm{sp}(f), \qquad L_G = E\,\mathrm{sp}(-f)$$

    The best critic is $D^* = \log p/q$, where $L_D = \log 4 - 2\,\mathrm{JS}(p \| q)$. With the critic held
    there the generator follows the gradient of $2\,\mathrm{KL}(m \| p)$, $m = (p + q)/2$, and gets a strong
    signal from samples that the critic rejects.

    References:
        Generative Adversarial Networks (Goodfellow et al., 2014), https://arxiv.org/abs/1406.2661

    Example:
        >>> scores = torch.zeros(4)
        >>> round(NonSaturating().critic(scores, scores).item(), 4)  # log 4: the critic knows nothing
        1.3863
    """

    def critic(self, real: Tensor, fake: Tensor) -> Tensor:
        """Returns E sp(-r) + E sp(f)."""
        return expectation(F.softplus(-real)) + expectation(F.softplus(fake))

    def generator(self, fake: Tensor, real: Tensor | None = None) -> Tensor:
        """Returns E sp(-f)."""
        return expectation(F.softplus(-fake))


@dataclass(frozen=True)
class Saturating(AdversarialLoss):
    r"""The original GAN as a zero-sum game: the generator maximises what the critic minimises.

    $$L_D = E\,\mathrm{sp}(-r) + E\,\mathrm{sp}(f), \qquad L_G = -E\,\mathrm{sp}(f)$$

    The best critic is $D^* = \log p/q$; with it the generator minimises $2\,\mathrm{JS}(p \| q) - \log 4$.
    Its gradient vanishes on samples that the critic rejects with confidence.

    References:
        Generative Adversarial Networks (Goodfellow et al., 2014), https://arxiv.org/abs/1406.2661
    """

    def critic(self, real: Tensor, fake: Tensor) -> Tensor:
        """Returns E sp(-r) + E sp(f)."""
        return expectation(F.softplus(-real)) + expectation(F.softplus(fake))

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

    The best critic is $D^* = (b p + a q)/(p + q)$. With $b - c = 1$ and $b - a = 2$ the generator minimises
    half of Pearson's $\chi^2(p + q \,\|\, 2q)$ if the critic follows at once; at a fixed critic that coding
    pushes samples away from where there are too few of them, and $c = b$ (the default) does not.

    Arguments:
        a: the critic's label for samples.
        b: the critic's label for data.
        c: the label that the generator wants its samples to have.

    References:
        Least Squares Generative Adversarial Networks (Mao et al., 2016), https://arxiv.org/abs/1611.04076
    """

    a: float = 0.0
    b: float = 1.0
    c: float = 1.0

    def critic(self, real: Tensor, fake: Tensor) -> Tensor:
        """Returns E (r - b)²/2 + E (f - a)²/2."""
        return 0.5 * (expectation((real - self.b) ** 2) + expectation((fake - self.a) ** 2))

    def generator(self, fake: Tensor, real: Tensor | None = None) -> Tensor:
        """Returns E (f - c)²/2."""
        return 0.5 * expectation((fake - self.c) ** 2)


@dataclass(frozen=True)
class Wasserstein(AdversarialLoss):
    r"""The dual of the Wasserstein-1 distance, over critics whose slope something else bounds.

    $$L_D = E f - E r, \qquad L_G = -E f$$

    Over 1-Lipschitz critics $-\min L_D = W_1(p, q)$. Without a constraint the loss has no minimum: train it
    with `penalty=gp` or `constraint=clip`. On images the critic's loss is no estimate of $W_1$.

    References:
        Wasserstein GAN (Arjovsky, Chintala, Bottou, 2017), https://arxiv.org/abs/1701.07875
    """

    needs_constraint: ClassVar[bool] = True

    def critic(self, real: Tensor, fake: Tensor) -> Tensor:
        """Returns E f - E r."""
        return expectation(fake) - expectation(real)

    def generator(self, fake: Tensor, real: Tensor | None = None) -> Tensor:
        """Returns -E f."""
        return -expectation(fake)


@dataclass(frozen=True)
class Relativistic(AdversarialLoss):
    r"""The pairing loss: the critic tells which of two is the real one, pairs in the order of the batch.

    $$L_D = E\,\mathrm{sp}(-(r - f)), \qquad L_G = E\,\mathrm{sp}(-(f - r))$$

    The best critic is $D^* = \log p/q$ up to a constant, which no difference of scores can see; there
    $L_D = \log 2 - \mathrm{JS}(p \otimes q \,\|\, q \otimes p)$, over the pairs of one real and one generated sample
    in both orders. Every generated sample is held against a real one, so to leave a mode out costs the generator.
    Without a penalty its training need not settle: `penalty=[r1,r2]` is what its convergence near the solution is
    proved with.

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

    def critic(self, real: Tensor, fake: Tensor) -> Tensor:
        """Returns E sp(-(r - f))."""
        return expectation(F.softplus(fake - real))

    def generator(self, fake: Tensor, real: Tensor | None = None) -> Tensor:
        """Returns E sp(-(f - r)).

        Raises:
            ValueError: the scores of data are missing.
        """
        if real is None:
            raise ValueError("a relativistic loss compares with data: give the scores of real ones too")
        return expectation(F.softplus(real - fake))


def single_loss(loss: AdversarialLoss, real: Tensor, fake: Tensor, fake_detached: Tensor, ratio: float = 1.0) -> Tensor:
    r"""Joins both players' losses into one, whose single backward pass gives each player its own gradient.

    With $f = D(G(z))$, and $\bar f = D(\mathrm{sg}\,G(z))$ for the same samples behind a stop-gradient,

    $$L = L_D(r, \bar f) + \lambda\,\bigl(L_G(f) - L_G(\bar f)\bigr).$$

    The bracket is zero in value, and its gradient with respect to the critic is zero too; to the generator it
    passes $\nabla L_G$. So the value is $L_D$ exactly and the gradient is $(\nabla_D L_D, \lambda\nabla_G
    L_G)$. Both players move at once: less stable than alternating, so give the critic a penalty such as R1.

    It holds if the critic is the same function in both passes: no dropout, and no layer that changes with
    each forward pass. BatchNorm is exact (its running statistics move twice). A clip of the gradient's norm
    over both players would couple them: clip each by itself.

    Arguments:
        loss: the pair of losses.
        real: scores of data (B,).
        fake: scores of samples (B,), with a graph through critic and generator.
        fake_detached: scores of the same samples, detached (B,), with a graph through the critic alone.
        ratio: $\lambda$, the generator's learning rate over the critic's for plain SGD. Adam and RMSprop
            divide it out again: for them set the learning rates themselves.

    Returns:
        The joint loss, a scalar that equals the critic's loss.

    References:
        The gradient-cutting construction of a one-step GAN (Su, 2019), https://kexue.fm/archives/6387
    """
    held = real.detach()
    difference = loss.generator(fake, held) - loss.generator(fake_detached, held)
    return loss.critic(real, fake_detached) + ratio * difference
