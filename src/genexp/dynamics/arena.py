r"""A game as it is in training: the model, the update plan and the optimizers themselves, and its states as vectors.

A *state* $s$ holds the critic's parameters, the generator's, and what their optimizers keep. The continuous flow is
$\dot s = v(s) = (-\nabla_D L_D, -\nabla_G L_G)$; one step of the clock maps $s$ to $F(s)$ by the objects that
`genexp train` uses.
"""

from collections.abc import Callable, Mapping
from functools import partial
from math import lcm
from typing import Any

import torch
from scipy.optimize import brentq
from torch import Tensor, nn

from genexp.dynamics.games import Game
from genexp.errors import UserError
from genexp.models.base import Regime
from genexp.models.gan import GAN
from genexp.objectives.adversarial import AdversarialLoss
from genexp.objectives.constraints import Constraint
from genexp.objectives.penalties import Penalty
from genexp.training.clock import Clock
from genexp.training.ema import NoEMA
from genexp.training.optimizers import OptimizerFactory
from genexp.training.plans import Batch, Plan
from genexp.training.randomness import StepRandomness
from genexp.training.schedules import Constant

LONG_AGO = 1e6
"""Steps that an optimizer at rest has counted: its correction for a young average is over."""
SCORES = 30.0
"""Where the score of a critic that tells nothing is looked for."""
MOST_PHASES = 64
"""Steps after which the penalties' intervals must have repeated."""


class OneDraw(StepRandomness):
    """The numbers of step 0 at every step, in float64: a step is then a function of the state."""

    def begin(self, step: int) -> None:
        """Begin step 0 again."""
        super().begin(0)

    def normal(self, n: int, *shape: int) -> Tensor:
        """Standard normal numbers, (n, *shape)."""
        return super().normal(n, *shape).double()

    def uniform(self, n: int, *shape: int) -> Tensor:
        """Uniform numbers in [0, 1), (n, *shape)."""
        return super().uniform(n, *shape).double()


class Nodes(OneDraw):
    """Latents from a game's nodes, anything else as in `OneDraw`.

    Arguments:
        latents: the nodes, (n, L).
    """

    def __init__(self, latents: Tensor) -> None:
        super().__init__(seed=0)
        self.latents = latents

    def normal(self, n: int, *shape: int) -> Tensor:
        """The nodes where latents are asked for."""
        return self.latents if (n, *shape) == tuple(self.latents.shape) else super().normal(n, *shape)


def neutral_score(loss: AdversarialLoss) -> float:
    r"""The score $c$ of a critic that tells nothing, $\arg\min_c L_D(c, c)$; 0 where it does not matter.

    Example:
        >>> from genexp.objectives.adversarial import LeastSquares
        >>> round(neutral_score(LeastSquares(a=0.0, b=1.0)), 12)
        0.5
    """

    def slope(score: float) -> float:
        c = torch.tensor([score], dtype=torch.float64, requires_grad=True)
        (gradient,) = torch.autograd.grad(loss.critic(c, c), c)
        return float(gradient)

    if abs(slope(0.0)) < 1e-14 or slope(-SCORES) * slope(SCORES) >= 0:
        return 0.0
    return float(brentq(slope, -SCORES, SCORES, xtol=1e-15, rtol=1e-15))


class Level(nn.Module):
    """A critic raised by a constant, so that its equilibrium is where it tells nothing."""

    def __init__(self, critic: nn.Module, level: float) -> None:
        super().__init__()
        self.critic, self.level = critic, level

    def forward(self, x: Tensor) -> Tensor:
        """Scores of data, (B, D) -> (B, 1)."""
        return self.critic(x) + self.level


class GameGAN(GAN):
    """A GAN that may be unbounded: what becomes of it is the question."""

    def _refuse_impossible(self) -> None:
        if self.loss.scores_pairs:
            raise UserError("genexp dynamics has no critic of pairs: take a loss that scores single points.")


class Arena:
    """A model with two players, its regime and a batch: flow, update map, and states as vectors.

    Arguments:
        model: the model, prepared for its regime.
        batch: what every step reads, for one update of the critic.
        optimizers: those of the players; None where only the flow is asked for.

    Raises:
        UserError: if the penalties' intervals repeat only after too many steps.
    """

    def __init__(self, model: GAN, batch: Batch, optimizers: list[torch.optim.Optimizer] | None = None) -> None:
        assert model.regime is not None
        self.model, self.batch, self.regime = model, batch, model.regime
        self.optimizers = optimizers or []
        self.critic, self.generator = (
            [p for p in model.players()[name].parameters() if p.requires_grad] for name in ("critic", "generator")
        )
        parts = self.regime.plan.sub_batches
        self._batches = {key: value.repeat(parts, *[1] * (value.ndim - 1)) for key, value in batch.items()}
        self._slots: list[Callable[[], Tensor]] = [lambda p=p: p for p in self.parameters]  # type: ignore[misc]
        self._resting = torch.empty(0)
        self.phases = lcm(1, *(penalty.interval for penalty in model.penalties.values()))
        if self.phases > MOST_PHASES:
            raise UserError(
                f"The penalties' intervals repeat only after {self.phases} steps, and genexp dynamics follows "
                f"{MOST_PHASES} of them at most: choose shorter intervals."
            )

    @classmethod
    def of(
        cls,
        game: Game,
        loss: AdversarialLoss,
        penalties: Mapping[str, Penalty],
        constraint: Constraint,
        plan: Plan,
        optimizer: OptimizerFactory,
    ) -> "Arena":
        """A game, in float64, with the optimizers at rest at its equilibrium.

        Raises:
            UserError: the plan is not one of two players, or the loss compares pairs.
        """
        if not isinstance(loss, AdversarialLoss):
            raise UserError(f"loss={type(loss).__name__} is not the loss of a game: choose one of two players.")
        if getattr(plan, "long_turns", None) is not None:
            raise UserError("plan.long_turns makes steps that differ from each other: leave it null.")
        k = game.of_critic
        level = neutral_score(loss)

        def critic(shape: tuple[int, ...], outputs: int) -> nn.Module:
            return Level(game.critic(game.equilibrium[:k]), level)

        def generator(latent_dim: int, shape: tuple[int, ...]) -> nn.Module:
            return game.generator(game.equilibrium[k:])

        model = GameGAN(game.data.shape[1:], game.latents.shape[1], generator, critic, loss, penalties, constraint)
        model.random = Nodes(game.latents)
        clock = Clock(max_steps=2**40, images_per_step=len(game.data))
        model.prepare(Regime(plan, optimizer, Constant(), NoEMA(), clock, seed=0))
        batch = {"x": game.data, "y": torch.zeros(len(game.data), dtype=torch.long)}
        arena = cls(model, batch, model.configure_optimizers())
        arena._rest()
        return arena

    @property
    def parameters(self) -> list[nn.Parameter]:
        """The critic's parameters before the generator's."""
        return [*self.critic, *self.generator]

    # --- states -----------------------------------------------------------------------------------------------------

    def _rest(self) -> None:
        """Let the optimizers make their averages, at the equilibrium, and forget what they saw."""
        held = [parameter.detach().clone() for parameter in self.parameters]
        self._advance()
        for optimizer in self.optimizers:
            for parameter, kept in optimizer.state.items():
                for name, value in kept.items():
                    if isinstance(value, Tensor) and value.is_floating_point():
                        value.fill_(LONG_AGO if name == "step" else 0.0)
                        if value.ndim:
                            self._slots.append(partial(_kept, optimizer, parameter, name))
        floating = [buffer for buffer in self.model.buffers() if buffer.is_floating_point()]
        self._slots += [lambda b=b: b for b in floating]  # type: ignore[misc]
        with torch.no_grad():
            torch._foreach_copy_([p.data for p in self.parameters], held)
        self._resting = self.read()[self.size :]

    @property
    def size(self) -> int:
        """How many of a state's numbers are parameters."""
        return sum(parameter.numel() for parameter in self.parameters)

    def extended(self, parameters: Tensor) -> Tensor:
        """The state with these parameters and the optimizers at rest."""
        return torch.cat([parameters, self._resting])

    def read(self) -> Tensor:
        """The present state."""
        return torch.cat([slot().detach().flatten() for slot in self._slots])

    @torch.no_grad()
    def write(self, state: Tensor) -> None:
        """Be in a state; one of parameters alone leaves all else as it is."""
        chosen = self._slots[: len(self.parameters)] if len(state) == self.size else self._slots
        slots = [slot() for slot in chosen]
        for slot, values in zip(slots, state.split([slot.numel() for slot in slots]), strict=True):
            slot.copy_(values.view_as(slot))

    # --- the two dynamics -------------------------------------------------------------------------------------------

    def _advance(self) -> None:
        self.model.step({**self._batches})

    def step(self, state: Tensor) -> Tensor:
        """The update map: the state after as many steps of the clock as there are phases."""
        self.regime.clock.step = 0
        self.write(state)
        for _ in range(self.phases):
            self._advance()
        self.model.meter.flush()
        return self.read()

    def trajectory(self, start: Tensor, steps: int) -> Tensor:
        """The parameters after 0, ..., `steps` steps from `start` with the optimizers at rest, (steps + 1, size).

        It ends early where a number is no longer finite.
        """
        self.regime.clock.step = 0
        self.write(self.extended(start))
        states = [start]
        for _ in range(steps):
            self._advance()
            states.append(self.read()[: self.size])
            if not states[-1].isfinite().all():
                break
        self.model.meter.flush()
        return torch.stack(states)

    def flow(self, parameters: Tensor) -> Tensor:
        """The vector field $v$, (size,); the critic's part in its own time scale.

        Lazy penalties count with their mean over the steps.
        """
        self.write(parameters)
        model, losses = self.model, []
        model.random.begin(0)
        with model.rehearsal():
            fakes = model.generate(self.batch)
            loss = model.generator_loss(self.batch, fakes)
            generator = torch.autograd.grad(loss, self.generator, allow_unused=True, materialize_grads=True)
            for phase in range(self.phases):
                self.regime.clock.step = phase
                losses.append(model.critic_loss(self.batch, fakes.detach()))
                if self._separates and (penalty := model.penalty_loss(self.batch, fakes.detach())) is not None:
                    losses[-1] = losses[-1] + penalty
        loss = torch.stack(losses).mean()
        critic = torch.autograd.grad(loss, self.critic, allow_unused=True, materialize_grads=True)
        return torch.cat([*(-self.pace * g.flatten() for g in critic), *(-g.flatten() for g in generator)])

    @property
    def _separates(self) -> bool:
        return bool(getattr(self.regime.plan, "penalty_steps", False))

    @property
    def pace(self) -> float:
        """The critic's learning rate over the generator's."""
        optimizer = self.regime.optimizer
        return 1.0 if optimizer.critic_lr is None else optimizer.critic_lr / optimizer.lr


def _kept(optimizer: torch.optim.Optimizer, parameter: Tensor, name: str) -> Tensor:
    """What an optimizer keeps of a parameter; some put another tensor in its place at each step."""
    return optimizer.state[parameter][name]


def build(parts: Mapping[str, Any]) -> tuple[Game, Arena]:
    """The game and its arena, from the built groups of a config."""
    others = ("loss", "constraint", "plan", "optimizer")
    arena = Arena.of(parts["game"], penalties=parts["penalty"], **{name: parts[name] for name in others})
    return parts["game"], arena
