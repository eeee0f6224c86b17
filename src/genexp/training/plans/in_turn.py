"""Plans in which the players move one after the other, and the one for a single player."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from genexp.errors import UserError
from genexp.training.plans.game import TWO, Batch, OnePlayerGame, TwoPlayerGame, at_least_one
from genexp.training.players import Players


@dataclass(frozen=True)
class LongTurns:
    """Steps in which the generator is left out, so that some turns of the critic are `factor` times as long.

    The first `first` updates of the generator, and every `every`-th one after those, wait for `factor` steps.

    Arguments:
        factor: steps of a long turn.
        first: so many updates of the generator wait at the start.
        every: updates of the generator from one long turn to the next; 0 for none after the start.

    Raises:
        UserError: the factor is below 1, or a count negative.

    References:
        Wasserstein GAN, Arjovsky, Chintala and Bottou, 2017: 100 critic updates instead of 5 before each of the first
        25 updates of the generator and before every 500th. https://arxiv.org/abs/1701.07875

    Example:
        >>> turns = LongTurns(factor=3, first=2, every=4)
        >>> [step for step in range(20) if turns.generator_moves(step)]  # number 0, 1, 4, 8 after long turns
        [2, 5, 6, 7, 10, 11, 12, 13, 16, 17, 18, 19]
    """

    factor: int = 20
    first: int = 25
    every: int = 500

    def __post_init__(self) -> None:
        if self.factor < 1 or self.first < 0 or self.every < 0:
            raise UserError(
                f"plan.long_turns={self.factor}, {self.first}, {self.every} are out of range: factor is at least 1, "
                "first and every at least 0."
            )

    def generator_moves(self, step: int) -> bool:
        """Whether the generator is updated in the step of number `step`."""
        long = self.first * self.factor
        if step < long:
            return step % self.factor == self.factor - 1
        if self.every == 0:
            return True
        start = -(-self.first // self.every) * self.every  # the first update after the start that waits
        done = step - long - (start - self.first)  # steps since its long turn began
        return done < 0 or done % (self.every - 1 + self.factor) >= self.factor - 1


@dataclass(frozen=True)
class Alternating:
    """`critic` updates of the critic, each on fresh data, then `generator` updates of the generator.

    Alternating updates are the symplectic Euler method of the game's flow, which stays bounded where simultaneous ones
    spiral outwards. With `share_fakes` the last critic update and the first generator update look at the same fakes,
    which saves a pass through the generator. With `same_latents` all updates of the generator in a step do.

    Arguments:
        critic: updates of the critic in a step.
        generator: updates of the generator in a step.
        share_fakes: whether the last critic update and the first generator update see the same fakes.
        same_latents: whether the generator's updates take the same latents; a trust region needs it.
        penalty_steps: whether penalties of the critic take an optimizer step of their own, after that of its loss, with
            the learning rate and the decays corrected for the steps that are added.
        long_turns: steps in which the generator waits.

    Raises:
        UserError: a player is updated less than once.

    References:
        Generative Adversarial Nets, Goodfellow et al., 2014. https://arxiv.org/abs/1406.2661
        Which Training Methods for GANs do actually Converge?, Mescheder et al., 2018. https://arxiv.org/abs/1801.04406
    """

    critic: int = 1
    generator: int = 1
    share_fakes: bool = True
    same_latents: bool = False
    penalty_steps: bool = False
    long_turns: LongTurns | None = None
    players: ClassVar[tuple[str, ...]] = TWO

    def __post_init__(self) -> None:
        at_least_one(critic=self.critic, generator=self.generator)

    @property
    def sub_batches(self) -> int:
        """One batch for each critic update."""
        return self.critic

    @property
    def repeats_latents(self) -> bool:
        """Whether the generator moves twice or more on the same latents."""
        return self.same_latents and self.generator > 1

    def run(self, game: TwoPlayerGame, players: Players, batches: Sequence[Batch], step: int = 0) -> None:
        """Execute one step."""
        turn = self.long_turns is None or self.long_turns.generator_moves(step)
        last = game.with_latents(batches[-1]) if self.same_latents and turn else batches[-1]
        if not turn:  # what is left of an earlier step would be looked at, and is in no checkpoint
            players.players["generator"].optimizer.zero_grad(set_to_none=True)
        fakes = None
        for batch in (*batches[:-1], last):
            share = self.share_fakes and turn and batch is last
            with torch.set_grad_enabled(share):
                made = game.generate(batch)
            cut = made.detach()
            self._update_critic(game, players, game.critic_loss(batch, cut))
            if self.penalty_steps and (penalties := game.penalty_loss(batch, cut)) is not None:
                self._update_critic(game, players, penalties)
            fakes = made if share else None
        for _ in range(self.generator if turn else 0):
            with players.only("generator"):
                fakes = game.generate(last) if fakes is None else fakes
                if self.repeats_latents and "reference" not in last:
                    last = {**last, "reference": fakes.detach()}
                players.backward(game.generator_loss(last, fakes), "generator")
            players.apply("generator")
            game.updated("generator")
            fakes = None

    @staticmethod
    def _update_critic(game: TwoPlayerGame, players: Players, loss: Tensor) -> None:
        players.backward(loss, "critic")
        players.apply("critic")
        game.updated("critic")


@dataclass(frozen=True)
class Minimize:
    """One player, one loss, one step."""

    players: ClassVar[tuple[str, ...]] = ("model",)
    sub_batches: ClassVar[int] = 1

    def run(self, game: OnePlayerGame, players: Players, batches: Sequence[Batch], step: int = 0) -> None:
        """Execute one step."""
        (batch,) = batches
        players.backward(game.loss(batch), "model")
        players.apply("model")
        game.updated("model")
