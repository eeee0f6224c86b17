"""A launcher that trains nothing: it writes the scores that a formula gives, one row whenever it is polled.

As a script it searches with it, and may be killed: `python fake_training.py FOLDER TRIALS SECONDS_A_ROW`.
"""

import math
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from genexp.errors import Busy
from genexp.runs import Run
from genexp.sweeping import scheduler
from genexp.sweeping.folder import SweepFolder
from genexp.sweeping.jobs import Request
from genexp.sweeping.scheduler import run_jobs
from genexp.sweeping.search import SearchSettings
from genexp.sweeping.space import Space
from genexp.sweeping.trials import Search
from genexp.training.metrics_file import MetricsFile

STEPS = (10, 20, 30, 40)
FIXED = ["experiment=ring8_gan", "max_steps=40", "score_every=10"]
LR = "optimizer.lr=tag(log,interval(1e-6,1.0))"

Score = Callable[[dict[str, Any], int], float]


def far(plain: dict[str, Any], step: int) -> float:
    """Smallest at a learning rate of 1e-3, and smaller the longer one trains."""
    return 1.0 + (math.log10(plain["optimizer"]["lr"]) + 3) ** 2 + 1.0 / step


class FakeJob:
    """One run, a row at each poll; it goes on after the last row that is there."""

    def __init__(self, run: Run, score: Score, pause: float, cpu_seconds: float) -> None:
        self.run, self.score, self.pause, self.cpu_seconds = run, score, pause, cpu_seconds
        self.rows, self.plain = MetricsFile(run.folder / "metrics.csv"), run.config
        self.stopped = False
        self._lock = run.locked()
        try:
            self._lock.__enter__()
            self.code = None
        except Busy:
            self.code = Busy.exit_code
            return
        run.update(status="running")
        with open(run.folder / "begun", "a") as file:
            file.write("begun\n")

    def _end(self, status: str, code: int, **values: Any) -> None:
        self.run.update(status=status, cpu_seconds=self.cpu_seconds, **values)
        self._lock.__exit__(None, None, None)
        self.code = code

    def poll(self) -> int | None:
        if self.code is not None:
            return self.code
        done = [int(row["step"]) for row in self.rows.rows()]
        if self.stopped:
            self._end("stopped", 0)
        elif len(done) == len(STEPS):
            self._end("complete", 0)
        else:
            time.sleep(self.pause)
            step = STEPS[len(done)]
            value = self.score(self.plain, step)
            if math.isinf(value):
                self._end("diverged", 3, failure="The loss became infinite.")
            else:
                self.rows.append({"step": step, "images": step, "fast/mode_kl": value})
        return None

    def stop(self) -> None:
        self.stopped = True


class FakeLauncher:
    outlives = False

    def __init__(self, slots: int = 1, score: Score = far, pause: float = 0.0, cpu_seconds: float = 10.0) -> None:
        self.slots, self.settings = slots, (score, pause, cpu_seconds)
        self.started: list[Run] = []

    def start(self, run: Run) -> FakeJob:
        self.started.append(run)
        return FakeJob(run, *self.settings)

    def close(self) -> None:
        pass


class Silent:
    def started(self, job: Any) -> None:
        pass

    def finished(self, job: Any, outcome: Any, seconds: float) -> None:
        pass

    def tick(self) -> None:
        pass


def search(folder: Path, axes: list[str], launcher: FakeLauncher, seeds: tuple[int, ...] = (0,), **settings) -> Search:
    """Search to the end; the source as it is then."""
    scheduler.POLL_SECONDS = scheduler.WATCH_SECONDS = 0.0
    space = Space.of(Request.of([*FIXED, *axes]).overrides)
    source = Search(SweepFolder(folder), space, SearchSettings(**settings), seeds, question="fake")
    run_jobs(source, launcher, Silent())
    return source


if __name__ == "__main__":
    search(
        Path(sys.argv[1]),
        [LR, "batch_size=range(32,129,32)", "loss=hinge,non_saturating"],
        FakeLauncher(pause=float(sys.argv[3])),
        trials=int(sys.argv[2]),
        pruner="none",
        startup_trials=4,
    )
