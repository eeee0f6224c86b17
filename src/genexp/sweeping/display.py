"""How far a sweep is: bars on a terminal, a line for each start and end elsewhere."""

import csv
import sys
import time
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from genexp.sweeping.jobs import Job
from genexp.sweeping.scheduler import Outcome

TAIL_BYTES = 4096


class Lines:
    """One line for each job that starts or ends.

    Arguments:
        total: jobs in all; None for a search that does not know.
        done: jobs that were done before.
    """

    def __init__(self, total: int | None, done: int = 0) -> None:
        self.total, self.count = total, done

    def started(self, job: Job) -> None:
        """See `genexp.sweeping.scheduler.Display`."""
        self._say(f"started   {job.run.folder.name}  {job.label}")

    def finished(self, job: Job, outcome: Outcome, seconds: float) -> None:
        """See `genexp.sweeping.scheduler.Display`."""
        self.count += outcome.status != "busy"
        of = f"{self.count}" if self.total is None else f"{self.count} of {self.total}"
        reason = f"  {outcome.reason}" if outcome.reason else ""
        if outcome.status == "busy":
            reason = "  another process trains it"
        self._say(f"{outcome.status:<9} {job.run.folder.name}  {seconds:.1f} s  ({of}){reason}")

    def tick(self) -> None:
        """See `genexp.sweeping.scheduler.Display`."""

    def close(self) -> None:
        """Leave what is shown as it stands."""

    def _say(self, line: str) -> None:
        print(f"genexp: {line}", flush=True)


class Bars(Lines):
    """A bar for the sweep with its remaining time, and one for each running job.

    Arguments:
        total: jobs in all; None for a search that does not know.
        done: jobs that were done before.
    """

    def __init__(self, total: int | None, done: int = 0) -> None:
        super().__init__(total, done)
        self._begun, self._ended = time.monotonic(), 0
        self._bars: dict[Path, TaskID] = {}
        self._progress = Progress(
            TextColumn("{task.description}"),
            MofNCompleteColumn(),
            BarColumn(bar_width=20),
            TimeElapsedColumn(),
            TextColumn("{task.fields[note]}"),
            console=Console(stderr=True),
            auto_refresh=False,
            transient=True,
        )
        self._all = self._progress.add_task("jobs", total=total, completed=done, note="")
        self._progress.start()

    def started(self, job: Job) -> None:
        """See `genexp.sweeping.scheduler.Display`."""
        steps = job.plain["max_steps"]
        self._bars[job.run.folder] = self._progress.add_task("step", total=steps, note=job.label)
        self._progress.refresh()

    def finished(self, job: Job, outcome: Outcome, seconds: float) -> None:
        """See `genexp.sweeping.scheduler.Display`."""
        self._progress.remove_task(self._bars.pop(job.run.folder))
        super().finished(job, outcome, seconds)
        self._ended += outcome.status != "busy"
        self.tick()

    def tick(self) -> None:
        """See `genexp.sweeping.scheduler.Display`."""
        for folder, bar in self._bars.items():
            self._progress.update(bar, completed=last_step(folder / "metrics.csv"))
        self._progress.update(self._all, completed=self.count, note=self._remaining())
        self._progress.refresh()

    def close(self) -> None:
        """See `Lines`."""
        self._progress.stop()

    def _remaining(self) -> str:
        if self.total is None or not self._ended:
            return ""
        seconds = (time.monotonic() - self._begun) / self._ended * (self.total - self.count)
        return f"about {seconds / 60:.0f} min left" if seconds >= 90 else f"about {seconds:.0f} s left"

    def _say(self, line: str) -> None:
        self._progress.console.print(line, highlight=False, soft_wrap=True)


def display_for(total: int | None, done: int, progress: bool) -> Lines:
    """Bars where somebody looks at a terminal and did not say progress=false, else lines."""
    return Bars(total, done) if progress and sys.stderr.isatty() else Lines(total, done)


def last_step(path: Path) -> int:
    """The step of the last whole row of a `metrics.csv`, 0 if there is none."""
    try:
        with open(path, "rb") as file:
            file.seek(max(0, path.stat().st_size - TAIL_BYTES))
            tail = file.read().decode(errors="replace")
    except OSError:
        return 0
    whole = tail[: tail.rfind("\n") + 1].splitlines()
    first = next(csv.reader(whole[-1:]), ["0"])[0]
    return int(first) if first.isdigit() else 0
