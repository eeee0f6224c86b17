"""Loggers beside `metrics.csv`: made by `conf/logger/*.yaml`, each a list that may be empty."""

import os
from pathlib import Path
from typing import Any, Literal

from lightning.pytorch.loggers import CSVLogger, Logger, TensorBoardLogger, WandbLogger

from genexp.errors import UserError


def none(run_folder: Path, name: str, config: dict[str, Any]) -> list[Logger]:
    """No logger: `metrics.csv` and `timings.csv` are written all the same."""
    return []


def csv(run_folder: Path, name: str, config: dict[str, Any]) -> list[Logger]:
    """Lightning's CSV layout in `csv/`, for tools that read it."""
    return [CSVLogger(run_folder, name="csv", version="", flush_logs_every_n_steps=1)]


def tensorboard(run_folder: Path, name: str, config: dict[str, Any]) -> list[Logger]:
    """TensorBoard events in `tensorboard/`.

    Raises:
        UserError: if tensorboard is not installed.
    """
    try:
        return [TensorBoardLogger(run_folder, name="tensorboard", version="")]
    except ModuleNotFoundError as error:
        raise UserError("logger=tensorboard needs the package tensorboard: pip install 'genexp[tensorboard]'.") from error


def wandb(
    run_folder: Path,
    name: str,
    config: dict[str, Any],
    mode: Literal["offline", "online", "disabled"] = "offline",
    project: str = "genexp",
    entity: str | None = None,
    group: str | None = None,
    tags: list[str] | None = None,
) -> list[Logger]:
    """Weights & Biases: offline by default, so that neither account nor network is needed.

    The run's id is the folder's name, so that a resumed run continues the same W&B run.

    Raises:
        UserError: for an unknown mode.
    """
    if mode not in ("offline", "online", "disabled"):
        raise UserError(f"logger.mode={mode} is unknown: choose offline, online or disabled.")
    if mode == "disabled":
        return []
    os.environ.setdefault("WANDB_SILENT", "true")
    os.environ.setdefault("WANDB_DATA_DIR", str(run_folder / "wandb"))
    import wandb as library

    run = library.init(
        name=run_folder.name,
        id=run_folder.name,
        dir=str(run_folder),
        mode=mode,
        project=project,
        entity=entity,
        group=group or name,
        tags=tags or [],
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
