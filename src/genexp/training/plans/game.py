"""What a plan needs of a game, and what a game needs of a plan."""

from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import Any, Protocol

from torch import Tensor

from genexp.errors import UserError
from genexp.training.players import Players

Batch = dict[str, Tensor]


class TwoPlayerGame(Protocol):
    """What a plan needs of a model with a critic and a generator."""

    def generate(self, batch: Batch) -> Tensor:
        """Fakes for a batch, (B, ...), with their graph."""
        ...

    def with_latents(self, batch: Batch) -> Batch:
        """The batch with its latents, of which `generate` then makes the same fakes as long as nobody moves."""
        ...

    def critic_loss(self, batch: Batch, fakes: Tensor) -> Tensor:
        """The critic's loss with its penalties; it may send a gradient into the fakes, its penalties do not."""
        ...

    def penalty_loss(self, batch: Batch, fakes: Tensor) -> Tensor | None:
        """The penalties of the critic by themselves, None if none is due; the critic's loss then has none."""
        ...

    def generator_loss(self, batch: Batch, fakes: Tensor) -> Tensor:
        """The generator's loss with its penalties; `batch["reference"]` are its fakes before it moved."""
        ...

    def single_loss(self, batch: Batch, fakes: Tensor, ratio: float) -> Tensor:
        """One scalar with the critic's gradient for the critic and `ratio` times the generator's for the generator."""
        ...

    def rehearsal(self) -> AbstractContextManager[None]:
        """Losses evaluated in here leave no trace in the log or in the game."""
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

    def run(self, game: Any, players: Players, batches: Sequence[Batch], step: int = 0) -> None:
        """Execute one step, the one of number `step`."""
        ...


TWO = ("critic", "generator")


def at_least_one(**counts: int) -> None:
    """Check counts of updates.

    Raises:
        UserError: one of them is below 1.
    """
    for name, count in counts.items():
        if not isinstance(count, int) or count < 1:
            raise UserError(f"plan.{name}={count} updates nobody: give a whole number of at least 1.")


def positive(**numbers: float) -> None:
    """Check factors and step sizes.

    Raises:
        UserError: one of them is not above zero.
    """
    for name, value in numbers.items():
        if not value > 0:
            raise UserError(f"plan.{name}={value} is out of range: give a positive number.")


def both_gradients(game: TwoPlayerGame, players: Players, batch: Batch) -> None:
    """Give each player the gradient of its own loss at the weights as they are."""
    fakes = game.generate(batch)
    players.backward(game.critic_loss(batch, fakes.detach()), "critic")
    with players.only("generator"):
        players.backward(game.generator_loss(batch, fakes), "generator")


def move_both(game: TwoPlayerGame, players: Players) -> None:
    """Let both optimizers take their step."""
    for player in TWO:
        players.apply(player)
        game.updated(player)
