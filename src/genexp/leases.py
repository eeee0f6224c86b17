"""Lease files: who holds a lock, on file systems whose own locks end at the host.

A lease is a numbered file beside the lock's file, such as `.lock-00000007`, with its owner inside. It is made with
`O_EXCL`, which NFS answers at the server, so that of several contenders one gets the number. A lease that is over is
called `.lock-00000007.free`, and the next one is number 8: the highest number counts, and an owner that slept while
another took over finds its file gone.
"""

import errno
import json
import os
import re
import socket
from contextlib import suppress
from dataclasses import asdict, dataclass, fields
from datetime import datetime
from functools import cache
from pathlib import Path
from uuid import uuid4

from genexp.errors import UserError

SECONDS = 60.0
"""An owner that has not been heard of for so long, by the file server's clock, has lost its lease."""
SECONDS_VARIABLE = "GENEXP_LEASE_SECONDS"
FREE = ".free"
GONE = (errno.ENOENT, errno.ESTALE)


@dataclass(frozen=True)
class Owner:
    """A process that holds a lease.

    Attributes:
        token: of this lease alone.
        host: the machine's name.
        pid: the process, as its own machine or container numbers it.
        born: when the process started, in the kernel's ticks; None where there is no `/proc`.
        boot: the kernel's boot, None where there is no `/proc`.
        namespace: where `pid` has a meaning.
        since: local time at which the lease was taken.
        seconds: how long the lease lasts without a sign of life.
    """

    token: str
    host: str
    pid: int
    born: int | None
    boot: str | None
    namespace: str | None
    since: str
    seconds: float

    @classmethod
    def here(cls) -> "Owner":
        """This process, with a new token.

        Raises:
            UserError: if GENEXP_LEASE_SECONDS is no number of at least 1.
        """
        now = datetime.now().astimezone().isoformat(timespec="seconds")
        return cls(uuid4().hex, *_this_process(os.getpid()), now, lease_seconds())

    @classmethod
    def read(cls, text: str) -> "Owner | None":
        """What a lease file says; None while it is being written."""
        try:
            values = json.loads(text)
            return cls(**{field.name: values[field.name] for field in fields(cls)})
        except (ValueError, TypeError, KeyError):
            return None

    def to_json(self) -> str:
        """The content of a lease file."""
        return json.dumps(asdict(self)) + "\n"

    @property
    def is_neighbour(self) -> bool:
        """Whether its number means the same process here: same host, same boot, same container."""
        return self.boot is not None and (self.host, self.boot, self.namespace) == _place()

    @property
    def is_alive(self) -> bool:
        """Whether the process of a neighbour still runs."""
        try:
            os.kill(self.pid, 0)
        except ProcessLookupError:
            return False
        except PermissionError:
            pass  # another user's
        state, born = _state_of(self.pid)
        return state not in ("Z", "X") and (born is None or born == self.born)

    def __str__(self) -> str:
        return f"process {self.pid} on {self.host} since {self.since}"


def lease_seconds() -> float:
    """How long a lease of this process lasts without a sign of life.

    Raises:
        UserError: if GENEXP_LEASE_SECONDS is no number of at least 1.
    """
    text = os.environ.get(SECONDS_VARIABLE, str(SECONDS))
    with suppress(ValueError):
        if 1 <= float(text) < float("inf"):
            return float(text)
    raise UserError(f"{SECONDS_VARIABLE}={text} is out of range: give a number of seconds of at least 1.")


@cache
def _place() -> tuple[str, str | None, str | None]:
    """The host's name, its boot and this container's process numbers."""
    boot = namespace = None
    with suppress(OSError):
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        namespace = os.readlink("/proc/self/ns/pid")
    return socket.gethostname(), boot, namespace


@cache
def _this_process(pid: int) -> tuple[str, int, int | None, str | None, str | None]:
    host, boot, namespace = _place()
    return host, pid, _state_of(pid)[1], boot, namespace


def _state_of(pid: int) -> tuple[str | None, int | None]:
    """A process's state and the tick at which it started; None where the system does not say."""
    try:
        with open(f"/proc/{pid}/stat") as file:
            words = file.read().rpartition(")")[2].split()
        return words[0], int(words[19])
    except (OSError, ValueError, IndexError):
        return None, None


class Leases:
    """The lease files of one lock.

    Arguments:
        lock: the lock's own file, in a folder that exists.
    """

    def __init__(self, lock: Path) -> None:
        self.lock = lock
        self._name = re.compile(rf"{re.escape(lock.name)}-(\d+)({re.escape(FREE)})?")

    def path(self, number: int) -> Path:
        """The file of one lease."""
        return self.lock.with_name(f"{self.lock.name}-{number:08d}")

    def present(self) -> dict[str, tuple[int, bool]]:
        """The files that are there, each with its number and whether it is over."""
        with os.scandir(self.lock.parent) as entries:
            found = {entry.name: self._name.fullmatch(entry.name) for entry in entries}
        return {name: (int(match[1]), match[2] is not None) for name, match in found.items() if match}

    def newest(self) -> tuple[int, bool]:
        """The highest number, and whether that lease is over; 0 if there never was one."""
        return max(self.present().values(), default=(0, True))

    def create(self, number: int, owner: Owner) -> bool:
        """Take a number; False if another process has it."""
        try:
            file = os.open(self.path(number), os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644)
        except FileExistsError:
            return False
        try:
            os.write(file, owner.to_json().encode())
        finally:
            os.close(file)
        return True

    def holder(self, number: int) -> Owner | None:
        """Who holds a lease; None if it is over, its process is dead, or it has not been heard of for too long."""
        try:
            return self._living(number)
        except OSError as error:
            if error.errno in GONE:
                return None
            raise

    def has_ended(self, number: int) -> bool:
        """Whether a lease that a listing shows can be read and counts no more."""
        try:
            return self._living(number) is None
        except OSError as error:
            if error.errno in GONE:
                return False  # removed at this moment, or a cache that is older than the listing
            raise

    def _living(self, number: int) -> Owner | None:
        with open(self.path(number)) as file:  # opening asks the server: what fstat then says is no old answer
            owner, heard = Owner.read(file.read()), os.fstat(file.fileno()).st_mtime
        if owner is not None and owner.is_neighbour:
            return owner if owner.is_alive else None
        seconds = lease_seconds() if owner is None else owner.seconds
        if self._server_time() - heard > seconds:
            return None
        return owner or Owner("", "another host", 0, None, None, None, "a moment ago", seconds)

    def is_held_by(self, number: int, owner: Owner) -> bool:
        """Whether a lease is still the owner's and no other has come after it.

        Raises:
            OSError: if the file server does not answer.
        """
        try:
            held = Owner.read(self.path(number).read_text())
        except OSError as error:
            if error.errno in GONE:
                return False
            raise
        return held is not None and held.token == owner.token and self.newest()[0] == number

    def refresh(self, number: int) -> None:
        """A sign of life: the file gets the server's time."""
        os.utime(self.path(number))

    def end(self, number: int) -> None:
        """Give a lease back, unless it has been taken away."""
        with suppress(FileNotFoundError):
            os.rename(self.path(number), f"{self.path(number)}{FREE}")

    def clear(self, below: int) -> None:
        """Remove the files of earlier leases."""
        for name, (number, _) in self.present().items():
            if number < below:
                with suppress(FileNotFoundError):
                    os.unlink(self.lock.with_name(name))

    def _server_time(self) -> float:
        """The time by the clock that stamps the files; the local one where nothing may be written."""
        try:
            with open(self.lock, "ab") as file:
                os.utime(file.fileno())
                return os.fstat(file.fileno()).st_mtime
        except PermissionError:
            return datetime.now().timestamp()
