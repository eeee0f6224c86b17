"""How many scores a critic gives to a datum, and what a loss makes of them."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce
from operator import add

from torch import Tensor, nn

from genexp.errors import UserError
from genexp.networks.heads import cascade
from genexp.objectives.adversarial import AdversarialLoss


class Head(ABC):
    """The end of a critic.

    Attributes:
        scores: scores of one datum.
    """

    scores: int = 1

    @abstractmethod
    def prepare(self, critic: nn.Module) -> nn.Module:
        """Returns the critic that is trained, of one whose first `scores` outputs are to be the scores.

        Raises:
            UserError: the critic cannot have this head.
        """

    @abstractmethod
    def read(self, verdicts: Tensor) -> Tensor:
        """The scores among a critic's outputs (B, m): (B,), or (B, N) for N of them."""

    @abstractmethod
    def mean(self, scores: Tensor) -> Tensor:
        """One score for each datum, (B,), for whatever reads but one: penalties, the log."""

    @abstractmethod
    def over(self, loss: AdversarialLoss) -> AdversarialLoss:
        """The loss on scores as `read` gives them."""


@dataclass(frozen=True)
class Linear(Head):
    """One score."""

    def prepare(self, critic: nn.Module) -> nn.Module:
        """Returns the critic itself."""
        return critic

    def read(self, verdicts: Tensor) -> Tensor:
        """The first output, (B, m) -> (B,)."""
        return verdicts[:, 0]

    def mean(self, scores: Tensor) -> Tensor:
        """The score itself."""
        return scores

    def over(self, loss: AdversarialLoss) -> AdversarialLoss:
        """The loss itself."""
        return loss


@dataclass(frozen=True)
class Cascading(Head):
    r"""Several scores by cascading rejection, each with a loss of its own.

    Both players minimise the weighted mean $\sum_i a_i L(D_i)$ of the losses, which is not the loss of the mean score:
    every head has margins of its own to keep. Penalties and the log read the mean score $\sum_i a_i D_i$. With one head
    it is `Linear`.

    Arguments:
        heads: the number of scores $N$.
        weights: the $a_i$ up to a common factor, one for each head; None takes $1/N$.
        gram_schmidt: make the weights of all heads orthogonal to one another, not only to the first.

    Raises:
        UserError: there is no head, or the weights do not fit.

    References:
        A Simple yet Effective Way for Improving the Performance of GANs (Shin et al., 2019),
        https://arxiv.org/abs/1911.10979
    """

    heads: int = 3
    weights: Sequence[float] | None = None
    gram_schmidt: bool = False

    def __post_init__(self) -> None:
        if self.heads < 1:
            raise UserError(f"head.heads={self.heads} scores nothing: give at least 1.")
        given = self.weights
        if given is not None and (len(given) != self.heads or min(given) < 0 or not sum(given) > 0):
            raise UserError(
                f"head.weights={list(given)} do not fit: give {self.heads} numbers of at least 0, not all zero."
            )

    @property
    def scores(self) -> int:  # type: ignore[override]
        """The number of heads."""
        return self.heads

    @property
    def shares(self) -> tuple[float, ...]:
        """The weights $a_i$, which sum to 1."""
        weights = self.weights or (1.0,) * self.heads
        return tuple(weight / sum(weights) for weight in weights)

    def prepare(self, critic: nn.Module) -> nn.Module:
        """Returns the critic with the cascade as its last layer."""
        return cascade(critic, self.heads, self.gram_schmidt)

    def read(self, verdicts: Tensor) -> Tensor:
        """The first N outputs, (B, m) -> (B, N)."""
        return verdicts[:, : self.heads]

    def mean(self, scores: Tensor) -> Tensor:
        """The weighted mean, (B, N) -> (B,)."""
        return weighted(scores.unbind(1), self.shares)

    def over(self, loss: AdversarialLoss) -> AdversarialLoss:
        """The weighted mean of the losses of all heads."""
        return MeanOverHeads(loss, self.shares)


@dataclass(frozen=True)
class MeanOverHeads(AdversarialLoss):
    """The weighted mean of one loss on each of several scores.

    Arguments:
        loss: the loss on one score.
        shares: the weights, which sum to 1.

    Example:
        >>> import torch
        >>> from genexp.objectives.adversarial import Hinge
        >>> real, fake = torch.tensor([[2.0, -2.0]]), torch.tensor([[-2.0, -2.0]])
        >>> MeanOverHeads(Hinge(), (0.5, 0.5)).critic(real, fake).item()  # of the mean scores 0 and -2 it would be 1
        1.5
    """

    loss: AdversarialLoss
    shares: tuple[float, ...]

    def between(self, real: Tensor, fake: Tensor) -> "MeanOverHeads":
        """Returns the loss for a batch."""
        return MeanOverHeads(self.loss.between(real, fake), self.shares)

    def critic(self, real: Tensor, fake: Tensor) -> Tensor:
        """Returns the mean of the critic's losses on scores (B, N)."""
        losses = [self.loss.critic(r, f) for r, f in zip(real.unbind(1), fake.unbind(1), strict=True)]
        return weighted(losses, self.shares)

    def generator(self, fake: Tensor, real: Tensor | None = None) -> Tensor:
        """Returns the mean of the generator's losses on scores (B, N)."""
        reals = [None] * fake.shape[1] if real is None else real.unbind(1)
        losses = [self.loss.generator(f, r) for f, r in zip(fake.unbind(1), reals, strict=True)]
        return weighted(losses, self.shares)


def weighted(parts: Sequence[Tensor], shares: Sequence[float]) -> Tensor:
    """The sum of tensors of one shape, each times its share."""
    return reduce(add, (share * part for share, part in zip(shares, parts, strict=True)))
