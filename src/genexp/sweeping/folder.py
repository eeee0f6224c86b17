"""A sweep's folder: one run's folder for each job, found by the hash of its config."""

import json
import os
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

from genexp import atomic
from genexp import config as configs
from genexp.config import Composed
from genexp.runs import Run, python_path
from genexp.sweeping.jobs import Job, recorded

WAIT_SECONDS = 30.0
"""How long to wait for a process that prepares the same job at this moment."""


class SweepFolder:
    """`call-*.json`, one file for each call of the command, and the jobs' folders.

    Nothing else is known about a sweep: whether a job is done, and who works on it, is read from the job's folder.

    Arguments:
        path: the folder; it is made by the first call of `note_call` or `prepare`.
    """

    def __init__(self, path: Path | str) -> None:
        self.path = Path(path).resolve()

    @property
    def name(self) -> str:
        """The sweep's name."""
        return self.path.name

    def note_call(self, command: Sequence[str], jobs: int) -> None:
        """Write down that somebody asked for this sweep, in a file that no other process writes."""
        self.path.mkdir(parents=True, exist_ok=True)
        now = datetime.now().astimezone()
        path = self.path / f"call-{now:%Y%m%d-%H%M%S-%f}-{uuid4().hex[:6]}.json"
        call = {"time": now.isoformat(timespec="seconds"), "command": list(command), "jobs": jobs}
        atomic.write_text(path, json.dumps(call) + "\n")

    def calls(self) -> list[dict[str, Any]]:
        """Who asked for this sweep, in the order of their clocks."""
        return [json.loads(path.read_text()) for path in sorted(self.path.glob("call-*.json"))]

    def job(self, overrides: Sequence[str], config_dir: str | None = None) -> Job:
        """The job of one override list.

        Raises:
            UserError: if it does not compose.
        """
        return self._job(configs.compose_train(overrides, config_dir), overrides, config_dir)

    def jobs(self, combinations: Sequence[Sequence[str]], seeds: int | None, config_dir: str | None) -> list[Job]:
        """The jobs of many override lists, each for `seeds` seeds from its own on; what is the same job stands once.

        Raises:
            UserError: if one of them does not compose.
        """
        composed = configs.compose_seeds(combinations, seeds, config_dir)
        found = [
            self._job(one, overrides, config_dir)
            for overrides, of_seeds in zip(combinations, composed, strict=True)
            for one in of_seeds
        ]
        return list({job.run.folder: job for job in found}.values())

    def _job(self, composed: Composed, overrides: Sequence[str], config_dir: str | None) -> Job:
        plain = {**composed.plain, "name": composed.name, "seeds": None, "sweep": self.name}
        run = Run(self.path / f"{configs.identity(plain)}-s{plain['seed']}")
        where = str(Path(config_dir).resolve()) if config_dir else None
        return Job(run, recorded(overrides, plain["seed"]), plain, composed.choices, where)

    def prepare(self, job: Job) -> None:
        """Make the job's folder, once, whoever comes first.

        Raises:
            Busy: if another process holds the folder without finishing it.
        """
        if job.run.exists:
            return
        with job.run.locked(timeout=WAIT_SECONDS):
            if not job.run.exists:
                job.run.create(
                    job.plain,
                    job.choices,
                    python_path(job.config_dir),
                    overrides=job.overrides,
                    config_dir=job.config_dir,
                    sweep=self.name,
                    status="queued",
                )

    def runs(self) -> list[Run]:
        """The jobs that have a folder, by name."""
        if not self.path.is_dir():
            return []
        with os.scandir(self.path) as entries:
            runs = [Run(entry.path) for entry in entries if entry.is_dir()]
        return sorted((run for run in runs if run.exists and run.readable), key=lambda run: run.folder.name)
