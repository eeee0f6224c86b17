"""Launchers that hand jobs to another library's executor: joblib on this machine, submitit on a SLURM cluster.

The executor gets a small function that starts a fresh interpreter, waits for it and returns its exit code.
"""

import importlib.util
import os
import signal
import time
from collections.abc import Mapping
from concurrent.futures import Future
from contextlib import suppress
from pathlib import Path
from types import FrameType
from typing import Any

from genexp.errors import UserError
from genexp.runs import Run
from genexp.sweeping.launchers import Fresh, at_a_time, held_back, share_of_cores

POLL_SECONDS = 0.5
"""Between two questions to a cluster, for each job."""
STOP_SECONDS = 60.0
"""How long a job may take to save before a cluster starts it anew elsewhere."""


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
        finally:
            pid.unlink(missing_ok=True)

    def _forward(self, number: int, frame: FrameType | None) -> None:
        if self._job is not None:
            self._job.stop()

    def checkpoint(self) -> Any:
        """What submitit asks for when the time is up or the node is needed: save now, and go on when there is room."""
        from submitit.helpers import DelayedSubmission

        if self._job is not None:
            self._job.stop()
            self._job.process.wait(STOP_SECONDS)
        return DelayedSubmission(Resume(self.folder, self.threads))


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
        self.slots = at_a_time(jobs)
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
    """A job of submitit's."""

    def __init__(self, run: Run, job: Any, local: bool) -> None:
        self.run, self.job, self.local = run, job, local
        self._code: int | None = None
        self._next = 0.0

    def poll(self) -> int | None:
        if self._code is None and time.monotonic() >= self._next:
            self._next = time.monotonic() + POLL_SECONDS
            if self.job.done():
                self._code = 1 if self.job.exception() is not None else int(self.job.result())
        return self._code

    def stop(self) -> None:
        if self.local:  # the number of the process that passes SIGTERM on
            with suppress(OSError, ValueError):
                os.kill(int(self.job.job_id), signal.SIGTERM)
        else:
            self.job.cancel(check=False)  # SIGTERM, and SIGKILL after the cluster's KillWait


class Submitit:
    """Jobs submitted to SLURM, or to processes of this machine, through submitit.

    Arguments:
        jobs: submitted at a time.
        cluster: `slurm`, `local` or `debug`; None for what submitit finds.
        parameters: submitit's own, such as `partition`, `timeout_min`, `cpus_per_task` or `gpus_per_node`.

    Raises:
        UserError: if submitit is not installed or an argument is none of its own.
    """

    def __init__(self, jobs: int = 16, cluster: str | None = None, parameters: Mapping[str, Any] | None = None) -> None:
        if importlib.util.find_spec("submitit") is None:
            raise UserError("launcher=submitit needs the package submitit: pip install 'genexp[slurm]'.")
        if cluster not in (None, "slurm", "local", "debug"):
            raise UserError(f"launcher.cluster={cluster} is unknown: choose slurm, local or debug, or null.")
        self.slots, self.cluster, self.parameters = at_a_time(jobs), cluster, dict(parameters or {})
        self._started: list[_Submitted] = []

    def start(self, run: Run) -> _Submitted:
        """See `genexp.sweeping.launchers.Launcher`."""
        import submitit

        executor = submitit.AutoExecutor(folder=run.folder / "submitit", cluster=self.cluster)
        try:
            executor.update_parameters(name=run.folder.name, **self.parameters)
        except (NameError, ValueError, TypeError) as error:
            raise UserError(f"launcher.parameters are refused by submitit: {str(error).splitlines()[0]}.") from error
        local = executor.cluster == "local"
        task = Resume(str(run.folder), share_of_cores(self.slots) if local else None)
        with held_back(signal.SIGINT):
            handle = _Submitted(run, executor.submit(task), local)
        self._started.append(handle)
        return handle

    def close(self) -> None:
        """See `genexp.sweeping.launchers.Launcher`."""
        for handle in self._started:
            if handle.poll() is None and handle.local:
                send_to_job(handle.run.folder, signal.SIGKILL)  # and what waits for it ends by itself
            elif handle.poll() is None:
                handle.job.cancel(check=False)
