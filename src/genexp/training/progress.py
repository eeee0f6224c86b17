"""The progress bar: step, images per second, losses and the fast score."""

import sys
import time
from typing import Any

from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import ProgressBar
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from genexp.training.callbacks import MetricRows

SECONDS_BETWEEN_LINES = 15.0
REFRESH_SECONDS = 0.25


class Bar(ProgressBar):
    """A rich bar on a terminal, a line now and then in a log file.

    Refreshed by time, never by step, so that small models do not pay for it.

    Arguments:
        rows: where the latest values are.
        shown: metrics to show, in this order, as far as they exist.
    """

    def __init__(self, rows: MetricRows, shown: tuple[str, ...]) -> None:
        super().__init__()
        self.rows, self.shown = rows, shown
        self._progress: Progress | None = None
        self._last = 0.0

    def disable(self) -> None:
        """Lightning calls this on all ranks but the first."""
        self._enabled = False

    def enable(self) -> None:
        """Show the bar."""
        self._enabled = True

    def on_train_start(self, trainer: Trainer, pl_module: Any) -> None:
        """Begin at the clock's step."""
        clock = pl_module.regime.clock
        if not trainer.is_global_zero:
            return
        self._last = time.perf_counter()
        if sys.stderr.isatty():
            self._progress = Progress(
                TextColumn("step"),
                MofNCompleteColumn(),
                BarColumn(bar_width=20),
                TimeElapsedColumn(),
                TimeRemainingColumn(),
                TextColumn("{task.fields[values]}"),
                console=Console(stderr=True),
                auto_refresh=False,
            )
            self._task = self._progress.add_task("train", total=clock.max_steps, completed=clock.step, values="")
            self._progress.start()

    def on_train_batch_end(self, trainer: Trainer, pl_module: Any, *_: Any) -> None:
        """Refresh when enough time has passed."""
        if not trainer.is_global_zero:
            return
        clock, now = pl_module.regime.clock, time.perf_counter()
        if self._progress is not None:
            if now - self._last > REFRESH_SECONDS or clock.finished:
                self._progress.update(self._task, completed=clock.step, values=self._values())
                self._progress.refresh()
                self._last = now
        elif now - self._last > SECONDS_BETWEEN_LINES or clock.finished:
            print(f"step {clock.step}/{clock.max_steps}  {self._values()}", file=sys.stderr, flush=True)
            self._last = now

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Leave the bar as it stands."""
        self._close()

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        """Leave the bar as it stands."""
        self._close()

    def _close(self) -> None:
        if self._progress is not None:
            self._progress.stop()
            self._progress = None

    def _values(self) -> str:
        latest = self.rows.latest
        parts = [f"{latest['time/images_per_second']:.0f} images/s"] if "time/images_per_second" in latest else []
        parts += [f"{name.split('/')[-1]} {latest[name]:.3f}" for name in self.shown if name in latest]
        return "  ".join(parts)
