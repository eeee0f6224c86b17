"""Loggers beside `metrics.csv`: what `conf/logger/*.yaml` names, checked before a run starts, opened when it does."""

import importlib.util
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol

from lightning.pytorch.loggers import CSVLogger, Logger, TensorBoardLogger
from torch import Tensor

from genexp.errors import UserError
from genexp.reporting import wandb_run
from genexp.reporting.wandb_account import require_login
from genexp.reporting.wandb_run import WandbRows
from genexp.runs import Run


class LoggerFactory(Protocol):
    """Opens loggers for a run."""

    def __call__(self, run: Run, config: dict[str, Any]) -> list[Logger]:
        """The loggers of a run.

        Arguments:
            run: the run, whose `run.json` is written.
            config: the resolved config.
        """
        ...


@dataclass(frozen=True)
class NoLogger:
    """`metrics.csv` and `timings.csv` are written all the same."""

    def __call__(self, run: Run, config: dict[str, Any]) -> list[Logger]:
        """Nothing."""
        return []


@dataclass(frozen=True)
class CSV:
    """Lightning's CSV layout in `csv/`, for tools that read it."""

    def __call__(self, run: Run, config: dict[str, Any]) -> list[Logger]:
        """One logger."""
        return [CSVLogger(run.folder, name="csv", version="", flush_logs_every_n_steps=1)]


@dataclass(frozen=True)
class TensorBoard:
    """TensorBoard events in `tensorboard/`.

    Raises:
        UserError: if tensorboard is not installed.
    """

    def __post_init__(self) -> None:
        if importlib.util.find_spec("tensorboard") is None:
            raise UserError("logger=tensorboard needs the package tensorboard: pip install 'genexp[tensorboard]'.")

    def __call__(self, run: Run, config: dict[str, Any]) -> list[Logger]:
        """One logger."""
        return [TensorBoardLogger(run.folder, name="tensorboard", version="")]


@dataclass(frozen=True)
class Wandb:
    """Weights & Biases, offline by default, so that neither account nor network is needed.

    A resumed run continues the same W&B run.

    Raises:
        UserError: for an unknown mode, and for mode=online where nobody is logged in.
    """

    mode: Literal["offline", "online", "disabled"] = "offline"
    project: str = "genexp"
    entity: str | None = None
    group: str | None = None
    tags: Sequence[str] = ()

    def __post_init__(self) -> None:
        if self.mode not in ("offline", "online", "disabled"):
            raise UserError(f"logger.mode={self.mode} is unknown: choose offline, online or disabled.")
        if self.mode == "online":
            require_login("or leave logger.mode=offline and send the run later with genexp wandb sync")

    def __call__(self, run: Run, config: dict[str, Any]) -> list[Logger]:
        """One logger, or none if disabled."""
        if self.mode == "disabled":
            return []
        arguments = wandb_run.init_arguments(run, config, self.group, self.tags)
        os.environ.setdefault("WANDB_SILENT", "true")
        os.environ.setdefault("WANDB_DATA_DIR", str(run.folder / "wandb"))  # where artifacts are staged: not at home
        import wandb

        experiment = wandb.init(mode=self.mode, project=self.project, entity=self.entity, **arguments)
        logger = WandbRows(experiment, run.folder, wandb_run.last_logged(run.folder, experiment))
        wandb_run.catch_up(logger, run)
        return [logger]


def show_samples(loggers: Sequence[Logger], picture: Path, samples: Tensor, step: int) -> None:
    """Put a score's picture and the distribution of its samples where each logger shows them."""
    for logger in loggers:
        if isinstance(logger, WandbRows):
            wandb_run.log_samples(logger, picture, samples.detach().cpu().float().numpy(), step)


def finish(
    loggers: Sequence[Logger], row: Mapping[str, Any] | None = None, picture: Path | None = None, exit_code: int = 0
) -> None:
    """Put the final scores and samples where each logger shows them, and close it.

    Arguments:
        loggers: those of the run.
        row: the run's line of `scores.jsonl`; None if the run ends without a score.
        picture: the final samples.
        exit_code: not 0 for a run that diverged or failed.
    """
    for logger in loggers:
        if isinstance(logger, WandbRows):
            if row is not None:
                wandb_run.log_end(logger, Path(logger.save_dir or "."), row, picture)
            logger.experiment.finish(exit_code=exit_code)
