"""A run's folder and its copy in the store, made equal in either direction.

What was last seen equal is noted in the folder (`.mirror.json`): each file's size and time here and its version there.
So each side knows what it has changed since. Where both have changed, the run that came further counts: a step's bits
are the same whoever computed it.
"""

import json
import os
import re
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from itertools import takewhile
from pathlib import Path
from typing import Any
from uuid import uuid4

from genexp import atomic
from genexp.storage.store import Entry, Store

INDEX = ".mirror.json"
RECORD = "run.json"
LOG = "log.txt"
LIGHT = (RECORD, "config.yaml")
_CHECKPOINT = re.compile(r"checkpoints/step-(\d{8})-[0-9a-f]{16}\.ckpt")

Stamp = tuple[int, int]
"""A file's size in bytes and its time of change in nanoseconds."""


class Mirror:
    """A folder and the objects that stand for it.

    Arguments:
        folder: of a run, or of copies for reading.
        store: its objects.
    """

    def __init__(self, folder: Path, store: Store) -> None:
        self.folder, self.store = folder, store
        self._seen = self._read_index()

    def files(self) -> dict[str, Stamp]:
        """What belongs to the copy: every file but hidden ones and links."""
        found = {}
        for parent, folders, names in os.walk(self.folder):
            folders[:] = [name for name in folders if not name.startswith(".")]
            for name in names:
                path = Path(parent) / name
                if not name.startswith(".") and not path.is_symlink():
                    with suppress(FileNotFoundError):
                        found[path.relative_to(self.folder).as_posix()] = _stamp(path)
        return found

    def differs(self, name: str) -> bool:
        """Whether a file here is not what the store was last seen to have."""
        path = self.folder / name
        return path.is_file() and (name not in self._seen or self._seen[name][0] != list(_stamp(path)))

    def lacks(self, names: Iterable[str], remote: Mapping[str, Entry]) -> bool:
        """Whether the store has a version of one of these that was never here."""
        return any(name in remote and self._version(name) != remote[name].version for name in names)

    def reconcile(self) -> None:
        """Take what the store has, before the run goes on here; what only this machine has is left for `send`.

        Raises:
            Unreachable: if the store does not answer.
        """
        remote, local = visible(self.store.listing()), self.files()
        known = [name for name in remote if name in self._seen or name in local]
        theirs = any(self._version(name) != remote[name].version for name in known)
        mine = any(name not in self._seen or self._seen[name][0] != list(stamp) for name, stamp in local.items())
        if theirs and not (mine and self._is_ahead(local, remote)):
            self.fetch(remote, lambda name: True)
            for name in set(local) - set(remote):
                if _CHECKPOINT.fullmatch(name):
                    (self.folder / name).unlink(missing_ok=True)
            return
        newest = _newest_step(local)
        missing = {name for name in remote if name not in local and not -1 < _step(name) < newest}
        self.fetch(remote, lambda name: name in missing)

    def fetch(self, remote: Mapping[str, Entry], wanted: Callable[[str], bool]) -> None:
        """Get the objects that are not here as they are there.

        Arguments:
            remote: a listing.
            wanted: whether a name is asked for.

        Raises:
            Gone: if one of them was deleted meanwhile.
            Unreachable: if the store does not give them.
        """
        chosen = {
            name: entry
            for name, entry in remote.items()
            if wanted(name) and (self._version(name) != entry.version or self._has_changed(name))
        }
        parts = {name: self._part(name) for name in chosen}
        for folder in {part.parent for part in parts.values()}:
            atomic.remove_abandoned(folder)
        try:
            self.store.download(parts)
            for name, entry in chosen.items():
                path = self.folder / name
                if name == LOG and path.is_file():
                    self._seen[name] = [_prepend(parts[name], path), entry.version]
                    continue
                os.utime(parts[name], (entry.modified, entry.modified))
                os.replace(parts[name], path)
                self._seen[name] = [list(_stamp(path)), entry.version]
        finally:
            for part in parts.values():
                part.unlink(missing_ok=True)
        if chosen:
            self._write_index()

    def send(self, may_send: Callable[[Mapping[str, Entry]], bool] = lambda listing: True) -> bool:
        """Put what has changed here; a reader never finds a record or rows that lag behind a checkpoint.

        The rows and pictures go first, then the checkpoints, then `run.json` as it was at the beginning; last, what
        this run has deleted of its older checkpoints is deleted there.

        Arguments:
            may_send: asked with a listing before anything is put.

        Returns:
            False if it may not.

        Raises:
            Unreachable: if the store does not take something; the same call again sends the rest.
        """
        record = self.folder / RECORD
        before = (_stamp(record), record.read_bytes()) if record.is_file() else None
        local = self.files()
        listing = self.store.listing()
        if not may_send(listing):
            return False
        remote = visible(listing)
        self._learn(remote)
        todo = {name: stamp for name, stamp in local.items() if name not in remote or self._differs(name, stamp)}
        checkpoints = sorted(name for name in todo if _CHECKPOINT.fullmatch(name))
        self._put({name: todo[name] for name in todo if name != RECORD and name not in checkpoints})
        for name in checkpoints:
            self._put({name: todo[name]})
        if before is not None and (RECORD not in remote or self._differs(RECORD, before[0])):
            self.store.write(RECORD, before[1])
            self._seen[RECORD] = [list(before[0]), None]
        newest = _newest_step(local)
        old = [name for name in remote if name not in local and -1 < _step(name) < newest]
        self.store.remove(old)
        for name in old:
            self._seen.pop(name, None)
        self._write_index()
        return True

    def learn(self) -> None:
        """Note that what was sent is what the store has: then it is not fetched again.

        Raises:
            Unreachable: if the store does not answer.
        """
        self._learn(self.store.listing())
        self._write_index()

    def fetch_own(self, remote: Mapping[str, Entry]) -> None:
        """Get the files that stand in the folder itself, of a sweep: its calls.

        Raises:
            Unreachable: if the store does not give them.
        """
        self.fetch(remote, lambda name: "/" not in name and not self.differs(name))

    def send_own(self) -> None:
        """Put the files that stand in the folder itself.

        Raises:
            Unreachable: if the store does not take them.
        """
        names = [path.name for path in self.folder.iterdir() if path.is_file() and not path.name.startswith(".")]
        self._put({name: _stamp(self.folder / name) for name in names if self.differs(name)})
        self._write_index()

    def _put(self, files: Mapping[str, Stamp]) -> None:
        """Put files; one that was deleted meanwhile is left out."""
        there = {name: self.folder / name for name in files if (self.folder / name).is_file()}
        try:
            self.store.upload(there)
        except FileNotFoundError:  # the others have to go all the same
            return self._put({name: files[name] for name in there if there[name].is_file()})
        self._seen |= {name: [list(files[name]), None] for name in there}

    def _learn(self, remote: Mapping[str, Entry]) -> None:
        """Note the versions of what this process has put."""
        for name, entry in remote.items():
            if name in self._seen and self._seen[name][1] is None:
                self._seen[name][1] = entry.version

    def _is_ahead(self, local: Mapping[str, Stamp], remote: Mapping[str, Entry]) -> bool:
        """Whether the run came further here than there."""
        here, there = _newest_step(local), _newest_step(remote)
        if here != there:
            return here > there
        record = self.folder / RECORD
        status = status_in(record.read_bytes() if record.is_file() else None)
        return status == "complete" and status_in(self.store.read(RECORD)) != "complete"

    def _version(self, name: str) -> str | None:
        return self._seen[name][1] if name in self._seen else None

    def _differs(self, name: str, stamp: Stamp) -> bool:
        return name not in self._seen or self._seen[name][0] != list(stamp)

    def _has_changed(self, name: str) -> bool:
        path = self.folder / name
        return not path.is_file() or self._differs(name, _stamp(path))

    def _part(self, name: str) -> Path:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        return path.with_name(f"{atomic.PREFIX}{uuid4().hex[:12]}-{path.name}")

    def _read_index(self) -> dict[str, list[Any]]:
        try:
            return dict(json.loads((self.folder / INDEX).read_text()))
        except (OSError, ValueError, TypeError):
            return {}

    def _write_index(self) -> None:
        path = self.folder / INDEX
        path.parent.mkdir(parents=True, exist_ok=True)
        atomic.write_text(path, json.dumps(self._seen))


def visible(listing: Mapping[str, Entry]) -> dict[str, Entry]:
    """Without what is hidden: leases and the clock."""
    return {name: entry for name, entry in listing.items() if not any(p.startswith(".") for p in name.split("/"))}


def _prepend(part: Path, log: Path) -> list[int] | None:
    """Put what other machines have printed before what this one has; a process may be writing at the file's end.

    Returns:
        The stamp if the file is what the store has.
    """
    theirs, ours = part.read_bytes(), log.read_bytes()
    part.unlink()
    both = zip(theirs.splitlines(keepends=True), ours.splitlines(keepends=True), strict=False)
    whole = theirs + ours[sum(len(line) for line, other in takewhile(lambda pair: pair[0] == pair[1], both)) :]
    if whole != ours:
        with open(log, "r+b") as file:
            file.write(whole)
    return list(_stamp(log)) if whole == theirs else None


def _stamp(path: Path) -> Stamp:
    status = path.stat()
    return status.st_size, status.st_mtime_ns


def _step(name: str) -> int:
    """The step of a checkpoint; -1 for any other name."""
    match = _CHECKPOINT.fullmatch(name)
    return -1 if match is None else int(match[1])


def _newest_step(names: Mapping[str, Any]) -> int:
    return max(map(_step, names), default=-1)


def status_in(record: bytes | None) -> str | None:
    """The status that a `run.json` states; None without one."""
    try:
        return None if record is None else str(json.loads(record)["status"])
    except (ValueError, TypeError, KeyError):
        return None
