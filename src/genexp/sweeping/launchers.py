"""Where a sweep's jobs run: what a launcher is, fresh interpreters, and the local launcher.

Every launcher does the same for a job whose folder is prepared: `genexp train resume=FOLDER`, in a process of its own.
"""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

from genexp.errors import UserError
from genexp.runs import THREADS_VARIABLE, Run
from genexp.sweeping.forkserver import NOT_INHERITED, Forked


class Handle(Protocol):
    """A job that was started."""

    def poll(self) -> int | None:
        """The exit code of its process, negative for a signal; None while it runs."""
        ...

    def stop(self) -> None:
        """Ask it to save a checkpoint and end."""
        ...


class Launcher(Protocol):
    """Starts jobs."""

    slots: int
    """Jobs side by side."""
    outlives: bool
    """Whether SIGTERM ends the sweep's process alone: the jobs go on, and the same command finds them."""

    def start(self, run: Run) -> Handle:
        """Start a job whose folder is prepared."""
        ...

    def close(self) -> None:
        """Kill what still runs and give everything back."""
        ...


def at_a_time(jobs: int | None) -> int:
    """The number of jobs side by side.

    Raises:
        UserError: if it is less than 1.
    """
    if jobs is not None and jobs < 1:
        raise UserError(f"launcher.jobs={jobs} is out of range: give at least 1, or null for one per core.")
    return jobs or os.cpu_count() or 1


def share_of_cores(jobs: int) -> int | None:
    """The threads of each of several jobs side by side; None for a single one, which keeps what it would take."""
    return max(1, (os.cpu_count() or 1) // jobs) if jobs > 1 else None


def job_environment(threads: int | None) -> dict[str, str]:
    """The variables of a job's process: nothing that is meant for the sweep's own, and its share of the cores."""
    environment = {key: value for key, value in os.environ.items() if key not in NOT_INHERITED}
    return environment if threads is None else {**environment, THREADS_VARIABLE: str(threads)}


@contextmanager
def held_back(*signals: signal.Signals) -> Iterator[None]:
    """Processes started meanwhile do not get these signals.

    Ctrl-C reaches every process of a terminal: the sweep alone answers it, and asks each job once.
    """
    before = signal.pthread_sigmask(signal.SIG_BLOCK, signals)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


class Fresh:
    """A job in a fresh interpreter, which may itself start the ranks of a distributed run.

    Arguments:
        run: the job's run.
        threads: its share of the cores.
    """

    def __init__(self, run: Run, threads: int | None = None) -> None:
        command = [sys.executable, "-m", "genexp", "train", f"resume={run.folder}"]
        with open(run.folder / "log.txt", "a") as log, held_back(signal.SIGINT):
            self.process = subprocess.Popen(
                command, env=job_environment(threads), stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )

    def poll(self) -> int | None:
        """See `Handle`."""
        return self.process.poll()

    def stop(self) -> None:
        """See `Handle`."""
        self.process.terminate()

    def kill(self) -> None:
        """End it at once."""
        self.process.kill()
        self.process.wait()


class Local:
    """Jobs on this machine, forked from a server that has imported everything once.

    A distributed job (`trainer.devices` above 1) gets a fresh interpreter, because Lightning starts its other ranks
    from the command line.

    Arguments:
        jobs: at a time; None for as many as there are cores.

    Raises:
        UserError: if `jobs` is less than 1.
    """

    def __init__(self, jobs: int | None = 1) -> None:
        self.slots, self.outlives = at_a_time(jobs), False
        self._started: list[Fresh | Forked] = []

    def start(self, run: Run) -> Handle:
        """See `Launcher`."""
        distributed = run.config["trainer"]["devices"] > 1
        threads = share_of_cores(self.slots)
        self._started = [handle for handle in self._started if handle.poll() is None]
        handle = Fresh(run, threads) if distributed else Forked(run, threads)
        self._started.append(handle)
        return handle

    def close(self) -> None:
        """See `Launcher`."""
        for handle in self._started:
            if handle.poll() is None:
                handle.kill()
