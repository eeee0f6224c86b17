"""Update plans: who is updated when, as data.

A plan knows the players and the losses of a game and nothing of networks. One execution of a plan is one step of the
clock. It reads `sub_batches` batches of real data: k critic updates see k fresh batches, as in the WGAN papers.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol

import torch
from torch import Tensor

from genexp.errors import UserError
from genexp.training.players import Players

Batch = dict[str, Tensor]


class TwoPlayerGame(Protocol):
    """What a plan needs of a model with a critic and a generator."""

    def generate(self, batch: Batch) -> Tensor:
        """Fakes for a batch, (B, ...), with their graph."""
        ...

    def critic_loss(self, batch: Batch, fakes: Tensor) -> Tensor:
        """The critic's loss with its penalties; `fakes` carry no graph."""
        ...

    def generator_loss(self, batch: Batch, fakes: Tensor) -> Tensor:
        """The generator's loss."""
        ...

    def single_loss(self, batch: Batch, fakes: Tensor, ratio: float) -> Tensor:
        """One scalar with the critic's gradient for the critic and `ratio` times the generator's for the generator."""
        ...

    def updated(self, player: str) -> None:
        """Called after a player's step (weight clipping lives here)."""
        ...


class OnePlayerGame(Protocol):
    """What a plan needs of a model with one loss."""

    def loss(self, batch: Batch) -> Tensor:
        """The scalar to minimise."""
        ...

    def updated(self, player: str) -> None:
        """Called after the step."""
        ...


class Plan(Protocol):
    """An update plan."""

    @property
    def players(self) -> tuple[str, ...]:
        """The names of the players that it updates."""
        ...

    @property
    def sub_batches(self) -> int:
        """Batches of real data that a step reads."""
        ...

    def run(self, game: Any, players: Players, batches: Sequence[Batch]) -> None:
        """Execute one step."""
        ...


def _at_least_one(**counts: int) -> None:
    for name, count in counts.items():
        if count < 1:
            raise UserError(f"plan.{name}={count} updates nobody: give a whole number of at least 1.")


@dataclass(frozen=True)
class Alternating:
    """`critic` updates of the critic, each on fresh data, then `generator` updates of the generator.

    Alternating updates are the symplectic Euler method of the game's flow, which stays bounded where simultaneous ones
    spiral outwards. With `share_fakes` the last critic update and the first generator update look at the same fakes,
    which saves a pass through the generator.

    References:
        Generative Adversarial Nets, Goodfellow et al., 2014. https://arxiv.org/abs/1406.2661
        Which Training Methods for GANs do actually Converge?, Mescheder et al., 2018. https://arxiv.org/abs/1801.04406
    """

    critic: int = 1
    generator: int = 1
    share_fakes: bool = True
    players: ClassVar[tuple[str, ...]] = ("critic", "generator")

    def __post_init__(self) -> None:
        _at_least_one(critic=self.critic, generator=self.generator)

    @property
    def sub_batches(self) -> int:
        """One batch for each critic update."""
        return self.critic

    def run(self, game: TwoPlayerGame, players: Players, batches: Sequence[Batch]) -> None:
        """Execute one step."""
        last = batches[-1]
        for batch in batches:
            share = self.share_fakes and batch is last
            with torch.set_grad_enabled(share):
                fakes = game.generate(batch)
            players.backward(game.critic_loss(batch, fakes.detach()), "critic")
            players.apply("critic")
            game.updated("critic")
        for update in range(self.generator):
            with players.only("generator"):
                if update > 0 or not self.share_fakes:
                    fakes = game.generate(last)
                players.backward(game.generator_loss(last, fakes), "generator")
            players.apply("generator")
            game.updated("generator")


@dataclass(frozen=True)
class Simultaneous:
    """Both gradients at the same parameters, then both steps: explicit Euler on the game's flow."""

    players: ClassVar[tuple[str, ...]] = ("critic", "generator")
    sub_batches: ClassVar[int] = 1

    def run(self, game: TwoPlayerGame, players: Players, batches: Sequence[Batch]) -> None:
        """Execute one step."""
        (batch,) = batches
        fakes = game.generate(batch)
        players.backward(game.critic_loss(batch, fakes.detach()), "critic")
        with players.only("generator"):
            players.backward(game.generator_loss(batch, fakes), "generator")
        for player in self.players:
            players.apply(player)
            game.updated(player)


@dataclass(frozen=True)
class SingleLoss:
    """One loss and one backward pass for both players, by cutting the gradient of the fakes.

    The dynamics are those of `Simultaneous`, so a penalty on the critic is advised.

    Arguments:
        ratio: factor on the generator's gradient. Adam and RMSprop divide it out again: give two learning rates
        instead.

    References:
        Su Jianlin, Scientific Spaces 6387. https://kexue.fm/archives/6387
    """

    ratio: float = 1.0
    players: ClassVar[tuple[str, ...]] = ("critic", "generator")
    sub_batches: ClassVar[int] = 1

    def run(self, game: TwoPlayerGame, players: Players, batches: Sequence[Batch]) -> None:
        """Execute one step."""
        (batch,) = batches
        players.backward(game.single_loss(batch, game.generate(batch), self.ratio), *self.players)
        for player in self.players:
            players.apply(player)
            game.updated(player)


@dataclass(frozen=True)
class Minimize:
    """One player, one loss, one step."""

    players: ClassVar[tuple[str, ...]] = ("model",)
    sub_batches: ClassVar[int] = 1

    def run(self, game: OnePlayerGame, players: Players, batches: Sequence[Batch]) -> None:
        """Execute one step."""
        (batch,) = batches
        players.backward(game.loss(batch), "model")
        players.apply("model")
        game.updated("model")
