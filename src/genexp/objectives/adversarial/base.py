r"""What an adversarial loss is: what a critic minimises, what a generator minimises, and what the two then measure.

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
from torch import Tensor


def precise(values: Tensor) -> Tensor:
    """In float32 at least: under autocast the scores may be bfloat16."""
    return values.to(torch.promote_types(values.dtype, torch.float32))


def expectation(values: Tensor) -> Tensor:
    """Means over the batch, in float32 at least."""
    return values.mean(dtype=torch.promote_types(values.dtype, torch.float32))


@dataclass(frozen=True)
class Bound:
    r"""The divergence $D$ that a critic's loss bounds from below: $D(p, q) \ge c - s\,L_D$, with equality at the best.

    The estimate is an affine function of the critic's loss, so it costs nothing. It is below the truth as long as the
    critic is not the best one, up to the noise of a finite batch, and a critic that has learnt its batches by heart
    reports too much.

    Arguments:
        name: the divergence, as in `genexp.objectives.divergences`: 0 if and only if $p = q$.
        scale: the factor $s$.
        offset: the constant $c$.

    Example:
        >>> bound = Bound("js", scale=0.5, offset=0.6931)  # of the original GAN
        >>> round(bound(torch.tensor(1.3862)).item(), 4)  # the critic knows nothing
        0.0
    """

    name: str
    scale: float = 1.0
    offset: float = 0.0

    def __call__(self, critic_loss: Tensor) -> Tensor:
        """Returns the estimate, a scalar without a graph."""
        return self.offset - self.scale * critic_loss.detach()


class AdversarialLoss(ABC):
    """A pair of losses on raw scores, real-high. Subclass it for a loss of your own.

    Attributes:
        needs_constraint: True if the critic's loss has no minimum unless something bounds the critic's slope:
            a penalty on its gradient or a clip of its weights.
        compares: True if the generator's loss needs the scores of data beside those of samples.
        scores_pairs: True if the critic scores an ordered pair of a datum and a sample, not each by itself: `real` is
            then the score of (datum, sample) and `fake` that of (sample, datum).
    """

    needs_constraint: ClassVar[bool] = False
    compares: ClassVar[bool] = False
    scores_pairs: ClassVar[bool] = False

    @property
    def bound(self) -> Bound | None:
        """The divergence that the critic's loss bounds from below; None if it is unknown."""
        return None

    @property
    def summary(self) -> str | None:
        """A sentence on what the players minimise, where it follows from what the user gave and not from the class."""
        return None

    def between(self, real: Tensor, fake: Tensor) -> "AdversarialLoss":
        """Returns the loss for a batch: itself, unless it reads data and samples beside their scores.

        Arguments:
            real: data (B, ...).
            fake: samples (B, ...).
        """
        return self

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


def scores_of_data(real: Tensor | None) -> Tensor:
    """The scores of data that a loss which compares was given.

    Raises:
        ValueError: there are none.
    """
    if real is None:
        raise ValueError("a loss that compares needs data: give the scores of real ones too")
    return real
