"""Plans in which the players train one after another."""

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import ClassVar, Protocol

from torch import Tensor

from genexp.errors import UserError
from genexp.training.plans.game import Batch
from genexp.training.players import Players


class StagedGame(Protocol):
    """What a plan in stages needs of a model."""

    def stage_loss(self, player: str, batch: Batch) -> Tensor:
        """The scalar that a player minimises in its stage."""
        ...

    def updated(self, player: str) -> None:
        """Called after a player's step."""
        ...


@dataclass(frozen=True)
class Stages:
    """Each player minimises a loss of its own for some steps, while the others stand still.

    Arguments:
        players: their names, in the order of the stages.
        boundaries: the steps of the clock at which the second, third, ... player takes over.

    Raises:
        UserError: the boundaries do not part the players, or are not in order.

    Example:
        >>> plan = Stages(["glo", "imle"], [100])
        >>> plan.player_at(99), plan.player_at(100), plan.start_of("imle")
        ('glo', 'imle', 100)
    """

    players: Sequence[str] = ("glo", "imle")
    boundaries: Sequence[int] = (1000,)
    sub_batches: ClassVar[int] = 1

    def __post_init__(self) -> None:
        if len(self.boundaries) != len(self.players) - 1:
            raise UserError(
                f"plan.boundaries={list(self.boundaries)} do not part {len(self.players)} players: "
                f"give {len(self.players) - 1} steps."
            )
        if any(late <= early for early, late in pairwise((0, *self.boundaries))):
            raise UserError(
                f"plan.boundaries={list(self.boundaries)} leave a player no step: give rising steps above 0."
            )

    def player_at(self, step: int) -> str:
        """The player of the stage that a step belongs to."""
        return self.players[bisect_right(self.boundaries, step)]

    def start_of(self, player: str) -> int:
        """The first step of a player's stage."""
        return (0, *self.boundaries)[list(self.players).index(player)]

    def run(self, game: StagedGame, players: Players, batches: Sequence[Batch], step: int = 0) -> None:
        """Execute one step."""
        (batch,) = batches
        player = self.player_at(step)
        for other in self.players:  # what is left of an earlier stage's gradients would be looked at, and not saved
            players.players[other].optimizer.zero_grad(set_to_none=True)
        with players.only(player):
            players.backward(game.stage_loss(player, batch), player)
        players.apply(player)
        game.updated(player)
