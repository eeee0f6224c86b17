"""What is prepared once and read by every later run: folders that appear whole or not at all, and remembered facts."""

import hashlib
import json
import math
import os
import shutil
import threading
from collections.abc import Callable, Sequence
from pathlib import Path

from genexp import atomic, locks
from genexp.errors import UserError


def ensure_folder(folder: Path, write: Callable[[Path], None]) -> None:
    """Make `folder` with `write`, unless it exists.

    One process writes while the others wait, and the folder gets its name when it is complete: a process that is killed
    leaves nothing that a later one would take for whole.

    Arguments:
        folder: the folder to make.
        write: fills the empty folder that it is given.

    Raises:
        UserError: if the cache cannot be written.
    """
    if folder.is_dir():
        return
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with locks.held(folder.parent / f".{folder.name}.lock", math.inf):
            if not folder.is_dir():
                _write_whole(folder, write)
    except OSError as error:
        raise UserError(
            f"The cache {folder.parent} cannot be written ({error}): set paths.cache to a folder with room."
        ) from error


def _write_whole(folder: Path, write: Callable[[Path], None]) -> None:
    for left_behind in folder.parent.glob(f".{folder.name}.*.part"):  # by killed processes: this one has the lock
        shutil.rmtree(left_behind, ignore_errors=True)
    temporary = _temporary(folder)
    temporary.mkdir()
    try:
        write(temporary)
        try:
            os.rename(temporary, folder)
        except OSError:
            if not folder.is_dir():  # where locks do not work another process may have been first
                raise
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def remembered(path: Path, compute: Callable[[], str]) -> str:
    """The text that `compute` gave when it was first asked for at `path`."""
    try:
        return str(json.loads(path.read_text())["value"])
    except (OSError, ValueError, KeyError, TypeError):
        value = compute()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        atomic.write_text(path, json.dumps({"value": value}))
    except OSError:
        pass  # it is computed again next time
    return value


def files_sha256(files: Sequence[tuple[str, Path]], cache_dir: Path | None) -> str:
    """The sha256 of the content of files and of the role that each plays, in order; their names do not enter.

    Reading many gigabytes takes minutes, so the answer is remembered for files whose path, size and times of change
    are the same.

    Arguments:
        files: roles and paths.
        cache_dir: where the answer is remembered; None remembers nothing.
    """

    def read() -> str:
        sha = hashlib.sha256()
        for role, path in files:
            with path.open("rb") as file:
                sha.update(f"{role} {hashlib.file_digest(file, 'sha256').hexdigest()}\n".encode())
        return sha.hexdigest()

    if cache_dir is None:
        return read()
    listing = hashlib.sha256()
    for role, path in files:
        status = path.stat()
        facts = (role, str(path.resolve()), status.st_size, status.st_mtime_ns, status.st_ctime_ns)
        listing.update(f"{facts}\n".encode())
    return remembered(cache_dir / "sources" / f"{listing.hexdigest()[:32]}.json", read)


def _temporary(path: Path) -> Path:
    return path.with_name(f".{path.name}.{os.getpid()}-{threading.get_ident()}.part")
