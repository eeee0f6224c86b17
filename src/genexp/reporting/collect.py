"""The runs below some folders, as a report reads them: without torch, and without stumbling over what is damaged."""

import math
import os
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from genexp import config as configs
from genexp.errors import UserError
from genexp.runs import Run
from genexp.yaml_blocks import load_mapping

UNFINISHED = ("queued", "running", "stopped")
"""Statuses of runs that may still end well: they are counted and never averaged."""
FILES_OF_A_RUN = ("config.yaml", "metrics.csv", "scores.jsonl", "checkpoints")
TAIL_BYTES = 4096


@dataclass
class ReportedRun:
    """One run, read.

    Attributes:
        folder: where it is.
        record: the content of `run.json`.
        config: the resolved config; empty if the file is missing or damaged.
        row: the line of `scores.jsonl` that counts; None without a score.
        id: the folder's name, with its parent's where two are called the same.
    """

    folder: Path
    record: dict[str, Any]
    config: dict[str, Any]
    row: dict[str, Any] | None
    id: str = ""

    @property
    def fingerprint(self) -> dict[str, Any]:
        """What its numbers may be compared with; empty without a score."""
        return dict((self.row or {}).get("fingerprint") or {})

    @property
    def headline(self) -> str | None:
        """The metric that ranks it."""
        return self.fingerprint.get("headline")

    @cached_property
    def metrics(self) -> dict[str, Any]:
        """The numbers of its score; None for what is not finite."""
        given = (self.row or {}).get("metrics") or {}
        return {name: value if isinstance(value, str) else finite(value) for name, value in given.items()}

    @cached_property
    def setting(self) -> str:
        """The hash of its config without the seed; of runs of an older version it is computed."""
        return str(self.record.get("setting") or configs.identity(self.config, with_seed=False))

    @property
    def seed(self) -> int:
        """Its training seed."""
        return int(self.record.get("seed", self.config.get("seed", 0)))

    @property
    def name(self) -> str:
        """What it is called."""
        return str(self.record.get("name") or self.folder.parent.name)

    @property
    def status(self) -> str:
        """`complete`, or what else became of it; `failed` if it ended without a number."""
        status = str(self.record.get("status", "failed"))
        return "failed" if status == "complete" and self.headline_value is None else status

    @property
    def unfinished(self) -> bool:
        """Whether it may still end well."""
        return self.status in UNFINISHED

    @property
    def headline_value(self) -> float | None:
        """The number that ranks it, if it has ended well."""
        if self.row is None or self.row.get("failure") is not None or self.headline is None:
            return None
        value = self.metrics.get(self.headline)
        return value if isinstance(value, float) else None

    @property
    def finished(self) -> bool:
        """Whether it has ended with a number."""
        return self.status == "complete"

    @property
    def reason(self) -> str | None:
        """Why it has no number: one sentence; None for runs that have one or may still get one."""
        if self.finished or self.unfinished:
            return None
        if self.record.get("status") == "complete":
            if self.row is None:
                return "It has no score: run genexp evaluate on its folder."
            return str(self.row.get("failure") or f"{self.headline} is not finite")
        return str(self.record.get("failure") or "no reason was recorded")

    @property
    def images_per_second(self) -> float | None:
        """Images of training over its seconds, scoring and checkpoints included."""
        images, seconds = _last_images(self.folder / "timings.csv"), finite(self.record.get("seconds"))
        return images / seconds if images is not None and seconds else None


@dataclass(frozen=True)
class Collection:
    """All that was found.

    Attributes:
        runs: by identity and folder; of the same config and seed only one.
        notes: sentences on what was left out.
    """

    runs: list[ReportedRun]
    notes: list[str]


def collect(folders: Sequence[Path]) -> Collection:
    """Read the runs in and below some folders.

    Raises:
        UserError: if a folder is missing or no run is in it.
    """
    found: dict[Path, ReportedRun] = {}
    left_out: set[Path] = set()
    for folder in folders:
        if not folder.is_dir():
            raise UserError(f"There is no folder {folder}: give the folder of a sweep or of a run.")
        places = list(_walk(folder, left_out))
        if not places:
            raise UserError(f"There is no run in {folder}: give the folder of a sweep or of a run.")
        for place in places:
            if (path := place.resolve()) in found:
                continue
            run = _read(place)
            if run is None:
                left_out.add(path)
            else:
                found[path] = run
    runs, repeated = _once_each(sorted(found.values(), key=lambda run: (run.folder.name, str(run.folder.resolve()))))
    notes = []
    if left_out:
        notes.append(f"{_count(len(left_out), 'folder is', 'folders are')} damaged or no run, and left out.")
    if repeated:
        notes.append(
            f"{_count(repeated, 'run has', 'runs have')} the config and seed of another: one of each is counted, "
            "a finished one before others and the newest of those."
        )
    _name(runs)
    return Collection(runs, notes)


def finite(value: Any) -> float | None:
    """A number as float; None for anything else, NaN and infinity among it."""
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
        return None
    return float(value)


def _walk(folder: Path, left_out: set[Path]) -> Iterator[Path]:
    """The runs' folders in and below one, not looking into runs; what holds none is noted once, at its top."""
    if (folder / "run.json").is_file():
        yield folder
        return
    if any((folder / name).exists() for name in FILES_OF_A_RUN):
        left_out.add(folder.resolve())
        return
    try:
        with os.scandir(folder) as entries:
            below = sorted(entry.path for entry in entries if entry.is_dir() and not entry.name.startswith("."))
    except OSError:  # somebody else's
        left_out.add(folder.resolve())
        return
    for path in below:
        inner: set[Path] = set()
        runs = list(_walk(Path(path), inner))
        yield from runs
        left_out |= inner if runs else {Path(path).resolve()}


def _read(folder: Path) -> ReportedRun | None:
    """A run; None if its record is damaged or says too little."""
    run = Run(folder)
    try:
        record = run.record
        rows = run.scores()
    except (UserError, OSError, UnicodeDecodeError):
        return None
    config = load_mapping(folder / "config.yaml")
    if "status" not in record or not (config or "setting" in record):
        return None
    return ReportedRun(folder, record, config, _final(rows, record))


def _final(rows: Sequence[dict[str, Any]], record: dict[str, Any]) -> dict[str, Any] | None:
    """The newest score of the last step, of averaged weights if there are such."""
    rows = [row for row in rows if isinstance(row.get("metrics"), dict) and isinstance(row.get("fingerprint"), dict)]
    for fits in (
        lambda row: row.get("step") == record.get("step") and row.get("weights") == "ema",
        lambda row: row.get("step") == record.get("step"),
        lambda row: row.get("weights") == "ema",
        lambda row: True,
    ):
        if chosen := [row for row in rows if fits(row)]:
            return chosen[-1]
    return None


def _once_each(runs: Sequence[ReportedRun]) -> tuple[list[ReportedRun], int]:
    """One run for each setting and seed, and how many were repetitions."""
    chosen: dict[tuple[str, int], ReportedRun] = {}
    for run in runs:
        key = (run.setting, run.seed)
        if key not in chosen or _worth(run) > _worth(chosen[key]):
            chosen[key] = run
    return [run for run in runs if chosen[run.setting, run.seed] is run], len(runs) - len(chosen)


def _worth(run: ReportedRun) -> tuple[int, str, str]:
    order = 2 if run.finished else 0 if run.unfinished else 1
    return order, str(run.record.get("created", "")), str(run.folder.resolve())


def _name(runs: Sequence[ReportedRun]) -> None:
    """Give each run an id that no other has."""
    folders = [run.folder.resolve() for run in runs]
    names = Counter(folder.name for folder in folders)
    for run, folder in zip(runs, folders, strict=True):
        run.id = folder.name if names[folder.name] == 1 else f"{folder.parent.name}/{folder.name}"
    ids = Counter(run.id for run in runs)
    for run, folder in zip(runs, folders, strict=True):
        if ids[run.id] > 1:
            run.id = str(folder)


def _last_images(path: Path) -> float | None:
    """The images that the last whole row of a timings file counts."""
    try:
        with open(path, "rb") as file:
            columns = file.readline().decode().strip().split(",")
            start = file.tell()
            end = file.seek(0, os.SEEK_END)
            file.seek(max(start, end - TAIL_BYTES))
            text = file.read().decode(errors="replace")
        lines = text[: text.rfind("\n") + 1].splitlines()
        return float(lines[-1].split(",")[columns.index("images")])
    except (OSError, ValueError, IndexError):
        return None


def _count(number: int, one: str, several: str) -> str:
    return f"{number} {one if number == 1 else several}"
