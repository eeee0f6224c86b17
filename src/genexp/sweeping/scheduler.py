"""Run jobs side by side until their source has no more, and say what became of each."""

import signal
import time
from dataclasses import dataclass
from types import FrameType, TracebackType
from typing import Any, Protocol

from genexp.errors import Busy, Undelivered
from genexp.runs import Run
from genexp.sweeping.jobs import Job
from genexp.sweeping.launchers import Handle, Launcher

POLL_SECONDS = 0.02
WATCH_SECONDS = 1.0
"""Between two looks at what the running jobs have written, and at jobs of other processes."""
PRUNED = "Stopped early by the search: its scores were worse than those of earlier trials at the same step."


@dataclass(frozen=True)
class Outcome:
    """What became of a job.

    Attributes:
        status: complete | diverged | failed | pruned | stopped | busy.
        reason: one sentence for diverged, failed and pruned.
    """

    status: str
    reason: str | None = None


class Source(Protocol):
    """Where jobs come from: a grid or a search."""

    def next(self) -> Job | None:
        """The next job to start, its folder prepared; None if there is nothing to start now."""
        ...

    @property
    def exhausted(self) -> bool:
        """Whether nothing will come any more."""
        ...

    def watch(self, job: Job) -> bool:
        """Look at a running job, about once a second; True to stop it early."""
        ...

    def finished(self, job: Job, outcome: Outcome) -> None:
        """Learn what became of a job."""
        ...


class Display(Protocol):
    """Shows a person how far the jobs are."""

    def started(self, job: Job) -> None:
        """A job has been started."""
        ...

    def finished(self, job: Job, outcome: Outcome, seconds: float) -> None:
        """A job has ended."""
        ...

    def tick(self) -> None:
        """Called about once a second."""
        ...


class Stop:
    """SIGTERM and Ctrl-C as a wish to end: the first lets the jobs save, the second does not wait for them."""

    SIGNALS = (signal.SIGTERM, signal.SIGINT)

    def __init__(self) -> None:
        self.received: int | None = None
        self.at_once = False
        self._previous: dict[int, Any] = {}

    def _handle(self, number: int, frame: FrameType | None) -> None:
        self.at_once = self.received is not None
        self.received = self.received or number

    def __enter__(self) -> "Stop":
        self._previous = {number: signal.signal(number, self._handle) for number in self.SIGNALS}
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)


def run_jobs(
    source: Source, launcher: Launcher, display: Display, stop: Stop | None = None
) -> list[tuple[Job, Outcome]]:
    """Start what the source gives, as many at a time as the launcher has slots, until it has no more.

    Arguments:
        source: where the jobs come from.
        launcher: where they run; it is closed at the end, which kills what still runs.
        display: told of every start and end.
        stop: set by a signal; nothing new is started then, and the running jobs are asked to save, or are left alone if
            they outlive this process.

    Returns:
        Each job that was started and what became of it, in the order in which they ended.
    """
    loop = _Loop(source, launcher, display, stop or Stop())
    try:
        while not loop.over:
            loop.start_jobs()
            loop.collect()
            loop.look()
            if not loop.over:
                time.sleep(POLL_SECONDS)
    finally:
        launcher.close()
    return loop.ended


@dataclass
class _Running:
    """A started job."""

    job: Job
    handle: Handle
    begun: float
    asked: bool = False
    pruned: bool = False

    def ask_to_stop(self) -> None:
        if not self.asked:
            self.asked = True
            self.handle.stop()


class _Loop:
    """The state of `run_jobs`."""

    def __init__(self, source: Source, launcher: Launcher, display: Display, stop: Stop) -> None:
        self.source, self.launcher, self.display, self.stop = source, launcher, display, stop
        self.running: list[_Running] = []
        self.ended: list[tuple[Job, Outcome]] = []
        self._ask_again = 0.0  # when the source, that had nothing, is asked again
        self._look_again = 0.0

    @property
    def over(self) -> bool:
        """Whether nothing runs and nothing will, or somebody does not want to wait."""
        ending = self.stop.received is not None or self.source.exhausted
        return self.stop.at_once or self.leaves or (not self.running and ending)

    @property
    def leaves(self) -> bool:
        """Whether this process goes and its jobs do not: a machine that is shut down sends SIGTERM, a person Ctrl-C."""
        return self.stop.received == signal.SIGTERM and self.launcher.outlives

    def start_jobs(self) -> None:
        """Fill the slots."""
        if self.stop.received is not None:
            for item in () if self.leaves else self.running:
                item.ask_to_stop()
            return
        while len(self.running) < self.launcher.slots and time.monotonic() >= self._ask_again:
            job = self.source.next()
            if job is None:
                self._ask_again = time.monotonic() + WATCH_SECONDS
                return
            self.running.append(_Running(job, self.launcher.start(job.run), time.monotonic()))
            self.display.started(job)

    def collect(self) -> None:
        """Take note of the jobs that have ended."""
        for item in list(self.running):
            code = item.handle.poll()
            if code is None:
                continue
            self.running.remove(item)
            outcome = outcome_of(item.job.run, code, asked=item.asked, pruned=item.pruned)
            self.ended.append((item.job, outcome))
            self.source.finished(item.job, outcome)
            self.display.finished(item.job, outcome, time.monotonic() - item.begun)
            if outcome.status != "busy":  # what another process holds is not asked for again at once
                self._ask_again = 0.0

    def look(self) -> None:
        """Let the source judge what the running jobs have written, now and then."""
        if time.monotonic() < self._look_again:
            return
        self._look_again = time.monotonic() + WATCH_SECONDS
        for item in self.running:
            if not item.asked and self.source.watch(item.job):
                item.pruned = True
                item.ask_to_stop()
        self.display.tick()


def outcome_of(run: Run, code: int, asked: bool = False, pruned: bool = False) -> Outcome:
    """What became of a job whose process has ended; what it could not record itself is recorded here.

    Arguments:
        run: the job's run.
        code: the exit code of its process, negative for a signal.
        asked: whether it was asked to stop.
        pruned: whether the search did.
    """
    record = run.record
    status, reason = record["status"], record.get("failure")
    if status in ("complete", "diverged") or (status == "failed" and code > 0 and code != Busy.exit_code):
        return Outcome(status, reason)
    try:
        with run.locked():
            if pruned:
                run.update(status="pruned", failure=PRUNED)
                return Outcome("pruned", PRUNED)
            if asked or (status == "stopped" and code in (0, Undelivered.exit_code)):
                run.update(status="stopped")
                return Outcome("stopped")
            if code == Busy.exit_code:
                return Outcome("busy")
            reason = _reason(code)
            run.update(status="failed", failure=reason)
            return Outcome("failed", reason)
    except Busy:  # another process has taken it
        return Outcome("busy")


def _reason(code: int) -> str:
    number = -code if code < 0 else code - 128
    if 0 < number < signal.NSIG:
        memory = " (out of memory?)" if number == signal.SIGKILL else ""
        return f"Killed by signal {number}{memory}; see log.txt."
    return f"The process ended with exit code {code} without a word; see log.txt."
