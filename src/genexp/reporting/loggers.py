"""Loggers beside `metrics.csv`: what `conf/logger/*.yaml` names, checked before a run starts, opened when it does."""

import importlib.util
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol

from lightning.pytorch.loggers import CSVLogger, Logger, TensorBoardLogger, WandbLogger

from genexp.errors import UserError


class LoggerFactory(Protocol):
    """Opens loggers for a run."""

    def __call__(self, run_folder: Path, name: str, config: dict[str, Any]) -> list[Logger]:
        """The loggers of the run in `run_folder`.

        Arguments:
            run_folder: the run's folder; its name is the run's id.
            name: the run's name, shared by its seeds.
            config: the resolved config.
        """
        ...


@dataclass(frozen=True)
class NoLogger:
    """`metrics.csv` and `timings.csv` are written all the same."""

    def __call__(self, run_folder: Path, name: str, config: dict[str, Any]) -> list[Logger]:
        """Nothing."""
        return []


@dataclass(frozen=True)
class CSV:
    """Lightning's CSV layout in `csv/`, for tools that read it."""

    def __call__(self, run_folder: Path, name: str, config: dict[str, Any]) -> list[Logger]:
        """One logger."""
        return [CSVLogger(run_folder, name="csv", version="", flush_logs_every_n_steps=1)]


@dataclass(frozen=True)
class TensorBoard:
    """TensorBoard events in `tensorboard/`.

    Raises:
        UserError: if tensorboard is not installed.
    """

    def __post_init__(self) -> None:
        if importlib.util.find_spec("tensorboard") is None:
            raise UserError("logger=tensorboard needs the package tensorboard: pip install 'genexp[tensorboard]'.")

    def __call__(self, run_folder: Path, name: str, config: dict[str, Any]) -> list[Logger]:
        """One logger."""
        return [TensorBoardLogger(run_folder, name="tensorboard", version="")]


@dataclass(frozen=True)
class Wandb:
    """Weights & Biases, offline by default, so that neither account nor network is needed.

    The W&B run's id is the folder's name: a resumed run continues the same W&B run.

    Raises:
        UserError: for an unknown mode.
    """

    mode: Literal["offline", "online", "disabled"] = "offline"
    project: str = "genexp"
    entity: str | None = None
    group: str | None = None
    tags: Sequence[str] = ()

    def __post_init__(self) -> None:
        if self.mode not in ("offline", "online", "disabled"):
            raise UserError(f"logger.mode={self.mode} is unknown: choose offline, online or disabled.")

    def __call__(self, run_folder: Path, name: str, config: dict[str, Any]) -> list[Logger]:
        """One logger, or none if disabled."""
        if self.mode == "disabled":
            return []
        os.environ.setdefault("WANDB_SILENT", "true")
        os.environ.setdefault("WANDB_DATA_DIR", str(run_folder / "wandb"))  # where artifacts are staged: not at home
        import wandb

        run = wandb.init(
            name=run_folder.name,
            id=run_folder.name,
            dir=str(run_folder),
            mode=self.mode,
            project=self.project,
            entity=self.entity,
            group=self.group or name,
            tags=tuple(self.tags),
            resume="allow",
            config=config,
        )
        return [WandbLogger(experiment=run, save_dir=str(run_folder), log_model=False)]


def finish(loggers: list[Logger], scores: dict[str, Any] | None = None, picture: Path | None = None) -> None:
    """Put the final scores and samples where each logger shows them, and close it."""
    for logger in loggers:
        if isinstance(logger, WandbLogger):
            logger.experiment.summary.update({f"score/{k}": v for k, v in (scores or {}).items()})
            if picture is not None:
                logger.log_image("final/samples", [str(picture)])
            logger.experiment.finish()
