"""A search as a source of jobs: points that optuna asks for, judged by the scores that the runs write as they train.

A trial is one point of the space, trained with one seed or several. Its fate is read from its runs' folders, so it does
not matter which process trained them: a trial whose process died is taken up by the next one, its run goes on from
the newest checkpoint, and what was finished already is only told.
"""

import math
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field

from optuna.trial import FrozenTrial, TrialState

from genexp.errors import Busy, UserError
from genexp.evaluation.registry import metric_info
from genexp.locks import Lock
from genexp.runs import Run
from genexp.sweeping.folder import SweepFolder
from genexp.sweeping.jobs import Job
from genexp.sweeping.scheduler import Outcome
from genexp.sweeping.search import SearchSettings
from genexp.sweeping.space import Space
from genexp.sweeping.study import Study
from genexp.sweeping.validation import Curve, ranking_metric

ENDED_BADLY = ("diverged", "failed")
AGAIN_SECONDS = 1.0
"""Before a job that another process holds is looked at again."""


@dataclass
class _Trial:
    """A trial that this process works on.

    Attributes:
        number: in the study.
        jobs: one for each seed.
        waiting: those that have not been started, or are held by another process.
        curve: the scores of the first seed's run, which alone is judged for pruning.
        active: folders of those that run.
        reported: the last step that the study knows the score of.
        pruned: why it was stopped early.
        told: whether the study knows how it ended.
        not_before: when a busy job is looked at again.
    """

    number: int
    jobs: list[Job]
    waiting: deque[Job]
    curve: Curve
    active: set[str] = field(default_factory=set)
    reported: int = -1
    pruned: str | None = None
    told: bool = False
    not_before: float = 0.0


class Search:
    """Trials until there are enough, or the processor time is spent.

    Arguments:
        folder: the sweep's folder.
        space: what varies.
        settings: the `search` group.
        seeds: of each trial; a trial counts by the mean over them.
        config_dir: the user's own groups.
        question: what makes trials comparable, beside the space and the seeds.

    Raises:
        UserError: if the folder holds another search.
    """

    def __init__(
        self,
        folder: SweepFolder,
        space: Space,
        settings: SearchSettings,
        seeds: Sequence[int] = (0,),
        config_dir: str | None = None,
        question: str = "",
    ) -> None:
        self.folder, self.space, self.settings = folder, space, settings
        self.seeds, self.config_dir = list(seeds), config_dir
        axes = {key: str(axis) for key, axis in sorted(space.axes.items())}
        asked = {"config": question, "seeds": self.seeds, "space": axes}
        self.study = Study(folder.path, settings, space, asked)
        self._held: dict[int, _Trial] = {}
        self._locks: dict[int, Lock] = {}  # what other processes see of a trial that is held
        self._left: set[int] = set()  # stopped from outside: for a later call

    def next(self) -> Job | None:
        """The next job: a further seed, a trial that another process left behind, or a new point."""
        for trial in list(self._held.values()):
            if (job := self._next_of(trial)) is not None:
                return job
        while (number := self._claim()) is not None:
            self._hold(number)
            if number in self._held and (job := self._next_of(self._held[number])) is not None:
                return job
        return None

    @property
    def exhausted(self) -> bool:
        """Whether every trial has ended, here and in other processes, and none will begin."""
        if self._held:
            return False
        trials = self.study.trials()
        elsewhere = any(not trial.state.is_finished() and trial.number not in self._left for trial in trials)
        return not elsewhere and self._enough(trials)

    def watch(self, job: Job) -> bool:
        """Report new scores; True to stop a trial that is not worth going on, or has been decided already.

        Raises:
            UserError: if the runs do not have the metric that the search is to go by.
        """
        trial = self._of(job)
        if trial.told or trial.pruned:
            return True
        if job is not trial.jobs[0]:
            return False
        if (step := self._report(trial)) is None:
            return False
        trial.pruned = f"Stopped by the search at step {step}: its scores are worse than the median of earlier trials."
        self.study.note(trial.number, pruned=trial.pruned)
        return True

    def finished(self, job: Job, outcome: Outcome) -> None:
        """Tell the study if the trial has ended with this job."""
        trial = self._of(job)
        trial.active.discard(str(job.run.folder))
        if outcome.status == "busy":
            trial.waiting.append(job)
            trial.not_before = time.monotonic() + AGAIN_SECONDS
        elif outcome.status in ("stopped", "pruned") and not trial.pruned:
            if outcome.status == "pruned":  # stopped for another reason than its own scores
                _record(job.run, "stopped", None)
            if not trial.told:
                self._left.add(trial.number)
                trial.waiting.clear()
        self._settle(trial)
        self._release(trial)

    def _next_of(self, trial: _Trial) -> Job | None:
        """The next job of a trial to start; it is told instead if its runs have ended."""
        if not trial.waiting or time.monotonic() < trial.not_before:
            return None
        self._settle(trial)
        while not trial.told and trial.waiting:
            job = trial.waiting.popleft()
            if any(str(job.run.folder) in other.active for other in self._held.values()) or job.run.is_locked:
                trial.waiting.append(job)  # the same point twice, or the process that began it has died but not the job
                trial.not_before = time.monotonic() + AGAIN_SECONDS
                return None
            if job.run.record["status"] == "complete":
                continue
            trial.active.add(str(job.run.folder))
            return job
        self._release(trial)
        return None

    def _claim(self) -> int | None:
        """Take a trial: one that began and that no process works on, else a new point, unless there are enough."""
        with self.study.turn():
            trials = self.study.trials()
            begun = [trial.number for trial in trials if not trial.state.is_finished()]
            for number in begun:
                if number not in self._held and number not in self._left and self._lock(number):
                    return number
            if self._enough(trials):
                return None
            number = self.study.ask()
            self._lock(number)
            return number

    def _lock(self, number: int) -> bool:
        lock = self.study.claim(number)
        if lock is None:
            return False
        if self.study.trial(number).state.is_finished():  # told between the look and the lock
            lock.release()
            return False
        self._locks[number] = lock
        return True

    def _hold(self, number: int) -> None:
        """Get the jobs of a claimed trial ready; a point that does not compose is told as its failure."""
        with self.study.turn():
            overrides = self.space.overrides(self.study.point(number))
        try:
            jobs = self.folder.jobs([[*overrides, f"seed={self.seeds[0]}"]], len(self.seeds), self.config_dir)
        except UserError as error:
            self._tell(number, TrialState.FAIL, reason=str(error))
            self._locks.pop(number).release()
            return
        for job in jobs:
            self.folder.prepare(job)
        known = self.study.trial(number).user_attrs
        if "runs" not in known:
            self.study.note(number, runs=[job.run.folder.name for job in jobs])
        self._held[number] = _Trial(number, jobs, deque(jobs), Curve(jobs[0].run), pruned=known.get("pruned"))

    def _settle(self, trial: _Trial) -> None:
        """Tell the study what came of a trial, if its runs' folders say so and none is being written."""
        if trial.told:
            return
        records = [job.run.record for job in trial.jobs]
        statuses = [record["status"] for record in records]
        bad = [record.get("failure") or record["status"] for record in records if record["status"] in ENDED_BADLY]
        if bad:
            self._tell(trial.number, TrialState.FAIL, reason=str(bad[0]))
        elif all(status == "complete" for status in statuses):
            self._complete(trial)
        elif trial.pruned or statuses[0] == "pruned":
            first = trial.jobs[0].run
            if trial.active or first.is_locked:
                return
            reason = trial.pruned or str(records[0].get("failure"))
            if statuses[0] != "complete":
                _record(first, "pruned", reason)
            self._tell(trial.number, TrialState.PRUNED, reason=reason)
        else:
            return
        trial.told = True
        trial.waiting.clear()

    def _report(self, trial: _Trial) -> int | None:
        """Report the first seed's new scores; the step at which they are not worth going on, if there is one."""
        metric = self._metric(trial.curve)
        for step, score in trial.curve.scores(metric) if metric else []:
            if trial.reported < step < trial.jobs[0].plain["max_steps"] and math.isfinite(score):
                trial.reported = step
                if self.study.report(trial.number, step, metric_info(str(metric)).loss(score)):
                    return step
        return None

    def _complete(self, trial: _Trial) -> None:
        """Tell the mean of the last scores; a trial with a score that is not a number has failed."""
        while self._report(trial) is not None:  # what was written since the last look; it is too late to stop
            pass
        curves = [Curve(job.run) for job in trial.jobs]
        metric = self._metric(curves[0])
        scores = [curve.last(metric) if metric else None for curve in curves]
        finite = [score for score in scores if score is not None]
        if len(finite) < len(scores):
            self._tell(trial.number, TrialState.FAIL, reason="The last validation score is not a finite number.")
            return
        losses = [metric_info(str(metric)).loss(score) for score in finite]
        self.study.note(trial.number, metric=metric, scores=finite)
        self._tell(trial.number, TrialState.COMPLETE, loss=sum(losses) / len(losses))

    def _tell(self, number: int, state: TrialState, loss: float | None = None, reason: str | None = None) -> None:
        if reason is not None:
            self.study.note(number, reason=reason)
        self.study.tell(number, state, loss)

    def _release(self, trial: _Trial) -> None:
        """Let a trial go that has nothing left to do here."""
        if not trial.active and not trial.waiting:
            self._held.pop(trial.number, None)
            self._locks.pop(trial.number).release()

    def _metric(self, curve: Curve) -> str | None:
        """The metric that trials are compared by, the same for all; None if this run has no scores yet."""
        metric = ranking_metric(curve.columns, self.settings.metric)
        known = self.study.metric
        if metric is not None and known is None:
            self.study.metric = metric
        elif metric not in (None, known):
            raise UserError(f"The trials so far were compared by {known}: give search.metric={known}, or sweep=NAME.")
        return metric

    def _enough(self, trials: Sequence[FrozenTrial]) -> bool:
        if self.settings.trials is not None and len(trials) >= self.settings.trials:
            return True
        return self.settings.cpu_seconds is not None and self._spent(trials) >= self.settings.cpu_seconds

    def _spent(self, trials: Sequence[FrozenTrial]) -> float:
        """The processor time of the trials' runs so far, in seconds."""
        names = {name for trial in trials for name in trial.user_attrs.get("runs", ())}
        runs = [Run(self.folder.path / name) for name in names]
        return sum(float(run.record.get("cpu_seconds") or 0.0) for run in runs if run.exists)

    def _of(self, job: Job) -> _Trial:
        return next(trial for trial in self._held.values() if job in trial.jobs)


def _record(run: Run, status: str, reason: str | None) -> None:
    """Write how a run ended, unless another process has taken it up."""
    try:
        with run.locked():
            run.update(status=status, failure=reason)
    except Busy:
        return
