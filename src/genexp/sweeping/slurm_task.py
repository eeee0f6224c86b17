"""What a job of a sweep does on a node of a SLURM cluster: train, and end so that the job goes on when it has to.

SLURM tells a job to stop before its time is up, before it makes room for another one and when somebody queues it anew.
Each time the run saves and the job is queued again; only a job that was cancelled is not.
"""

import os
import signal
import sys
from types import FrameType
from typing import Any

from genexp.runs import Run
from genexp.sweeping.grid import DONE
from genexp.sweeping.launchers import Fresh, held_back
from genexp.sweeping.scheduler import outcome_of

REQUEUE_CODE = 75
"""A task's exit code when its run is to go on in a later start of the job: EX_TEMPFAIL."""
FRUITLESS_STARTS = 10
"""A run that was stopped so many times in a row without having gained a step is given up."""
WARNINGS = (signal.SIGUSR1, signal.SIGUSR2)
"""What a cluster may send before the end; submitit asks it for SIGUSR2."""
AFTERWARDS = (
    "code=$?",
    "job=${SLURM_ARRAY_JOB_ID:+${SLURM_ARRAY_JOB_ID}_$SLURM_ARRAY_TASK_ID}",  # one element's own number is the array's
    "job=${job:-$SLURM_JOB_ID}",
    'state=$(squeue --noheader --jobs="$job" --format=%T)',
    f'if [ "$code" -eq {REQUEUE_CODE} ] && [ "$state" = RUNNING ]; then scontrol requeue "$job"; fi',
)
"""Bash, behind the task: a job that was told to stop, and not by somebody who cancelled it, goes back into the queue.

It runs outside of the task, which may be in a container without SLURM's commands.
"""


class Task:
    """What a job does on its node: train a prepared run in a fresh interpreter, and end so that the job can go on.

    Arguments:
        folder: the run's folder.
    """

    def __init__(self, folder: str) -> None:
        self.folder = folder
        self._job: Fresh | None = None
        self._asked = False

    def __call__(self) -> int:
        """0 if there is nothing more to do.

        Raises:
            SystemExit: with REQUEUE_CODE if the run has to go on, else with the exit code of `genexp train`.
        """
        run, threads = Run(self.folder), os.environ.get("SLURM_CPUS_PER_TASK")
        before, fruitless = run.record.get("step", 0), run.record.get("fruitless_starts", 0)
        for number in (signal.SIGTERM, *WARNINGS):
            signal.signal(number, self._stop)
        with held_back(*WARNINGS):  # a cluster warns every process of a task, and this one would end by it
            self._job = Fresh(run, None if threads is None else int(threads))
        if self._asked:
            self._job.stop()
        code = self._job.process.wait()
        if self._asked and run.record["status"] not in (*DONE, "failed"):
            code = 1 if self._in_vain(run, before, fruitless + 1) else REQUEUE_CODE
        elif int(os.environ.get("SLURM_PROCID", "0")) == 0:
            outcome_of(run, code)  # records what the run could not
        if code:
            sys.exit(code if code > 0 else 128 - code)
        return 0

    def checkpoint(self, *_: Any) -> None:
        """What submitit calls when the cluster warns before `__call__` has begun: nothing is lost."""
        sys.exit(REQUEUE_CODE)

    def _stop(self, number: int, frame: FrameType | None) -> None:
        self._asked = True
        if self._job is not None:
            self._job.stop()

    def _in_vain(self, run: Run, before: int, starts: int) -> bool:
        """Count a start that gained no step; whether they are too many in a row, which is then the run's failure."""
        if run.record.get("step", 0) > before:
            starts = 0
        if starts < FRUITLESS_STARTS:
            if starts != run.record.get("fruitless_starts", 0):
                run.update(fruitless_starts=starts)
            return False
        sentence = f"It was stopped {starts} times before a step beyond {before} was saved: give it more time."
        run.update(status="failed", failure=sentence, fruitless_starts=0)
        return True
