"""Lightning's Trainer, set up so that the one clock rules."""

import os
from collections.abc import Callable
from typing import Any

import torch
from lightning.pytorch import LightningModule, Trainer
from omegaconf import DictConfig

from genexp import config as configs
from genexp.assembly import Hardware, Session
from genexp.reporting.watch import Watch
from genexp.runs import THREADS_VARIABLE, Run
from genexp.training import strategy
from genexp.training.callbacks import Checkpoints, GracefulStop, MetricRows, quiet_lightning
from genexp.training.progress import Bar


def set_threads(hardware: Hardware) -> None:
    """Give this process its share of the cores."""
    threads = hardware.threads
    if threads is None and hardware.devices > 1 and not hardware.on_gpu:
        threads = max(1, (os.cpu_count() or 1) // hardware.devices)
    if threads is None and THREADS_VARIABLE in os.environ:  # of several jobs side by side
        threads = min(torch.get_num_threads(), int(os.environ[THREADS_VARIABLE]))
    if threads is not None:
        torch.set_num_threads(threads)


def model_size(model: LightningModule) -> dict[str, int]:
    """Parameters of each part of a model, and their sum."""
    parts = {name: sum(p.numel() for p in module.parameters()) for name, module in model.named_children()}
    parts = {name: count for name, count in parts.items() if count}
    return {**parts, "total": sum(parts.values())}


def make_trainer(
    session: Session, config: DictConfig, run: Run, resume: dict[str, Any] | None, on_save: Callable[[int], None]
) -> tuple[Trainer, GracefulStop]:
    """The trainer of a run, and the callback that knows why it stopped.

    The order of the callbacks is the order of a step's end: agree to stop, score, write the row, save, show.
    """
    quiet_lightning()
    strategy.register()
    stop, rows = GracefulStop(), MetricRows(run.folder, (config.log_every, config.score_every))
    watch = Watch(session.protocol, rows, run.samples, config.score_every, config.seed)
    saver = Checkpoints(run.checkpoints, config.checkpoint_every, config.keep_checkpoints, on_save, resume)
    callbacks = [stop, watch, rows, saver]
    if config.progress:
        shown = ("loss/critic", "loss/generator", "loss/negative_elbo", f"fast/{session.protocol.headline}")
        callbacks.append(Bar(rows, shown))
    hardware = session.hardware
    trainer = Trainer(
        accelerator="gpu" if hardware.on_gpu else "cpu",
        devices=hardware.devices,
        strategy=hardware.strategy,
        precision=hardware.precision,  # type: ignore[arg-type]
        max_epochs=1,  # the sampler yields the steps that are left, once
        callbacks=callbacks,
        logger=make_loggers(session, config, run) or False,
        enable_checkpointing=False,
        enable_progress_bar=bool(config.progress),
        enable_model_summary=False,
        use_distributed_sampler=False,
        num_sanity_val_steps=0,
        log_every_n_steps=2**31 - 1,  # Lightning's own logging is never asked
        default_root_dir=run.folder,
    )
    return trainer, stop


def make_loggers(session: Session, config: DictConfig, run: Run) -> list[Any]:
    """The loggers beside `metrics.csv`, on the first rank only."""
    if int(os.environ.get("LOCAL_RANK", "0")) > 0:
        return []
    return session.logger(run, configs.to_plain(config))
