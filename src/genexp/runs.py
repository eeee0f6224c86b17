"""A run's folder: everything that a run was, is and has to show."""

import json
import os
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import Any

from genexp import atomic, config, locks
from genexp.errors import UserError
from genexp.provenance import provenance
from genexp.storage import copies, places
from genexp.storage.courier import working

RANK_VARIABLES = ("LOCAL_RANK", "NODE_RANK", "GROUP_RANK", "RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")
"""What tells a process that it is one of several; a job of a sweep begins without them."""
THREADS_VARIABLE = "GENEXP_THREADS"
"""A job's share of the cores, where `trainer.threads` is null."""
SCORES_WAIT_SECONDS = 120.0
"""A process that adds a score holds the file for milliseconds; one that died on another host for its lease."""


class Run:
    """The folder of one run.

    `config.yaml` (resolved), `run.json` (status, versions, commit, cost), `metrics.csv`, `timings.csv`, `checkpoints/`,
    `samples/`, `scores.jsonl`. `genexp sample` and `genexp evaluate` need nothing else.
    """

    def __init__(self, folder: Path | str) -> None:
        self.folder = Path(folder)

    @classmethod
    def open(cls, folder: Path | str) -> "Run":
        """An existing run.

        Arguments:
            folder: or an address, of which this machine's folder is opened.

        Raises:
            UserError: if it is not a run, or the address cannot be used.
        """
        run = cls(copies.fetched(folder) if places.is_address(folder) else folder)
        if not run.folder.is_dir():
            raise UserError(f"There is no run at {places.shown(folder)}: give the folder that genexp train printed.")
        if not (run.folder / "run.json").is_file():
            raise UserError(f"{places.shown(folder)} is not a run: it has no run.json.")
        return run

    @property
    def address(self) -> str | None:
        """Where the run's output is, if that is an address; the folder is then this machine's copy."""
        return places.address_of(self.folder)

    @property
    def checkpoints(self) -> Path:
        """Where the checkpoints are."""
        return self.folder / "checkpoints"

    @property
    def samples(self) -> Path:
        """Where the sample grids are."""
        return self.folder / "samples"

    @property
    def config(self) -> dict[str, Any]:
        """The resolved config as plain containers."""
        plain = config.load_yaml(self.folder / "config.yaml")
        return plain if self.address is None else places.with_own_cache(plain)

    @property
    def record(self) -> dict[str, Any]:
        """The content of `run.json`.

        Raises:
            UserError: if it is damaged.
        """
        try:
            return dict(json.loads(atomic.read_text(self.folder / "run.json")))
        except (ValueError, TypeError) as error:
            raise UserError(f"{self.folder / 'run.json'} is damaged: move the folder away.") from error

    def update(self, **values: Any) -> None:
        """Change values of `run.json`, atomically."""
        path = self.folder / "run.json"
        record = {**(self.record if path.is_file() else {}), **values}
        atomic.write_text(path, json.dumps(record, indent=2) + "\n")

    @property
    def readable(self) -> bool:
        """Whether `run.json` is whole; a damaged run is not listed."""
        try:
            return bool(self.record)
        except (UserError, OSError, UnicodeDecodeError):
            return False

    @property
    def python_path(self) -> list[str]:
        """Where the user's own models are found."""
        return self.record.get("python_path", [])

    def create(
        self,
        plain: dict[str, Any],
        choices: dict[str, str],
        python_path: Sequence[str] = (),
        *,
        overrides: Sequence[str] = (),
        config_dir: str | None = None,
        sweep: str | None = None,
        status: str = "running",
    ) -> None:
        """Make the folder of a new run.

        Arguments:
            plain: the resolved config.
            choices: the option chosen for each group.
            python_path: folders in which the user's own models are found.
            overrides: what a person gives after `genexp train` to get this run.
            config_dir: the folder of the user's own groups.
            sweep: the name of the sweep whose job this is.
            status: `running`, or `queued` for a job that a launcher will start.

        Raises:
            UserError: if the folder holds another run already.
        """
        if self.exists:
            raise UserError(
                f"{places.shown(self.folder)} holds a run already: add resume=auto to go on with it, or choose another "
                "run_dir."
            )
        self.folder.mkdir(parents=True, exist_ok=True)
        config.save_yaml(plain, self.folder / "config.yaml")
        self.update(
            status=status,
            name=plain["name"],
            sweep=sweep,
            overrides=list(overrides),
            config_dir=config_dir,
            choices=choices,
            python_path=list(python_path),
            identity=config.identity(plain),
            setting=config.identity(plain, with_seed=False),
            seed=plain["seed"],
            created=datetime.now().astimezone().isoformat(timespec="seconds"),
            seconds=0.0,
            cpu_seconds=0.0,
            **provenance(),
        )

    @property
    def exists(self) -> bool:
        """Whether the folder holds a run: `run.json` is the last file that `create` writes."""
        return (self.folder / "run.json").is_file()

    @contextmanager
    def locked(self, timeout: float = 0.0) -> Iterator[None]:
        """Hold the run against a second process on this host or another; see `genexp.locks`.

        Arguments:
            timeout: seconds to wait for another process.

        Raises:
            Busy: if another process works in this folder.
        """
        with locks.held(self.folder / locks.LOCK, timeout):
            for folder in (self.folder, self.samples):
                atomic.remove_abandoned(folder)
            yield

    @contextmanager
    def claimed(self, timeout: float = 0.0) -> Iterator[None]:
        """Hold the run to work on it, on other machines too; an output at an address is fetched first and sent after.

        Arguments:
            timeout: seconds to wait for another process of this host.

        Raises:
            Busy: if another process works on it.
            UserError: if the address cannot be used, or did not take everything at the end.
        """
        with self.locked(timeout):
            if self.address is None:
                yield
                return
            with working(self.folder, self.address):
                yield

    @property
    def is_locked(self) -> bool:
        """Whether a process works in this folder at this moment."""
        return locks.Lock(self.folder / locks.LOCK).holder() is not None

    @property
    def is_claimed(self) -> bool:
        """Whether a process works on this run, on this machine or another; if none does, its record is up to date."""
        if self.is_locked:
            return True
        return self.address is not None and copies.is_claimed(self.folder, self.address)

    def append_scores(self, row: dict[str, Any]) -> None:
        """Add one line to `scores.jsonl`: the file is replaced, one process at a time, so that no reader sees half."""
        path = self.folder / "scores.jsonl"
        with locks.held(self.folder / ".scores.lock", SCORES_WAIT_SECONDS):
            rows = [*self.scores(), row]
            atomic.write_text(path, "".join(json.dumps(one) + "\n" for one in rows))

    def scores(self) -> list[dict[str, Any]]:
        """The lines of `scores.jsonl`, oldest first, without what a killed process left half-written."""
        path = self.folder / "scores.jsonl"
        rows = []
        for line in atomic.read_text(path).splitlines() if path.is_file() else []:
            with suppress(ValueError):
                row = json.loads(line)
                if isinstance(row, dict):
                    rows.append(row)
        return rows

    def final_score(self, step: int, weights: str) -> dict[str, Any] | None:
        """The newest row of `scores.jsonl` for these weights at this step; None if they were not scored."""
        rows = [row for row in self.scores() if (row.get("step"), row.get("weights")) == (step, weights)]
        return rows[-1] if rows else None


def python_path(config_dir: str | None) -> list[str]:
    """Where the user's own models are found: in the folder that holds their configs, and here."""
    return [] if config_dir is None else [str(Path.cwd()), str(Path(config_dir).resolve().parent)]


def make_importable(folders: Sequence[str]) -> None:
    """Let Python find modules in these folders."""
    sys.path[:0] = [folder for folder in folders if folder not in sys.path]


def new_folder(plain: dict[str, Any]) -> Path:
    """A folder that no run has: output/name/time-seed-identity."""
    stamp = time.strftime("%Y%m%d-%H%M%S")
    output = places.folder_of(plain["paths"]["output"])
    base = output / plain["name"] / f"{stamp}-s{plain['seed']}-{config.identity(plain)[:6]}"
    folder, attempt = base, 1
    while folder.exists():
        attempt += 1
        folder = base.with_name(f"{base.name}-{attempt}")
    return folder.resolve()


def all_runs(output: Path | str) -> list[Run]:
    """The runs under `output`, oldest first; what is inside a run's folder is not looked at."""
    found = []
    for folder, below, files in os.walk(output):
        if "run.json" in files:
            below.clear()
            with suppress(FileNotFoundError):  # removed meanwhile
                found.append((os.stat(os.path.join(folder, "run.json")).st_mtime, folder))
    return [run for run in (Run(folder) for _, folder in sorted(found)) if run.readable]


def unfinished(output: Path | str, identity: str | None) -> Run | None:
    """The newest run under `output` that is not complete, of the given identity if there is one.

    A sweep's jobs are not meant: the sweep's own command goes on with them.
    """
    for run in reversed(all_runs(output)):
        record = run.record
        taken_up = record.get("status") in ("running", "stopped", "failed") and record.get("sweep") is None
        if taken_up and identity in (None, record.get("identity")):
            return run
    return None
