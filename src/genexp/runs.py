"""A run's folder: everything that a run was, is and has to show."""

import json
import os
import platform
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import datetime
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

import genexp
from genexp import config
from genexp.errors import Busy, UserError

RUN_DIR_VARIABLE = "GENEXP_RUN_DIR"
"""Tells the processes that Lightning starts for the other ranks where the run is."""
RANK_VARIABLES = ("LOCAL_RANK", "NODE_RANK", "GROUP_RANK", "RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")
"""What tells a process that it is one of several; a job of a sweep begins without them."""
THREADS_VARIABLE = "GENEXP_THREADS"
"""A job's share of the cores, where `trainer.threads` is null."""
PACKAGES = ("torch", "lightning", "hydra-core", "numpy", "wandb")


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

        Raises:
            UserError: if the folder is not a run.
        """
        run = cls(folder)
        if not run.folder.is_dir():
            raise UserError(f"There is no run at {folder}: give the folder that genexp train printed.")
        if not (run.folder / "run.json").is_file():
            raise UserError(f"{folder} is not a run: it has no run.json.")
        return run

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
        return config.load_yaml(self.folder / "config.yaml")

    @property
    def record(self) -> dict[str, Any]:
        """The content of `run.json`.

        Raises:
            UserError: if it is damaged.
        """
        try:
            return dict(json.loads((self.folder / "run.json").read_text()))
        except (ValueError, TypeError) as error:
            raise UserError(f"{self.folder / 'run.json'} is damaged: move the folder away.") from error

    def update(self, **values: Any) -> None:
        """Change values of `run.json`, atomically."""
        path = self.folder / "run.json"
        record = {**(self.record if path.is_file() else {}), **values}
        temporary = path.with_name(f".run.json.{os.getpid()}.part")
        temporary.write_text(json.dumps(record, indent=2) + "\n")
        os.replace(temporary, path)

    @property
    def readable(self) -> bool:
        """Whether `run.json` is whole; a damaged run is not listed."""
        try:
            return bool(self.record)
        except UserError:
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
                f"{self.folder} holds a run already: add resume=auto to go on with it, or choose another run_dir."
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
        """Hold the run against a second process; the system lets go of it when this process dies.

        Arguments:
            timeout: seconds to wait for another process.

        Raises:
            Busy: if another process works in this folder.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        lock = FileLock(self.folder / ".lock")
        try:
            lock.acquire(timeout=timeout)
        except Timeout:
            raise Busy(f"Another process is training in {self.folder}: wait for it or stop it.") from None
        try:
            yield
        finally:
            lock.release()

    @property
    def is_locked(self) -> bool:
        """Whether a process works in this folder at this moment."""
        try:
            with self.locked():
                return False
        except Busy:
            return True

    def append_scores(self, row: dict[str, Any]) -> None:
        """Add one line to `scores.jsonl`; what a killed process left of its own is closed off first."""
        path = self.folder / "scores.jsonl"
        broken = path.is_file() and not path.read_bytes().endswith(b"\n") and path.stat().st_size > 0
        with open(path, "a") as file:
            file.write(("\n" if broken else "") + json.dumps(row) + "\n")

    def scores(self) -> list[dict[str, Any]]:
        """The lines of `scores.jsonl`, oldest first, without what a killed process left half-written."""
        path = self.folder / "scores.jsonl"
        rows = []
        for line in path.read_text().splitlines() if path.is_file() else []:
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


@cache
def provenance() -> dict[str, Any]:
    """The code's commit, the packages' versions and the machine, as they were when this process first asked."""
    versions = {"genexp": genexp.__version__, "python": platform.python_version()}
    for package in PACKAGES:
        try:
            versions[package] = version(package)
        except PackageNotFoundError:
            versions[package] = "absent"
    return {"commit": commit(), "versions": versions, "machine": platform.platform(), "cpus": os.cpu_count()}


@cache
def commit() -> str | None:
    """The git commit of the code, with `+` when files differ from it; in an image, GENEXP_COMMIT."""
    here = Path(__file__).parent
    try:
        head = subprocess.run(
            ["git", "-C", str(here), "rev-parse", "--short=12", "HEAD"], capture_output=True, text=True, timeout=5
        )
        dirty = subprocess.run(
            ["git", "-C", str(here), "status", "--porcelain", "-uno", ":/src", ":/conf"],
            capture_output=True,
            text=True,
            timeout=5,
        )
    except (OSError, subprocess.TimeoutExpired):
        return os.environ.get("GENEXP_COMMIT") or None
    if head.returncode != 0:
        return os.environ.get("GENEXP_COMMIT") or None
    return head.stdout.strip() + ("+" if dirty.stdout.strip() else "")


def new_folder(plain: dict[str, Any]) -> Path:
    """A folder that no run has: output/name/time-seed-identity."""
    stamp = time.strftime("%Y%m%d-%H%M%S")
    base = Path(plain["paths"]["output"]) / plain["name"] / f"{stamp}-s{plain['seed']}-{config.identity(plain)[:6]}"
    folder, attempt = base, 1
    while folder.exists():
        attempt += 1
        folder = base.with_name(f"{base.name}-{attempt}")
    return folder.resolve()


def all_runs(output: Path | str) -> list[Run]:
    """The runs under `output`, oldest first."""
    found = sorted(Path(output).glob("**/run.json"), key=lambda path: path.stat().st_mtime)
    return [run for run in (Run(path.parent) for path in found) if run.readable]


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
