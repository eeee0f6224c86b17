"""Launchers that hand jobs to another library's executor: joblib on this machine, submitit on a SLURM cluster.

The executor gets a small function that starts a fresh interpreter, waits for it and returns its exit code.
"""

import importlib.util
import io
import os
import shutil
import signal
import sys
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from contextlib import redirect_stderr, suppress
from pathlib import Path
from types import FrameType
from typing import Any

from genexp.errors import UserError
from genexp.runs import Run
from genexp.sweeping.launchers import Fresh, Handle, at_a_time, held_back, share_of_cores
from genexp.sweeping.slurm import Cluster
from genexp.sweeping.slurm_task import AFTERWARDS, Task

POLL_SECONDS = 0.5
"""Between two looks at what submitit knows of a process."""
SLURM_COMMANDS = ("sbatch", "squeue", "scancel", "srun")


class Resume:
    """Train a prepared run in a fresh interpreter; called where the executor runs it.

    Arguments:
        folder: the run's folder.
        threads: its share of the cores.
    """

    def __init__(self, folder: str, threads: int | None = None) -> None:
        self.folder, self.threads = folder, threads
        self._job: Fresh | None = None

    def __call__(self) -> int:
        """The exit code of `genexp train resume=FOLDER`."""
        self._job = Fresh(Run(self.folder), self.threads)
        pid = Path(self.folder) / ".pid"
        pid.write_text(str(self._job.process.pid))
        with suppress(ValueError):  # a thread sets no handlers: whoever stops the job has its number in the file
            signal.signal(signal.SIGTERM, self._forward)
        try:
            return self._job.process.wait()
        finally:  # an executor that gives up waiting leaves nothing behind that trains on
            if self._job.process.poll() is None:
                self._job.stop()
                self._job.process.wait()
            pid.unlink(missing_ok=True)

    def _forward(self, number: int, frame: FrameType | None) -> None:
        if self._job is not None:
            self._job.stop()


def send_to_job(folder: Path, number: signal.Signals) -> None:
    """A signal to the interpreter that trains in `folder` on this machine, if there is one."""
    with suppress(OSError, ValueError):
        os.kill(int((folder / ".pid").read_text()), number)


class _Promised:
    """A job in joblib's executor."""

    def __init__(self, run: Run, future: "Future[int]") -> None:
        self.run, self.future = run, future

    def poll(self) -> int | None:
        if not self.future.done():
            return None
        if self.future.cancelled():
            return 0
        return 1 if self.future.exception() is not None else self.future.result()

    def stop(self) -> None:
        if not self.future.cancel():
            send_to_job(self.run.folder, signal.SIGTERM)


class Joblib:
    """Jobs on this machine through joblib's executor of processes, each in a fresh interpreter.

    Arguments:
        jobs: at a time; None for as many as there are cores.

    Raises:
        UserError: if `jobs` is less than 1.
    """

    def __init__(self, jobs: int | None = 1) -> None:
        self.slots, self.outlives = at_a_time(jobs), False
        self._executor: Any = None
        self._started: list[_Promised] = []

    def start(self, run: Run) -> _Promised:
        """See `genexp.sweeping.launchers.Launcher`."""
        if self._executor is None:
            from joblib.externals.loky import ProcessPoolExecutor

            self._executor = ProcessPoolExecutor(max_workers=self.slots)
        task = Resume(str(run.folder), share_of_cores(self.slots))
        with held_back(signal.SIGINT):
            handle = _Promised(run, self._executor.submit(task))
        self._started.append(handle)
        return handle

    def close(self) -> None:
        """See `genexp.sweeping.launchers.Launcher`."""
        for handle in self._started:
            if handle.poll() is None:
                send_to_job(handle.run.folder, signal.SIGKILL)
        if self._executor is not None:
            self._executor.shutdown(wait=True, kill_workers=True)


class _Submitted:
    """A process of this machine that submitit watches."""

    def __init__(self, run: Run, job: Any) -> None:
        self.run, self.job = run, job
        self._code: int | None = None
        self._next = 0.0

    def poll(self) -> int | None:
        if self._code is None and time.monotonic() >= self._next:
            self._next = time.monotonic() + POLL_SECONDS
            if self.job.done():
                self._code = 1 if self.job.exception() is not None else int(self.job.result())
        return self._code

    def stop(self) -> None:
        with suppress(OSError, ValueError):  # the number of the process that passes SIGTERM on
            os.kill(int(self.job.job_id), signal.SIGTERM)


class Submitit:
    """Jobs submitted to SLURM as arrays, or to processes of this machine, through submitit.

    On SLURM the jobs outlive this process: SIGTERM, or its death, leaves them in the queue, and the same command finds
    them there. See `genexp.sweeping.slurm`.

    Arguments:
        jobs: in the queue at a time.
        cluster: `slurm`, `local` or `debug`; None for SLURM where its commands are, else `local`.
        parameters: submitit's own, such as `timeout_min`, `cpus_per_task`, `gpus_per_node` or `slurm_partition`.

    Raises:
        UserError: if submitit or SLURM is missing or an argument is none of submitit's.
    """

    def __init__(self, jobs: int = 16, cluster: str | None = None, parameters: Mapping[str, Any] | None = None) -> None:
        if importlib.util.find_spec("submitit") is None:
            raise UserError("launcher=submitit needs the package submitit: pip install 'genexp[slurm]'.")
        if cluster not in (None, "slurm", "local", "debug"):
            raise UserError(f"launcher.cluster={cluster} is unknown: choose slurm, local or debug, or null.")
        missing = [name for name in SLURM_COMMANDS if shutil.which(name) is None]
        if cluster == "slurm" and missing:
            raise UserError(
                f"launcher.cluster=slurm needs SLURM's commands, and there is no {missing[0]} here: go to a machine of "
                "the cluster, or give launcher.cluster=local."
            )
        self.slots, self.parameters = at_a_time(jobs), dict(parameters or {})
        self.cluster = cluster or ("local" if missing else "slurm")
        self.outlives = self.cluster == "slurm"
        self._executor(Path.cwd(), "genexp")  # so that wrong parameters are refused before anything is written
        self._slurm: Cluster | None = None
        self._started: list[_Submitted] = []

    def start(self, run: Run) -> Handle:
        """See `genexp.sweeping.launchers.Launcher`."""
        if self.outlives:
            self._slurm = self._slurm or Cluster(run.folder.parent / "submitit", self._submit)
            return self._slurm.start(run)
        task = Resume(str(run.folder), share_of_cores(self.slots))
        executor = self._executor(run.folder / "submitit", run.folder.name)
        with held_back(signal.SIGINT):
            handle = _Submitted(run, executor.submit(task))
        self._started.append(handle)
        return handle

    def close(self) -> None:
        """See `genexp.sweeping.launchers.Launcher`; the cluster keeps the jobs that nobody stopped."""
        for handle in self._started:
            if handle.poll() is None:
                send_to_job(handle.run.folder, signal.SIGKILL)  # and what waits for it ends by itself

    def _executor(self, folder: Path, name: str) -> Any:
        import submitit

        executor = submitit.AutoExecutor(folder=folder, cluster=self.cluster)
        parameters = dict(self.parameters)
        if self.outlives:
            parameters["slurm_teardown"] = [*AFTERWARDS, *parameters.get("slurm_teardown", ()), 'exit "$code"']
            own = parameters.get("slurm_additional_parameters") or {}
            parameters["slurm_additional_parameters"] = {"requeue": True, **own}
        try:
            executor.update_parameters(name=name, **parameters)
        except (NameError, ValueError, TypeError, AssertionError) as error:
            raise UserError(f"launcher.parameters are refused by submitit: {str(error).splitlines()[0]}.") from error
        return executor

    def _submit(self, name: str, runs: Sequence[Run]) -> list[str]:
        """Submit runs as one array; the jobs' ids."""
        from submitit.core.utils import FailedJobError, FailedSubmissionError
        from submitit.helpers import clean_env

        assert self._slurm is not None
        executor = self._executor(self._slurm.folder, name)
        kept = {key: value for key, value in os.environ.items() if key == "SLURM_CONF"}
        said = io.StringIO()  # sbatch's own words, which submitit passes on
        try:
            # A sweep may itself be a job: its own variables are not theirs.
            with held_back(signal.SIGINT), redirect_stderr(said), clean_env():
                os.environ.update(kept)
                jobs = executor.submit_array([Task(str(run.folder)) for run in runs])
        except (FailedJobError, FailedSubmissionError) as error:
            lines = [line.partition("error: ")[2] for line in said.getvalue().splitlines() if "error: " in line]
            raise UserError(f"SLURM refuses the jobs: {(lines or [str(error).strip()])[0].rstrip('.')}.") from error
        print(said.getvalue(), end="", file=sys.stderr, flush=True)
        return [job.job_id for job in jobs]
