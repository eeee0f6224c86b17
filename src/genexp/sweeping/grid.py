"""A fixed list of jobs as a source for the scheduler."""

from collections import deque
from collections.abc import Sequence

from genexp.sweeping.folder import SweepFolder
from genexp.sweeping.jobs import Job
from genexp.sweeping.scheduler import Outcome

DONE = ("complete", "diverged")
"""What would come out the same again."""


class Grid:
    """Every job once: what is done is skipped, what another process works on is looked at again when that is over.

    Arguments:
        folder: the sweep's folder.
        jobs: the jobs, none twice.
    """

    def __init__(self, folder: SweepFolder, jobs: Sequence[Job]) -> None:
        self.skipped: list[Job] = []
        self._todo: deque[Job] = deque()
        self._elsewhere: deque[Job] = deque()
        for job in jobs:
            folder.prepare(job)
            (self.skipped if job.run.record["status"] in DONE else self._todo).append(job)

    def next(self) -> Job | None:
        """The next job; None if all that are left are being trained elsewhere."""
        while self._todo:
            job = self._todo.popleft()
            taken = job.run.is_claimed  # before its record is read: on another machine it may have ended meanwhile
            if job.run.record["status"] in DONE:
                self.skipped.append(job)
            elif taken:
                self._elsewhere.append(job)
            else:
                return job
        self._todo, self._elsewhere = self._elsewhere, deque()
        return None

    @property
    def exhausted(self) -> bool:
        """Whether every job has been started or is done."""
        return not self._todo and not self._elsewhere

    def watch(self, job: Job) -> bool:
        """A grid stops no job early."""
        return False

    def finished(self, job: Job, outcome: Outcome) -> None:
        """Look again later at a job that turned out to be another process's."""
        if outcome.status == "busy":
            self._elsewhere.append(job)
