"""Lightning's Trainer, set up so that the one clock rules."""

import os
from collections.abc import Callable
from typing import Any

import torch
from lightning.pytorch import LightningModule, Trainer
from omegaconf import DictConfig

from genexp import config as configs
from genexp import ranks
from genexp.assembly import Hardware, Session
from genexp.reporting.watch import Watch
from genexp.runs import THREADS_VARIABLE, Run
from genexp.training import strategy
from genexp.training.callbacks import Checkpoints, GracefulStop, MetricRows, quiet_lightning
from genexp.training.cluster import cluster_environment
from genexp.training.meeting import Meeting
from genexp.training.progress import Bar
from genexp.training.recovery import Recovery


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
    session: Session,
    config: DictConfig,
    run: Run,
    resume: dict[str, Any] | None,
    on_save: Callable[[int], None],
    meeting: Meeting | None = None,
) -> tuple[Trainer, GracefulStop]:
    """The trainer of a run, and the callback that knows why it stopped.

    The order of the callbacks is the order of a step's end: agree to stop, score, write the row, act on alarms, save,
    show.

    Arguments:
        session: the objects of the run.
        config: its resolved config.
        run: its folder; only the first process writes there.
        resume: the state to go on from; only the first process needs it.
        on_save: called after each checkpoint with the step.
        meeting: where the processes of a distributed run have met.
    """
    quiet_lightning()
    stop = GracefulStop(meeting.explain) if meeting else GracefulStop()
    rows = MetricRows(run.folder, (config.log_every, config.score_every))
    watch = Watch(session.protocol, rows, run.samples, config.score_every, config.seed)
    health = session.regime.health
    keep = max(config.keep_checkpoints, health.checkpoints_needed(config.log_every, config.checkpoint_every))
    saver = Checkpoints(run.checkpoints, config.checkpoint_every, keep, on_save, resume, first=health.rolls_back)
    recovery = Recovery(health, rows, saver, lambda alarms: run.update(alarms=alarms))
    callbacks = [stop, watch, rows, recovery, saver]
    if config.progress:
        shown = ("loss/critic", "loss/generator", "loss/negative_elbo", f"fast/{session.protocol.headline}")
        callbacks.append(Bar(rows, shown))
    hardware, place = session.hardware, meeting.place if meeting else ranks.here()
    trainer = Trainer(
        accelerator="gpu" if hardware.on_gpu else "cpu",
        devices=hardware.devices,
        num_nodes=hardware.num_nodes,
        strategy=strategy.PlayerDDPStrategy(meeting) if hardware.strategy == strategy.NAME else hardware.strategy,
        plugins=[cluster_environment(place)],
        precision=hardware.precision,  # type: ignore[arg-type]
        max_epochs=1,  # the sampler yields the steps that are left, once
        callbacks=callbacks,
        logger=(session.logger(run, configs.to_plain(config)) if place.first else None) or False,
        enable_checkpointing=False,
        enable_progress_bar=bool(config.progress),
        enable_model_summary=False,
        use_distributed_sampler=False,
        num_sanity_val_steps=0,
        log_every_n_steps=2**31 - 1,  # Lightning's own logging is never asked
        default_root_dir=run.folder,
    )
    return trainer, stop
