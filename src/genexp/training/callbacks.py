"""What happens around the steps, each in a Lightning callback that reads the one clock."""

import logging
import math
import signal
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

from lightning.pytorch import Callback, LightningModule, Trainer

from genexp.errors import Diverged
from genexp.training import checkpoint
from genexp.training.metrics_file import MetricsFile
from genexp.training.strategy import any_rank, from_first

SAME_WISH_SECONDS = 1.0
"""Signals so close together are one: a cluster or a terminal signals all processes, and a parent passes its own on."""


class GracefulStop(Callback):
    """SIGTERM and Ctrl-C stop the run after the current step, with a checkpoint; a later one stops it at once.

    Lightning's own handler broadcasts from inside the signal handler, which hangs when a single rank is signalled. Here
    the handler only sets a flag, and the ranks agree on it between steps.

    Arguments:
        on_error: told of an exception while the handlers are still in place: whoever started the processes of a run
            sends SIGTERM as soon as one of them is gone, and another must have said why it ends.
    """

    SIGNALS = (signal.SIGTERM, signal.SIGINT)

    def __init__(self, on_error: Callable[[BaseException], object] = lambda error: None) -> None:
        self.received: int | None = None
        self.on_error = on_error
        self._since = 0.0
        self._previous: dict[int, Any] = {}
        self._module: Any = None

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Put the handlers in place of Lightning's."""
        self._module = pl_module
        self._previous = {number: signal.signal(number, self._handle) for number in self.SIGNALS}

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if self.received is None:
            self._since = time.monotonic()
        elif time.monotonic() - self._since > SAME_WISH_SECONDS:
            signal.signal(number, signal.SIG_DFL)
            signal.raise_signal(number)
        self.received = self.received or number
        self._module.stop_requested = True

    def on_train_batch_end(self, trainer: Trainer, pl_module: Any, *_: Any) -> None:
        """Stop all ranks when any was asked to."""
        if any_rank(pl_module.stop_requested, pl_module.device):
            pl_module.stop_requested = True
            trainer.should_stop = True

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        """Let it be explained before Lightning puts the former handlers back."""
        self.on_error(exception)

    def on_fit_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Put the former handlers back."""
        for number, handler in self._previous.items():
            signal.signal(number, handler)


class MetricRows(Callback):
    """At each multiple of the `intervals`: a row of `metrics.csv` and of every logger, and one of `timings.csv`.

    `metrics.csv` holds what is a function of config and seed, so that it is the same bytes in a resumed run.

    Arguments:
        folder: the run's folder.
        intervals: steps between two rows.
    """

    def __init__(self, folder: Path, intervals: tuple[int, ...]) -> None:
        self.folder, self.intervals = folder, intervals
        self.latest: dict[str, float] = {}
        self.look: Callable[[Any, dict[str, float]], dict[str, float]] | None = None
        self.forgiven = False
        self._scores: dict[str, float] = {}
        self._images_before = 0

    def add_scores(self, scores: dict[str, float]) -> None:
        """Put scores into the row of this step."""
        self._scores = scores

    def on_train_start(self, trainer: Trainer, pl_module: Any) -> None:
        """Drop the rows after the checkpoint that the run goes on from."""
        clock = pl_module.regime.clock
        self._images_before = clock.images
        pl_module.stopwatch.flush(0)
        if trainer.is_global_zero:
            self.metrics = MetricsFile(self.folder / "metrics.csv")
            self.timings = MetricsFile(self.folder / "timings.csv")
            for file in (self.metrics, self.timings):
                file.truncate(clock.step)

    def on_train_batch_end(self, trainer: Trainer, pl_module: Any, *_: Any) -> None:
        """Write a row when one is due."""
        clock = pl_module.regime.clock
        if not any(clock.due(interval) for interval in self.intervals if interval):
            return
        losses = pl_module.meter.flush()
        signs = self.look(pl_module, losses) if self.look is not None else {}
        row = {**losses, **signs, **self._scores}
        self._scores = {}
        if trainer.is_global_zero:
            times = pl_module.stopwatch.flush(clock.images - self._images_before)
            self._images_before = clock.images
            self.metrics.append({"step": clock.step, "images": clock.images, **row})
            self.timings.append({"step": clock.step, "images": clock.images, **times})
            self.latest |= row | times
            for logger in trainer.loggers:
                logger.log_metrics({**row, **times, "images": clock.images}, step=clock.step)
        broken = [name for name, value in losses.items() if not math.isfinite(value)]
        if broken and not self.forgiven:
            raise Diverged(
                f"{broken[0]} is not a number at step {clock.step}: the run has diverged; "
                "lower optimizer.lr or add a penalty."
            )

    def go_back(self, trainer: Trainer, pl_module: Any) -> None:
        """Drop the rows after the clock's step."""
        self._images_before = pl_module.regime.clock.images
        if trainer.is_global_zero:
            for file in (self.metrics, self.timings):
                file.truncate(pl_module.regime.clock.step)


class Checkpoints(Callback):
    """Every `interval` steps, at the end and when a run is stopped: a checkpoint; the last `keep` stay.

    Arguments:
        folder: where they are written.
        interval: steps between two.
        keep: how many stay.
        on_save: called after each with the step.
        resume: the state to go on from; that of the first process counts, which alone need see the folder.
        first: whether a new run is saved before its first step too.
    """

    def __init__(
        self,
        folder: Path,
        interval: int,
        keep: int,
        on_save: Callable[[int], None],
        resume: dict[str, Any] | None = None,
        first: bool = False,
    ) -> None:
        self.folder, self.interval, self.keep = folder, interval, keep
        self.on_save, self.resume, self.first = on_save, resume, first
        self._saved = -1

    def on_train_start(self, trainer: Trainer, pl_module: Any) -> None:
        """Put the saved state in place, once the optimizers exist."""
        state, self.resume = from_first(self.resume), None
        if state is not None:
            pl_module.load_training_state(state)
            self._saved = pl_module.regime.clock.step
        elif self.first:
            self.save(trainer, pl_module)

    def on_train_batch_end(self, trainer: Trainer, pl_module: Any, *_: Any) -> None:
        """Save when it is time."""
        if pl_module.regime.clock.due(self.interval) or trainer.should_stop:  # what all ranks agreed on
            with pl_module.stopwatch.phase("checkpoint"):
                self.save(trainer, pl_module)

    def save(self, trainer: Trainer, pl_module: Any) -> None:
        """Save the present state, unless it is saved already; every process must call it."""
        if pl_module.regime.clock.step != self._saved:
            self._write(trainer, pl_module)

    def _write(self, trainer: Trainer, pl_module: Any) -> Path | None:
        self._saved = step = pl_module.regime.clock.step
        state = pl_module.training_state()
        if not trainer.is_global_zero:
            return None
        path = checkpoint.save(self.folder, step, state, self.keep)
        self.on_save(step)
        return path

    def go_back(self, trainer: Trainer, pl_module: Any) -> None:
        """Save the state that the run has gone back to and delete all that is not older."""
        step = pl_module.regime.clock.step
        if trainer.is_global_zero:  # before the new one is written: they must not count among those that are kept
            self._delete(lambda path: checkpoint.step_of(path) > step)
        written = self._write(trainer, pl_module)
        if written is not None:
            self._delete(lambda path: path != written and checkpoint.step_of(path) == step)

    def _delete(self, unwanted: Callable[[Path], bool]) -> None:
        for path in checkpoint.saved(self.folder):
            if unwanted(path):
                path.unlink(missing_ok=True)


def quiet_lightning() -> None:
    """Silence the hints of Lightning that do not concern this loop."""
    for name in ("lightning.pytorch", "lightning.fabric", "pytorch_lightning"):
        logging.getLogger(name).setLevel(logging.ERROR)
    for pattern in (
        ".*does not have many workers.*",
        ".*`training_step` returned `None`.*",
        ".*Checkpoint directory.*exists.*",
        ".*Starting from v1.9.0.*",
        ".*LightningModule hooks.*",
        ".*IterableDataset.*__len__.*",
        ".*number of training batches.*",
        ".*dataloader_iter.*",
        ".*GPU available.*",
        ".*`srun` command is available.*",
        ".*nn.functional.all_reduce is deprecated.*",
        ".*treespec.*",
    ):
        warnings.filterwarnings("ignore", pattern)
