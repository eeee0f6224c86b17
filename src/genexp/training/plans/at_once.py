"""Plans in which both players move at once, on gradients at the same weights."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor

from genexp.training.plans.game import TWO, Batch, TwoPlayerGame, both_gradients, move_both, positive
from genexp.training.players import Players


@dataclass(frozen=True)
class Simultaneous:
    """Both gradients at the same parameters, then both steps: explicit Euler on the game's flow."""

    players: ClassVar[tuple[str, ...]] = TWO
    sub_batches: ClassVar[int] = 1

    def run(self, game: TwoPlayerGame, players: Players, batches: Sequence[Batch], step: int = 0) -> None:
        """Execute one step."""
        (batch,) = batches
        both_gradients(game, players, batch)
        move_both(game, players)


@dataclass(frozen=True)
class SingleLoss:
    """One loss and one backward pass for both players, by cutting the gradient of the fakes.

    The dynamics are those of `Simultaneous`, so a penalty on the critic is advised.

    Arguments:
        ratio: factor on the generator's gradient, under plain gradient descent. Adam and RMSprop divide it out again:
            give two learning rates instead.

    Raises:
        UserError: the ratio is not positive.

    References:
        Su Jianlin, Scientific Spaces 6387. https://kexue.fm/archives/6387
    """

    ratio: float = 1.0
    players: ClassVar[tuple[str, ...]] = TWO
    sub_batches: ClassVar[int] = 1

    def __post_init__(self) -> None:
        positive(ratio=self.ratio)

    def run(self, game: TwoPlayerGame, players: Players, batches: Sequence[Batch], step: int = 0) -> None:
        """Execute one step."""
        (batch,) = batches
        players.backward(game.single_loss(batch, game.generate(batch), self.ratio), *self.players)
        move_both(game, players)


@dataclass(frozen=True)
class GradientReversal:
    r"""The critic's loss alone, whose gradient is turned round on its way into the generator.

    For zero-sum losses, where the generator maximises what the critic minimises. Each network runs once: two thirds of
    the critic's work under `SingleLoss`. The dynamics are those of `Simultaneous`.

    Arguments:
        ratio: factor on the generator's gradient, under plain gradient descent.

    Raises:
        UserError: the ratio is not positive.

    References:
        Unsupervised Domain Adaptation by Backpropagation, Ganin and Lempitsky, 2014. https://arxiv.org/abs/1409.7495
    """

    ratio: float = 1.0
    players: ClassVar[tuple[str, ...]] = TWO
    sub_batches: ClassVar[int] = 1
    zero_sum: ClassVar[bool] = True

    def __post_init__(self) -> None:
        positive(ratio=self.ratio)

    def run(self, game: TwoPlayerGame, players: Players, batches: Sequence[Batch], step: int = 0) -> None:
        """Execute one step."""
        (batch,) = batches
        fakes = _Turned.apply(game.generate(batch), -self.ratio)
        players.backward(game.critic_loss(batch, fakes), *self.players)
        move_both(game, players)


class _Turned(torch.autograd.Function):
    """The identity, whose gradient is multiplied by a factor."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, factor: float) -> Tensor:
        ctx.factor = factor
        return x.view_as(x)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        return ctx.factor * gradients[0], None
