"""What every family is: a LightningModule that declares what it can do."""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, ClassVar

import torch
from lightning.pytorch import LightningModule
from torch import Tensor, nn

from genexp.errors import UserError
from genexp.objectives.likelihood import Likelihood
from genexp.training.clock import Clock
from genexp.training.ema import EMA, NoEMA
from genexp.training.health import Monitor, NoMonitor
from genexp.training.meter import Meter, Stopwatch
from genexp.training.optimizers import OptimizerFactory
from genexp.training.plans import Batch, Plan
from genexp.training.players import Players, check_partition
from genexp.training.randomness import StepRandomness
from genexp.training.schedules import Schedule


@dataclass
class Regime:
    """How a model is trained: everything that is not the model."""

    plan: Plan
    optimizer: OptimizerFactory
    schedule: Schedule
    ema: EMA | NoEMA
    clock: Clock
    seed: int
    inner_seconds: float = 0.05
    inner_steps: int = 8
    channels_last: bool = False
    health: Monitor = field(default_factory=NoMonitor)


class GenerativeModel(LightningModule):
    """A family of generative models.

    A family states its `players` (named modules, each with an optimizer of its own), the losses that its update plan
    asks for, and what a trained model can do: `sample` always; `log_prob`, `latents` and `decode`, `encode` and
    `reconstruct` where the family has them. All families train by manual optimization under one clock: the loop below
    runs several steps in one `training_step`, so that Lightning's bookkeeping is paid once for each of them.

    Arguments:
        shape: shape of one datum, (C, H, W) or (D,).
    """

    averaged: ClassVar[tuple[str, ...]] = ()
    """Names of the submodules that samples are drawn with: the EMA averages these."""
    default_plan: ClassVar[str] = "alternating"
    num_classes: int | None = None
    """The classes that samples can be asked for; None for a family without conditioning."""
    reads_index: bool = False
    """Whether batches must bring `index`, long (B,): the places of their samples in the train split."""
    names_classes: ClassVar[bool] = True
    """Whether these classes are the data's; False where the model finds classes of its own."""

    def __init__(self, shape: Sequence[int]) -> None:
        super().__init__()
        self.automatic_optimization = False
        self.shape = tuple(shape)
        self.meter = Meter()
        self.stopwatch = Stopwatch()
        self.regime: Regime | None = None
        self.random = StepRandomness(seed=0)
        self.stop_requested = False
        self.rehearsing = False
        self.seen: dict[str, Tensor] = {}
        self._again: Iterator[Batch] | None = None
        self._players: Players | None = None

    # --- what a family provides -------------------------------------------------------------------------------------

    def players(self) -> dict[str, nn.Module]:
        """The modules of each player."""
        raise NotImplementedError

    def updated(self, player: str) -> None:
        """Called after each optimizer step of `player`."""

    def expect(self, samples: int) -> None:
        """Called before training, where `reads_index`, with the number of training samples."""

    def steps_per_update(self, player: str) -> float:
        """Optimizer steps that `player` takes on average where its plan counts one update."""
        return 1.0

    def sample(self, n: int, y: Tensor | None = None, seed: int | None = None, temperature: float = 1.0) -> Tensor:
        """Draw `n` samples, (n, *shape), data in [-1, 1].

        Arguments:
            n: how many.
            y: class of each, long (n,); families without conditioning ignore it.
            seed: the samples are a function of it; None draws from the global generator.
            temperature: factor on the standard deviation of the latents.
        """
        raise NotImplementedError

    @property
    def asked_for_classes(self) -> bool:
        """Whether samples can be asked for the data's own classes."""
        return self.num_classes is not None and self.names_classes

    def classes(self, n: int, y: Tensor | None = None) -> Tensor | None:
        """The classes of `n` samples, long (n,): `y`, or all in turn; None for a family without conditioning.

        In turn, the first `num_classes` samples show each class once, and `n` samples show all alike.

        Raises:
            UserError: `y` is not one class for each sample.
        """
        if self.num_classes is None:
            return None
        if y is None:
            return torch.arange(n, device=self.device) % self.num_classes
        if y.shape != (n,) or y.is_floating_point() or (n and not 0 <= int(y.min()) <= int(y.max()) < self.num_classes):
            raise UserError(f"Samples need one class of 0 to {self.num_classes - 1} each: give y as long ({n},).")
        return y.to(self.device)

    def latents(self, n: int, seed: int | None = None, temperature: float = 1.0) -> Tensor | None:
        """Draw `n` latents from what `decode` maps to data, (n, latent_dim), or None where the family has none.

        `sample` is `decode` of these, seed for seed.
        """
        return None

    def log_prob(self, x: Tensor, samples: int = 1, seed: int | None = None) -> Likelihood | None:
        """Log-likelihood of each datum in nats, or None where the family has none (a GAN)."""
        return None

    # --- training ---------------------------------------------------------------------------------------------------

    def prepare(self, regime: Regime) -> None:
        """Take up the way to be trained.

        Raises:
            UserError: if the plan updates players that this family does not have.
        """
        modules = self.players()
        check_partition(modules)
        if set(regime.plan.players) != set(modules):
            raise UserError(
                f"plan={type(regime.plan).__name__} updates {' and '.join(regime.plan.players)}, but "
                f"{type(self).__name__} has {' and '.join(modules)}: use plan={self.default_plan}."
            )
        self.regime = regime

    def configure_optimizers(self) -> list[torch.optim.Optimizer]:
        """One optimizer for each player."""
        assert self.regime is not None
        modules = self.players()
        optimizers = {
            name: self.regime.optimizer(
                name, [p for p in module.parameters() if p.requires_grad], self.steps_per_update(name)
            )
            for name, module in modules.items()
        }
        self._players = Players(modules, optimizers)
        return list(optimizers.values())

    def on_fit_start(self) -> None:
        """Start the averages and the random streams where the weights now are."""
        assert self.regime is not None
        if self.regime.channels_last:
            self.to(memory_format=torch.channels_last)
        self.random = StepRandomness(self.regime.seed, self.global_rank, self.trainer.world_size, self.device)
        self.regime.ema.attach({name: getattr(self, name) for name in self.averaged})

    def training_step(self, dataloader_iter: Iterator[tuple[Batch, int, int]]) -> None:
        """Run steps until something is due, somebody asks to stop, or Lightning's turn has come.

        A single process hands over after `inner_seconds`; several processes after `inner_steps`, so that all ranks
        meet.
        """
        assert self.regime is not None
        clock, single = self.regime.clock, self.trainer.world_size == 1
        started, first = time.perf_counter(), clock.step
        while True:
            before = time.perf_counter()
            batch = next(dataloader_iter)[0] if self._again is None else next(self._again)
            now = time.perf_counter()
            self.stopwatch.add("data", now - before)
            self.step(batch)
            if clock.at_event():
                return
            if single and (self.stop_requested or now - started > self.regime.inner_seconds):
                return
            if not single and clock.step - first >= self.regime.inner_steps:
                return

    def read_again(self, batches: Iterator[Batch] | None) -> None:
        """Read the batches of the next steps from here, not from Lightning's loader: the run has gone back."""
        self._again = batches

    def step(self, batch: Batch) -> None:
        """One step of the clock: the update plan on one batch."""
        regime, players = self.regime, self._players
        assert regime is not None and players is not None
        clock = regime.clock
        self.random.begin(clock.step)
        factor = regime.schedule(clock.step, clock.max_steps)
        players.scale_learning_rates(factor * regime.health.pace)
        regime.plan.run(self, players, self._sub_batches(batch, regime.plan.sub_batches), clock.step)
        clock.tick()
        regime.ema.update(clock.step, clock.images_per_step)

    def _sub_batches(self, batch: Batch, n: int) -> list[Batch]:
        if self.device.type != "cpu":
            batch = self.trainer.strategy.batch_to_device(batch)
        assert self.regime is not None
        if self.regime.channels_last and batch["x"].ndim == 4:
            batch["x"] = batch["x"].contiguous(memory_format=torch.channels_last)
        if n == 1:
            return [batch]
        parts = {key: value.chunk(n) for key, value in batch.items()}
        return [{key: part[i] for key, part in parts.items()} for i in range(n)]

    def record(self, name: str, value: Tensor) -> None:
        """Log a scalar of this step: averaged until the next log row, moved to the host only then."""
        if not self.rehearsing:
            self.meter.record(name, value)

    def show(self, **tensors: Tensor) -> None:
        """Keep what the monitor looks at in a log row, by reference: it costs a step nothing."""
        if not self.rehearsing:
            self.seen = {name: tensor.detach() for name, tensor in tensors.items()}

    @contextmanager
    def rehearsal(self) -> Iterator[None]:
        """Losses in here are a plan's look ahead: nothing is recorded, and no moving average of a family moves."""
        self.rehearsing = True
        try:
            yield
        finally:
            self.rehearsing = False

    @contextmanager
    def sampling(self, weights: str = "ema") -> Iterator["GenerativeModel"]:
        """The model in eval mode with its averaged (`ema`) or `raw` weights; training goes on untouched afterwards."""
        modes = {module: module.training for module in self.modules()}
        average = self.regime.ema if self.regime is not None and weights == "ema" else NoEMA()
        self.eval()
        try:
            with average.applied(), torch.no_grad():
                yield self
        finally:
            for module, training in modes.items():
                module.training = training

    # --- saving -----------------------------------------------------------------------------------------------------

    def training_state(self) -> dict[str, Any]:
        """Everything that a resumed run needs beside its config; a collective that every rank must call."""
        assert self.regime is not None and self._players is not None
        return {
            "model": self.state_dict(),
            "ema": self.regime.ema.state_dict(),
            "optimizers": {name: player.optimizer.state_dict() for name, player in self._players.players.items()},
            "meter": self.meter.state_dict(),
            "health": self.regime.health.state_dict(),
        }

    def load_training_state(self, state: dict[str, Any]) -> None:
        """Go on from a saved state; call it once the optimizers exist."""
        assert self.regime is not None and self._players is not None
        self.load_state_dict(state["model"])
        self.regime.ema.load_state_dict(state["ema"])
        for name, player in self._players.players.items():
            player.optimizer.load_state_dict(state["optimizers"][name])
        self.meter.load_state_dict(state["meter"], self.device)
        self.regime.health.load_state_dict(state.get("health", {}))
        self.regime.clock.step = state["step"]
        self._players.forget_learning_rates()  # the optimizers' states brought their own

    def load_weights(self, state: dict[str, Any], weights: str = "ema") -> None:
        """Hold the weights of a checkpoint for sampling: the averaged ones where there are any, or the raw ones."""
        self.load_state_dict(state["model"])
        if weights == "ema" and state["ema"]:
            own = {**dict(self.named_parameters()), **dict(self.named_buffers())}  # some are in no state dict
            with torch.no_grad():
                for name, tensor in state["ema"].items():
                    own[name].copy_(tensor)

    def generator_for(self, seed: int | None) -> torch.Generator | None:
        """A generator on this device for `seed`, None for the global one."""
        return None if seed is None else torch.Generator(self.device).manual_seed(seed)
