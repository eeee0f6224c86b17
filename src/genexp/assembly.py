"""From a config to the objects of a run: data, model, regime, scorer."""

from dataclasses import dataclass, fields

import torch
from omegaconf import DictConfig

from genexp import config as configs
from genexp.data.module import DataModule
from genexp.errors import UserError
from genexp.evaluation.protocol import Protocol
from genexp.models.base import GenerativeModel, Regime
from genexp.reporting.loggers import LoggerFactory
from genexp.runs import Run, make_importable
from genexp.training import checkpoint, strategy
from genexp.training.clock import Clock
from genexp.training.health import NoMonitor
from genexp.training.randomness import seed_everything


@dataclass(frozen=True)
class Hardware:
    """The `trainer` group: where and how fast the steps run, nothing of what they compute.

    Raises:
        UserError: for what this machine or several players cannot do, or a batch that does not divide among processes.
    """

    accelerator: str
    devices: int
    strategy: str
    precision: str
    threads: int | None
    inner_seconds: float
    inner_steps: int
    channels_last: bool
    num_nodes: int = 1
    timeout_s: float = 60.0

    @classmethod
    def of(cls, node: DictConfig, batch_size: int) -> "Hardware":
        """Read the group's node."""
        known = {field.name for field in fields(cls)}
        unknown = [str(key) for key in node if str(key) not in known]
        if unknown:
            raise UserError(f"There is no key trainer.{unknown[0]}: the keys are {', '.join(sorted(known))}.")
        hardware = cls(**{str(key): value for key, value in node.items()})
        hardware.check(batch_size)
        return hardware

    def check(self, batch_size: int) -> None:
        """Refuse what cannot work, before anything starts."""
        for name, known in (
            ("accelerator", ("auto", "cpu", "gpu")),
            ("strategy", ("auto", strategy.NAME)),
            ("precision", ("32-true", "bf16-mixed")),  # float16 would need a gradient scaler for each player
        ):
            if getattr(self, name) not in known:
                raise UserError(f"trainer.{name}={getattr(self, name)} is not supported: use {' or '.join(known)}.")
        for name in ("devices", "num_nodes", "inner_steps", "threads"):
            value = getattr(self, name)
            if not (isinstance(value, int) and value >= 1) and not (name == "threads" and value is None):
                raise UserError(f"trainer.{name}={value} is out of range: give a whole number of at least 1.")
        if not isinstance(self.timeout_s, int | float) or self.timeout_s < 1:
            raise UserError(f"trainer.timeout_s={self.timeout_s} is out of range: give at least 1 second.")
        if not isinstance(self.inner_seconds, int | float) or self.inner_seconds < 0:
            raise UserError(f"trainer.inner_seconds={self.inner_seconds} is out of range: give 0 or more seconds.")
        if batch_size % self.processes:
            raise UserError(
                f"batch_size={batch_size} does not divide among {self.processes} processes: "
                f"choose a multiple of {self.processes}."
            )
        if self.processes > 1 and self.strategy == "auto":
            raise UserError("Several devices need a strategy that knows players: add trainer=ddp.")
        gpus = torch.cuda.device_count()
        if self.on_gpu and gpus < self.devices:
            raise UserError(
                f"trainer.devices={self.devices} but this machine shows {gpus} GPUs: "
                "set trainer.accelerator=cpu or fewer devices."
            )

    @property
    def processes(self) -> int:
        """On all machines: each takes its share of the batch."""
        return self.devices * self.num_nodes

    @property
    def on_gpu(self) -> bool:
        """Whether the steps run on CUDA devices; `auto` takes them where there are any."""
        return self.accelerator == "gpu" or (self.accelerator == "auto" and torch.cuda.is_available())


@dataclass
class Session:
    """The objects of a run, built and checked, before anything is written or trained."""

    data: DataModule
    model: GenerativeModel
    regime: Regime
    protocol: Protocol
    hardware: Hardware
    logger: LoggerFactory


def build_model(config: DictConfig) -> GenerativeModel:
    """The model of a config, its weights a function of the seed."""
    seed_everything(config.seed)
    return configs.build(config.model, "model")


def build_session(config: DictConfig, start_step: int = 0) -> Session:
    """Build everything that a run needs.

    Raises:
        UserError: if any part refuses the config.
    """
    hardware = Hardware.of(config.trainer, config.batch_size)
    data: DataModule = configs.build(config.dataset, "dataset")
    model = build_model(config)
    plan = configs.build(config.plan, "plan")
    clock = Clock(config.max_steps, config.batch_size * plan.sub_batches, step=start_step)
    clock.watch([config.log_every, config.score_every, config.checkpoint_every])
    regime = Regime(
        plan=plan,
        optimizer=configs.build(config.optimizer, "optimizer"),
        schedule=configs.build(config.schedule, "schedule"),
        ema=configs.build(config.ema, "ema"),
        clock=clock,
        seed=config.seed,
        inner_seconds=hardware.inner_seconds,
        inner_steps=hardware.inner_steps,
        channels_last=hardware.channels_last,
        health=configs.build(config.health, "health") or NoMonitor(),
    )
    model.prepare(regime)
    if model.reads_index:
        model.expect(data.count_samples())
    data.configure(
        seed=config.seed,
        batch_size=config.batch_size,
        batches_per_step=plan.sub_batches,
        start_step=start_step,
        max_steps=config.max_steps,
    )
    _try_shapes(model, data)
    protocol: Protocol = configs.build(config.evaluation, "evaluation")
    protocol.prepare(data)
    return Session(data, model, regime, protocol, hardware, configs.build(config.logger, "logger"))


def _try_shapes(model: GenerativeModel, data: DataModule) -> None:
    """Draw two samples, so that a network that does not fit the data fails now."""
    with model.sampling("raw"):
        try:
            shape = tuple(model.sample(2, seed=0).shape[1:])
        except RuntimeError as error:
            raise UserError(f"The network does not fit the data's shape {data.shape}: {error}.") from error
    if shape != tuple(data.shape):
        raise UserError(f"The network makes data of shape {shape}, dataset={data.name} has {data.shape}.")


@dataclass
class Trained:
    """A trained model and what it was trained on."""

    config: DictConfig
    model: GenerativeModel
    step: int
    weights: str


def load_trained(run: Run, weights: str = "ema") -> Trained:
    """The model of a run's newest whole checkpoint, in eval mode.

    Raises:
        UserError: if the run has no checkpoint, or `weights` is neither `ema` nor `raw`.
    """
    if weights not in ("ema", "raw"):
        raise UserError(f"weights={weights} is unknown: choose ema or raw.")
    make_importable(run.python_path)
    state, refused = checkpoint.latest(run.checkpoints)
    if state is None:
        reason = f" ({refused[0]})" if refused else ""
        raise UserError(f"{run.folder} has no checkpoint to load{reason}: train it first.")
    config = configs.from_plain(run.config)
    model = build_model(config)
    model.load_weights(state, weights)
    model.eval()
    return Trained(config, model, int(state["step"]), "ema" if weights == "ema" and state["ema"] else "raw")


def prepared_protocol(config: DictConfig) -> tuple[DataModule, Protocol]:
    """The data and the scorer of a config."""
    data: DataModule = configs.build(config.dataset, "dataset")
    protocol: Protocol = configs.build(config.evaluation, "evaluation")
    protocol.prepare(data)
    return data, protocol
