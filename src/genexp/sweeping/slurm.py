"""A sweep's jobs on a SLURM cluster: which of them are there, and how they ended.

The cluster is asked by `squeue` alone, since many keep no accounts (`sacct`). What became of a run is read from its
folder; the cluster says what a job could not write down itself. Each submission has a name of its own, noted beside its
runs before the cluster hears of it: the process of a sweep may die at any moment, and the next one knows the jobs that
it finds in the queue.
"""

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

from genexp import atomic, locks
from genexp.errors import Busy, Diverged, UserError
from genexp.runs import Run
from genexp.sweeping.grid import DONE
from genexp.sweeping.launchers import held_back

LOOK_SECONDS = 5.0
"""Between two questions to the cluster, for all jobs together."""
SETTLE_SECONDS = 10.0
"""What a node wrote last may be seen so much later here."""
LOCK_SECONDS = 90.0
"""The hold of a process that was killed on its node ends by then; a longer one is another process's."""
SUBMIT_WAIT_SECONDS = 600.0
"""How long to wait for another process of this sweep that is submitting."""
ARRAY = 1000
"""Jobs in one array; SLURM's default limit is 1001."""
ENDS = {
    "COMPLETED": "ended",
    "FAILED": "ended without a word of genexp's; see log.txt",
    "TIMEOUT": "reached its time limit before it had saved: raise launcher.parameters.timeout_min",
    "OUT_OF_MEMORY": "used more memory than it had asked for: raise launcher.parameters.mem_gb",
    "CANCELLED": "was cancelled on the cluster",
    "NODE_FAIL": "was lost with its node",
    "BOOT_FAIL": "was lost because its node did not start",
    "DEADLINE": "was ended at its deadline",
    "PREEMPTED": "had to make room for another job and was not queued again",
    "REVOKED": "was taken over by another cluster",
    "GONE": "is not known to the cluster any more",
}
"""States after which a job does not run again by itself, and what is said of a run that was not done."""


@dataclass(frozen=True)
class Listed:
    """A job in the cluster's list.

    Attributes:
        id: as `scancel` takes it: `12`, or `12_3` in an array.
        state: SLURM's word, such as PENDING.
    """

    id: str
    state: str


Key = tuple[str, int]
"""A submission's name and the place of a job in it."""


class Queue:
    """The cluster's list of this user's jobs, read at most every LOOK_SECONDS."""

    def __init__(self) -> None:
        self._jobs: dict[Key, Listed] | None = None
        self._read_at = -float("inf")

    def jobs(self, fresh: bool = False) -> dict[Key, Listed] | None:
        """The jobs, those that ended a while ago included; None while the cluster does not answer.

        Arguments:
            fresh: ask, however short ago that was.

        Raises:
            UserError: if it has never answered.
        """
        if fresh or time.monotonic() - self._read_at >= LOOK_SECONDS:
            first = self._read_at == -float("inf")
            self._jobs, complaint = _read_queue()
            self._read_at = time.monotonic()
            if complaint is not None and first:
                raise UserError(f"The cluster does not answer: squeue says {complaint}.")
            if complaint is not None:
                print(f"genexp: squeue says {complaint}; asking again.", file=sys.stderr, flush=True)
        return self._jobs

    def state(self, key: Key) -> str | None:
        """A job's state, GONE if the cluster does not know it; None while that cannot be said."""
        jobs = self.jobs()
        return None if jobs is None else jobs[key].state if key in jobs else "GONE"


def _read_queue() -> tuple[dict[Key, Listed] | None, str | None]:
    """The listing, or what went wrong."""
    command = ["squeue", "--noheader", "--array", "--states=all", f"--user={os.getuid()}", "--format=%F|%K|%T|%j"]
    environment = {key: value for key, value in os.environ.items() if not key.startswith("SQUEUE_")}
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, env=environment)
    except (OSError, subprocess.TimeoutExpired) as error:
        return None, str(error)
    if done.returncode != 0:
        return None, (done.stderr.strip().splitlines() or [f"exit code {done.returncode}"])[-1]
    found = {}
    for line in done.stdout.splitlines():
        job, index, state, name = line.strip().split("|", 3)
        alone = not index.isdecimal()
        found[name, 0 if alone else int(index)] = Listed(job if alone else f"{job}_{index}", state)
    return found, None


class Cluster:
    """The jobs of one sweep: several processes may start them, and each of them is in the queue once.

    Jobs that are started one after another are submitted together, as an array, when the first of them is looked at.

    Arguments:
        folder: for the submissions' notes and submitit's files, seen by all nodes.
        submit: hands runs to the cluster as one job array of a name; returns the jobs' ids.
    """

    def __init__(self, folder: Path, submit: Callable[[str, Sequence[Run]], list[str]]) -> None:
        self.folder, self.queue = folder, Queue()
        self._submit = submit
        self._waiting: list[ClusterJob] = []

    def start(self, run: Run) -> "ClusterJob":
        """A job for a run; it is in the queue when it has been looked at."""
        job = ClusterJob(run, self)
        self._waiting.append(job)
        return job

    def withdraw(self, job: "ClusterJob") -> bool:
        """Forget a job that was not submitted; False if it was."""
        if job not in self._waiting:
            return False
        self._waiting.remove(job)
        return True

    def flush(self) -> None:
        """Submit what was started, but for the runs that have a job in the queue already.

        Raises:
            UserError: if the cluster refuses.
        """
        if not self._waiting:
            return
        self.folder.mkdir(parents=True, exist_ok=True)
        with locks.held(self.folder / ".lock", SUBMIT_WAIT_SECONDS):
            listed = self.queue.jobs(fresh=True)
            if listed is None:
                return
            there = self._there(listed)
            waiting, self._waiting = self._waiting, []
            for job in waiting:
                if job.run.folder.name in there:
                    job.is_at(*there[job.run.folder.name])
            new = [job for job in waiting if job.run.folder.name not in there]
            for begin in range(0, len(new), ARRAY):
                self._submit_array(new[begin : begin + ARRAY])
            self.queue.jobs(fresh=True)  # a list from before knows nothing of them

    def _there(self, listed: dict[Key, Listed]) -> dict[str, tuple[Key, str]]:
        """Where each run is that the cluster has a job for."""
        notes: dict[str, list[str]] = {}
        there = {}
        for (name, index), job in listed.items():
            if job.state in ENDS or not name.startswith(f"{self._prefix}."):
                continue
            if name not in notes:
                with suppress(OSError, ValueError):
                    notes[name] = json.loads((self.folder / f"{name}.json").read_text())
            if index < len(notes.get(name, ())):
                there[notes[name][index]] = ((name, index), job.id)
        return there

    @property
    def _prefix(self) -> str:
        return re.sub(r"[^\w.-]", "_", self.folder.parent.name)

    def _submit_array(self, jobs: Sequence["ClusterJob"]) -> None:
        name = f"{self._prefix}.{uuid4().hex[:12]}"
        for job in jobs:
            with suppress(Busy), job.run.locked():
                if job.run.record["status"] == "failed":  # what is said of it after this is about this attempt
                    job.run.update(status="queued", failure=None)
        atomic.write_text(self.folder / f"{name}.json", json.dumps([job.run.folder.name for job in jobs]))
        ids = self._submit(name, [job.run for job in jobs])
        for index, (job, id) in enumerate(zip(jobs, ids, strict=True)):
            job.is_at((name, index), id)


class ClusterJob:
    """A run's job on the cluster; see `genexp.sweeping.launchers.Handle`."""

    def __init__(self, run: Run, cluster: Cluster) -> None:
        self.run, self.id = run, ""
        self._cluster = cluster
        self._key: Key | None = None
        self._code: int | None = None
        self._asked = False
        self._next = self._ended = 0.0

    def is_at(self, key: Key, id: str) -> None:
        """Note where the job is."""
        self._key, self.id = key, id

    def poll(self) -> int | None:
        """0 if the run is complete, or has saved and was asked to; None while the job is in the queue."""
        if self._code is not None:
            return self._code
        self._cluster.flush()
        if self._key is not None and time.monotonic() >= self._next:
            self._next = time.monotonic() + LOOK_SECONDS
            state = self._cluster.queue.state(self._key)
            if state in ENDS:
                self._ended = self._ended or time.monotonic()
                self._code = self._judged(state)
            else:
                self._ended = 0.0
        return self._code

    def stop(self) -> None:
        """SIGTERM, and SIGKILL after the cluster's KillWait; the job leaves the queue."""
        self._asked = True
        if self._cluster.withdraw(self):
            self._code = 0
        elif self._code is None:
            with suppress(OSError), held_back(signal.SIGINT):
                subprocess.run(["scancel", self.id], capture_output=True, timeout=60)

    def _judged(self, state: str) -> int | None:
        """The exit code of an ended job; None while it cannot be said."""
        status = self.run.record["status"]
        if status in DONE:
            return 0 if status == "complete" else Diverged.exit_code
        waited = time.monotonic() - self._ended
        if self.run.is_locked:
            return None if waited < LOCK_SECONDS else Busy.exit_code
        if status in ("queued", "running") and waited < SETTLE_SECONDS:
            return None
        if self._asked or state == "COMPLETED" or (state == "FAILED" and status == "stopped"):
            return 0
        if state == "FAILED" and status == "failed":
            return 1
        return self._record(state)

    def _record(self, state: str) -> int:
        """Write down what the job could not."""
        error = self._cluster.folder / f"{self.id}_0_log.err"
        with suppress(OSError), open(self.run.folder / "log.txt", "a") as log:
            log.write(f"genexp: SLURM job {self.id} {ENDS[state]}.\n")
            log.writelines(error.read_text(errors="replace").splitlines(keepends=True)[-20:])
        try:
            with self.run.locked():
                self.run.update(status="failed", failure=f"SLURM job {self.id} {ENDS[state]}.")
        except Busy:
            return Busy.exit_code
        return 1
