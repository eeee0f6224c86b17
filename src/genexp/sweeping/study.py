"""The memory of a search: optuna's journal in the sweep's folder, shared by processes and by later calls.

Nothing of it is kept in a process alone. Each coordinate of a point is drawn with a seed of its own, made of the
search's seed and the trial's number, so that no process repeats another's points and a search that was killed goes on
as if it had not been. A dead process holds no lock: see `genexp.locks`.
"""

import json
import logging
import math
import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import FrozenTrial, Trial, TrialState

from genexp.errors import Busy, UserError
from genexp.locks import Lock, held
from genexp.sweeping.search import SearchSettings
from genexp.sweeping.space import Space

JOURNAL = "study.journal"
NAME = "search"


class JournalLock:
    """The lock of the journal; whoever takes it first removes what a killed process left half-written.

    Arguments:
        journal: the file.
    """

    def __init__(self, journal: Path) -> None:
        self._journal, self._lock = journal, Lock(f"{journal}.lock")

    def acquire(self) -> bool:
        """Wait for the lock."""
        self._lock.acquire(math.inf)
        if self._journal.is_file():
            with open(self._journal, "rb+") as file:
                if file.seek(0, os.SEEK_END) and (file.seek(-1, os.SEEK_END), file.read(1))[1] != b"\n":
                    file.seek(0)
                    file.truncate(file.read().rfind(b"\n") + 1)
        return True

    def release(self) -> None:
        """Let the next one write."""
        self._lock.release()


class Study:
    """Trials, and who works on them.

    Arguments:
        folder: the sweep's folder.
        settings: the `search` group.
        space: what varies.
        question: what makes trials comparable; the same for all calls of a search.

    Raises:
        UserError: if the folder holds the trials of another question.
    """

    def __init__(self, folder: Path, settings: SearchSettings, space: Space, question: dict[str, Any]) -> None:
        optuna.logging.set_verbosity(logging.ERROR)
        warnings.filterwarnings("ignore", module="optuna")
        self._folder, self._settings, self._space = folder, settings, space
        folder.mkdir(parents=True, exist_ok=True)
        journal = folder / JOURNAL
        with self.turn():
            backend = JournalFileBackend(str(journal), lock_obj=JournalLock(journal))  # type: ignore[arg-type]
            self._storage = JournalStorage(backend)
            self._study = optuna.create_study(
                storage=self._storage,
                study_name=NAME,
                direction="minimize",
                load_if_exists=True,
                sampler=self._sampler(0),
            )
            asked = self._study.user_attrs.get("question")
            if asked is None:
                self._study.set_user_attr("question", question)
            elif asked != json.loads(json.dumps(question)):
                changed = ", ".join(sorted(key for key in question if asked.get(key) != question[key]))
                raise UserError(f"{folder} holds a search with another {changed}: give sweep=NAME for a new one.")
        self._id = self._storage.get_study_id_from_name(NAME)
        self._pruner = self._make_pruner()

    @contextmanager
    def turn(self) -> Iterator[None]:
        """Hold the search: one process at a time looks for a trial to take up, or asks for a new one."""
        with held(self._folder / ".search.lock", math.inf):
            yield

    @property
    def metric(self) -> str | None:
        """What the trials are compared by; None before the first score."""
        return self._study.user_attrs.get("metric")

    @metric.setter
    def metric(self, name: str) -> None:
        self._study.set_user_attr("metric", name)

    def trials(self) -> list[FrozenTrial]:
        """All trials in the order of their numbers; not to be changed."""
        return self._storage.get_all_trials(self._id, deepcopy=False)

    def trial(self, number: int) -> FrozenTrial:
        """One trial as it is now."""
        return self._storage.get_trial(self._trial_id(number))

    def claim(self, number: int) -> Lock | None:
        """Take a trial for this process; None if another one has it. Release the lock when it has been told."""
        lock = Lock(self._folder / ".trials" / f"{number}.lock")
        try:
            lock.acquire()
        except Busy:
            return None
        return lock

    def ask(self) -> int:
        """Draw a new point; its trial's number. Only during one's `turn`."""
        self._study.sampler = self._sampler(len(self.trials()))
        return self._draw(self._study.ask()).number

    def point(self, number: int) -> dict[str, Any]:
        """A trial's point; what a process had no time to draw before it died is drawn now."""
        known = self.trial(number)
        if set(known.params) != set(self._space.axes):
            self._study.sampler = self._sampler(number)
            self._draw(Trial(self._study, self._trial_id(number)))
            known = self.trial(number)
        return dict(known.params)

    def note(self, number: int, **values: Any) -> None:
        """Write something down about a trial."""
        for key, value in values.items():
            self._storage.set_trial_user_attr(self._trial_id(number), key, value)

    def report(self, number: int, step: int, loss: float) -> bool:
        """Write down a running trial's loss at a training step; whether it is not worth going on."""
        trial_id = self._trial_id(number)
        if step in self._storage.get_trial(trial_id).intermediate_values:  # a resumed run scores again: the same
            return False
        self._storage.set_trial_intermediate_value(trial_id, step, loss)
        return self._pruner.prune(self._study, self._storage.get_trial(trial_id))

    def tell(self, number: int, state: TrialState, loss: float | None = None) -> None:
        """Write down how a trial ended, once."""
        self._study.tell(number, loss, state=state, skip_if_finished=True)

    def _trial_id(self, number: int) -> int:
        return self._storage.get_trial_id_from_study_id_trial_number(self._id, number)

    def _draw(self, trial: Trial) -> Trial:
        for place, (name, axis) in enumerate(self._space.axes.items(), 1):
            self._study.sampler = self._sampler(trial.number, place)
            _suggest(trial, name, axis)
        return trial

    def _sampler(self, number: int, place: int = 0) -> optuna.samplers.BaseSampler:
        settings = self._settings
        seed = int(np.random.SeedSequence([settings.seed, number, place]).generate_state(1)[0])
        if settings.sampler == "random":
            return optuna.samplers.RandomSampler(seed=seed)
        if settings.sampler == "cmaes":
            return optuna.samplers.CmaEsSampler(
                seed=seed, n_startup_trials=settings.startup_trials, warn_independent_sampling=False
            )
        return optuna.samplers.TPESampler(seed=seed, n_startup_trials=settings.startup_trials, constant_liar=True)

    def _make_pruner(self) -> optuna.pruners.BasePruner:
        settings = self._settings
        if settings.pruner == "none":
            return optuna.pruners.NopPruner()
        return optuna.pruners.MedianPruner(
            n_startup_trials=settings.startup_trials, n_warmup_steps=settings.warmup_steps
        )


def _suggest(trial: Trial, name: str, axis: BaseDistribution) -> None:
    if isinstance(axis, CategoricalDistribution):
        trial.suggest_categorical(name, axis.choices)
    elif isinstance(axis, IntDistribution):
        trial.suggest_int(name, axis.low, axis.high, step=axis.step, log=axis.log)
    elif isinstance(axis, FloatDistribution):
        trial.suggest_float(name, axis.low, axis.high, step=axis.step, log=axis.log)
