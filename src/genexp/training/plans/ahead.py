"""Plans that look where the game is going before they move."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch

from genexp.errors import UserError
from genexp.networks.eager import uncompiled
from genexp.training.plans.game import (
    TWO,
    Batch,
    TwoPlayerGame,
    both_gradients,
    move_both,
    positive,
)
from genexp.training.players import Players


@dataclass(frozen=True)
class Extragradient:
    r"""A step ahead, the gradients there, and then the step from where it began by these gradients.

    $$z' = z - h F(z), \qquad z \leftarrow z - h F(z')$$

    with $F$ both players' gradients, and each step by the player's own optimizer: with Adam it is ExtraAdam, whose
    moments take in both gradients. Where simultaneous descent circles outwards, this spirals inwards. A step costs two.

    Arguments:
        same_batch: whether both gradients are of the same data and latents; otherwise a step reads two batches.

    References:
        The extragradient method for finding saddle points and other problems, Korpelevich, 1976.
        A Variational Inequality Perspective on Generative Adversarial Networks, Gidel et al., 2018.
        https://arxiv.org/abs/1802.10551
    """

    same_batch: bool = True
    players: ClassVar[tuple[str, ...]] = TWO

    @property
    def sub_batches(self) -> int:
        """One batch for both gradients, or one for each."""
        return 1 if self.same_batch else 2

    def run(self, game: TwoPlayerGame, players: Players, batches: Sequence[Batch], step: int = 0) -> None:
        """Execute one step."""
        first, last = batches[0], batches[-1]
        if self.same_batch:
            first = last = game.with_latents(first)
        both_gradients(game, players, first)
        with players.moved(*self.players), game.rehearsal():
            move_both(game, players)
            both_gradients(game, players, last)
        move_both(game, players)


@dataclass(frozen=True)
class Unrolled:
    r"""The generator's gradient through `steps` updates of the critic that have not happened yet.

    $$\varphi_{i+1} = \varphi_i - \eta \nabla_\varphi L_D(\varphi_i, \theta), \qquad
    \theta \leftarrow \theta - h \nabla_\theta L_G(\varphi_k(\theta), \theta)$$

    The critic itself moves by one ordinary step. The generator thus sees the critic's answer, and does not gain by
    putting all its mass on one mode. A step costs $k$ critic updates more, and their graphs. The penalties of the
    critic are part of $L_D$, with samples as constants.

    Arguments:
        steps: the number $k$ of updates looked ahead; 0 is `Simultaneous`.
        step_size: their learning rate $\eta$, of plain gradient descent whatever the critic's optimizer is.

    Raises:
        UserError: the number of steps is negative, or the step size not positive.

    References:
        Unrolled Generative Adversarial Networks, Metz et al., 2016. https://arxiv.org/abs/1611.02163
    """

    steps: int = 5
    step_size: float = 0.1
    players: ClassVar[tuple[str, ...]] = TWO
    sub_batches: ClassVar[int] = 1

    def __post_init__(self) -> None:
        if not isinstance(self.steps, int) or self.steps < 0:
            raise UserError(f"plan.steps={self.steps} is out of range: give a whole number of at least 0.")
        positive(step_size=self.step_size)

    def run(self, game: TwoPlayerGame, players: Players, batches: Sequence[Batch], step: int = 0) -> None:
        """Execute one step."""
        (batch,) = batches
        with uncompiled():
            fakes = game.generate(batch)
            players.backward(game.critic_loss(batch, fakes.detach()), "critic")
            weights = players.weights("critic")
            with game.rehearsal():
                for _ in range(self.steps):
                    loss = players.at("critic", weights, game.critic_loss, batch, fakes)
                    gradient = players.gradient(loss, list(weights.values()))
                    weights = {k: w - self.step_size * g for (k, w), g in zip(weights.items(), gradient, strict=True)}
            players.backward(players.at("critic", weights, game.generator_loss, batch, fakes), "generator")
        move_both(game, players)


@dataclass(frozen=True)
class Consensus:
    r"""Both players also descend on half the squared norm of the gradients of both.

    $$g \leftarrow F + \gamma J^\top F, \qquad F = (\nabla_\varphi L_D, \nabla_\theta L_G),
    \quad J^\top F = \nabla \tfrac12 \|F\|^2$$

    which turns the game's eigenvalues away from the imaginary axis. Penalties are part of the losses. Where the losses
    are far from a saddle it may be drawn to points where all gradients are small for another reason.

    Arguments:
        weight: the factor $\gamma$.

    Raises:
        UserError: the weight is not positive.

    References:
        The Numerics of GANs, Mescheder, Nowozin and Geiger, 2017. https://arxiv.org/abs/1705.10461
    """

    weight: float = 0.1
    players: ClassVar[tuple[str, ...]] = TWO
    sub_batches: ClassVar[int] = 1

    def __post_init__(self) -> None:
        positive(weight=self.weight)

    def run(self, game: TwoPlayerGame, players: Players, batches: Sequence[Batch], step: int = 0) -> None:
        """Execute one step."""
        (batch,) = batches
        of_critic, of_generator = (players.players[name].parameters for name in self.players)
        with uncompiled():
            fakes = game.generate(batch)
            losses = game.critic_loss(batch, fakes), game.generator_loss(batch, fakes)
            gradients = [
                *players.gradient(losses[0], of_critic),
                *players.gradient(losses[1], of_generator),
            ]
            values = [gradient.detach() for gradient in gradients]
            # the gradient of |F|²/2, since F stands in the inner product once as itself and once as its value
            inner = torch.stack([(g * v).sum() for g, v in zip(gradients, values, strict=True)]).sum()
            players.backward(self.weight * inner, *self.players)
        players.add_gradients([*of_critic, *of_generator], values)
        move_both(game, players)
