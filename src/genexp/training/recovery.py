"""What is done when the monitor raises an alarm: it is noted, and by choice the run stops or goes back."""

from collections.abc import Callable
from typing import Any

import torch
from lightning.pytorch import Callback, Trainer

from genexp.errors import Unhealthy, UserError
from genexp.training import checkpoint
from genexp.training.callbacks import Checkpoints, MetricRows
from genexp.training.health import Monitor, Raised, signs
from genexp.training.strategy import from_first, mean_over_ranks


class Recovery(Callback):
    """Gives each row its `health/` columns and acts on alarms; it stands between the rows and the checkpoints.

    To go back is to load the newest checkpoint from before the first sign of the alarm, with smaller learning rates.
    This is a state like any other: it is saved at once, and what was saved after it is deleted, so that a run which is
    killed and resumed ends with the same bits.

    Arguments:
        monitor: the regime's monitor.
        rows: what writes the rows.
        saver: what writes the checkpoints.
        note: takes the alarms raised so far, as plain data, on the first process.
    """

    def __init__(
        self, monitor: Monitor, rows: MetricRows, saver: Checkpoints, note: Callable[[list[dict[str, Any]]], None]
    ) -> None:
        self.monitor, self.rows, self.saver, self.note = monitor, rows, saver, note
        self.rows.look = self.look
        self._alarm: Raised | None = None
        self._noted: int | None = None
        self._went_back = False

    @property
    def _goes_back(self) -> bool:
        return self.monitor.rolls_back and self.monitor.gone_back < self.monitor.rollbacks

    def look(self, pl_module: Any, losses: dict[str, float]) -> dict[str, float]:
        """The columns of a row that is about to be written; every process must call it."""
        if not self.monitor.columns:
            return {}
        found = signs(pl_module.seen, pl_module.players())
        names = sorted(found)
        values = mean_over_ranks(torch.stack([found[name].double() for name in names])).tolist() if names else []
        row = dict(zip(names, values, strict=True))
        step = pl_module.regime.clock.step
        self._alarm = self.monitor.take(step, row, losses)
        if pl_module.global_rank == 0:
            self._tell()
        self.rows.forgiven = self._alarm is not None and self._goes_back and not pl_module.regime.clock.finished
        return {f"health/{name}": value for name, value in row.items()}

    def _tell(self) -> None:
        if self._noted != len(self.monitor.raised):
            self._noted = len(self.monitor.raised)
            self.note(self.monitor.raised)
        if self._alarm is not None and (self._alarm.name != "nan" or self._goes_back):  # else the run ends with it
            print(f"genexp: {self._alarm}.", flush=True)

    def on_train_batch_end(self, trainer: Trainer, pl_module: Any, *_: Any) -> None:
        """Act on the alarm that the row has raised.

        Raises:
            Unhealthy: if the run is to stop, or cannot go back any more.
        """
        alarm, self._alarm = self._alarm, None
        if pl_module.regime.clock.finished:
            trainer.should_stop |= self._went_back  # Lightning's loader still has what was not read again
            return
        if alarm is None or self.monitor.on_alarm == "log":
            return
        if self.monitor.on_alarm == "stop":
            self.saver.save(trainer, pl_module)
            raise Unhealthy(f"{alarm}; health.on_alarm=stop ends the run here.")
        state = from_first(self._healthy(alarm.since) if trainer.is_global_zero and self._goes_back else None)
        if state is None:
            raise Unhealthy(
                f"{alarm}; after {self.monitor.gone_back} rollbacks there is none left: "
                "lower optimizer.lr, or change the penalty or the plan."
            )
        self._go_back(trainer, pl_module, state)
        if trainer.is_global_zero:
            print(
                f"genexp: going back to step {state['step']}, learning rates times {self.monitor.pace:g}.", flush=True
            )

    def on_train_end(self, trainer: Trainer, pl_module: Any) -> None:
        """Let go of the batches, whose workers wait for it."""
        pl_module.read_again(None)

    def on_exception(self, trainer: Trainer, pl_module: Any, exception: BaseException) -> None:
        """Let go of the batches, whose workers wait for it."""
        pl_module.read_again(None)

    def _healthy(self, since: int) -> dict[str, Any] | None:
        """The newest checkpoint from before `since` that is whole and has only finite weights."""
        for path in checkpoint.saved(self.saver.folder):
            if checkpoint.step_of(path) >= since:
                continue
            try:
                state = checkpoint.load(path)
            except UserError:
                continue
            if all(bool(tensor.isfinite().all()) for tensor in state["model"].values()):
                return state
        return None

    def _go_back(self, trainer: Trainer, pl_module: Any, state: dict[str, Any]) -> None:
        self._went_back = True
        raised, times = self.monitor.raised, self.monitor.gone_back + 1
        pl_module.load_training_state(state)
        self.monitor.went_back(raised, times)
        pl_module.read_again(trainer.datamodule.batches_from(state["step"]))  # type: ignore[attr-defined]
        trainer.fit_loop.epoch_loop.batch_progress.reset_on_run()  # Lightning counts batches to know the end
        self.rows.go_back(trainer, pl_module)
        self.saver.go_back(trainer, pl_module)
