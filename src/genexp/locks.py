"""Locks that hold on shared folders too: a lock of the system, and a lease file that every host sees.

The lock of the system (`flock`) ends with its process but may end at the host, or do nothing, on a network file system.
The lease is what counts: see `genexp.leases`. A thread renews the leases of this process. Whoever writes below a held
folder asks `guard` first, so that a process that slept while its lease ran out and was taken over writes nothing more.
"""

import atexit
import errno
import fcntl
import os
import random
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from genexp.errors import Busy
from genexp.heartbeat import Heart, now
from genexp.leases import Leases, Owner

LOCK = ".lock"
"""The lock's file in a run's folder."""
BEATS = 6
"""Signs of life in the time that a lease lasts."""
LONGEST_WAIT = 0.2
"""Seconds between two attempts to take a lock that is held."""
ATTEMPTS = 8
"""How often to look again when others come and go in between."""
HELD_BY_ANOTHER = (errno.EACCES, errno.EAGAIN, errno.EWOULDBLOCK)


class Lock:
    """A lock between processes, on one host or several with a shared folder.

    Arguments:
        path: the lock's file; the lease files go beside it.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     lock, other = Lock(Path(folder) / ".lock"), Lock(Path(folder) / ".lock")
        ...     lock.acquire()
        ...     try:
        ...         other.acquire()
        ...     except Busy:
        ...         print(other.holder().pid == os.getpid())
        ...     lock.release()
        ...     print(other.holder())
        True
        None
    """

    def __init__(self, path: Path | str) -> None:
        self.path = Path(os.path.abspath(path))
        self.leases = Leases(self.path)
        self._held: tuple[Owner, int] | None = None  # and the lease's number
        self._file: int | None = None
        self._heard = 0.0
        self._lost: str | None = None

    def acquire(self, timeout: float = 0.0) -> None:
        """Take the lock.

        Arguments:
            timeout: seconds to wait for another process; infinite for as long as it takes.

        Raises:
            Busy: if another process has it.
        """
        end, pause = time.monotonic() + timeout, LONGEST_WAIT / 16
        self.path.parent.mkdir(parents=True, exist_ok=True)
        while True:
            try:
                self._acquire()
                return
            except Busy:
                if time.monotonic() >= end:
                    raise
            time.sleep(pause * random.uniform(0.5, 1.5))
            pause = min(2 * pause, LONGEST_WAIT)

    def release(self) -> None:
        """Give the lock back; in a forked child this does nothing."""
        held, self._held = self._held, None
        if held is None or held[0].pid != os.getpid():
            return
        _heart.drop(self)
        if self._lost is None:
            with suppress(OSError):  # a lease that cannot be ended runs out
                self.leases.end(held[1])
        self.let_go()

    def __del__(self) -> None:
        self.release()

    def holder(self) -> Owner | None:
        """Who has the lock at this moment; None if it is free."""
        try:
            number, over = self.leases.newest()
        except FileNotFoundError:
            return None
        return None if over else self.leases.holder(number)

    def check(self) -> None:
        """Make sure that the lock is still this process's, before something is written.

        It asks the server only if the last sign of life is too old for the lease to be safe.

        Raises:
            Busy: if another process has taken it over.
        """
        if self._lost is None and self._held is not None and now() - self._heard > self._held[0].seconds / 2:
            self.beat()
        if self._lost is not None:
            raise Busy(self._lost)

    def beat(self) -> None:
        """Renew the lease, or learn that it is lost.

        Raises:
            OSError: if the file server does not answer.
        """
        held, begun = self._held, now()
        if held is None or self._lost is not None:
            return
        owner, number = held
        if self.leases.is_held_by(number, owner):
            self.leases.refresh(number)
            self._heard = begun
        elif self._held is held:  # not released meanwhile
            self._lost = (
                f"This process was silent for more than {owner.seconds:g} s, and {self.path.parent} was taken over"
                f"{_by(self.holder())}: it ends without writing, and nothing has to be done."
            )

    @property
    def interval(self) -> float:
        """Seconds between two signs of life."""
        held = self._held
        return held[0].seconds / BEATS if held is not None else float("inf")

    @property
    def is_due(self) -> bool:
        """Whether it is time for a sign of life; a little early is no harm."""
        return now() - self._heard >= 0.9 * self.interval

    def let_go(self) -> None:
        """Close the file of the system's lock."""
        file, self._file = self._file, None
        if file is not None:
            os.close(file)

    def _acquire(self) -> None:
        if self._held is not None:
            raise self._busy(self._held[0])
        owner = Owner.here()
        self._file = self._system_lock()
        try:
            number, self._heard, self._lost = self._take_lease(owner), now(), None
        except BaseException:
            self.let_go()
            raise
        self._held = owner, number
        _heart.add(self)

    def _system_lock(self) -> int:
        file = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno in HELD_BY_ANOTHER:
                os.close(file)
                raise self._busy(self.holder()) from None
            # a file system without such locks: the lease decides alone
        return file

    def _take_lease(self, owner: Owner) -> int:
        """Make the next lease; its number."""
        number, over = self.leases.newest()
        for _ in range(ATTEMPTS):
            if not over and (holder := self.leases.holder(number)) is not None:
                raise self._busy(holder)
            number, over = number + 1, False
            if not self._create(number, owner):
                continue  # another process was faster, or the listing was old: look at that lease
            if not self._has_rival(number):
                self.leases.clear(below=number)
                return number
            with suppress(FileNotFoundError):
                os.unlink(self.leases.path(number))
            number, over = self.leases.newest()
        raise self._busy(self.holder())

    def _create(self, number: int, owner: Owner) -> bool:
        try:
            return self.leases.create(number, owner)
        except PermissionError:  # what SFTP says of a file that is there, too
            if os.access(self.path.parent, os.W_OK):
                raise self._busy(None) from None
            raise

    def _has_rival(self, number: int) -> bool:
        """Whether there is a later lease than one's own, or an earlier one that counts.

        As this process has just changed the folder, no listing from before answers, and nothing that was overlooked
        earlier stays so.
        """
        for other, over in self.leases.present().values():
            if other > number or (other < number and not over and not self.leases.has_ended(other)):
                return True
        return False

    def _busy(self, holder: Owner | None) -> Busy:
        if holder is None:
            return Busy(f"Another process works in {self.path.parent}: wait for it or stop it.")
        ends = "" if holder.is_neighbour else f"; if it is dead, its hold ends after {holder.seconds:.0f} s"
        return Busy(f"Another process works in {self.path.parent} ({holder}): wait for it or stop it{ends}.")


def _by(holder: Owner | None) -> str:
    return f" by {holder}" if holder is not None else ""


_heart: Heart[Lock] = Heart()
atexit.register(_heart.stop)
os.register_at_fork(after_in_child=_heart.forget)


@contextmanager
def held(path: Path | str, timeout: float = 0.0) -> Iterator[None]:
    """Hold a lock for a while.

    Arguments:
        path: the lock's file.
        timeout: seconds to wait for another process.

    Raises:
        Busy: if another process has it.
    """
    lock = Lock(path)
    lock.acquire(timeout)
    try:
        yield
    finally:
        lock.release()


def release_all() -> None:
    """Give back every lock of this process, in a thread that is about to end it."""
    for lock in _heart.locks():
        lock.release()


def guard(path: Path | str) -> None:
    """Call this before writing a file: below a folder whose lock this process has lost it must not.

    Arguments:
        path: what is going to be written.

    Raises:
        Busy: if another process has taken the folder over.
    """
    for lock in _heart.locks():
        if str(lock.path.parent) == os.path.commonpath([lock.path.parent, os.path.abspath(path)]):
            lock.check()
