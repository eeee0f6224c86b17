"""The thread that renews the leases of a process, see `genexp.locks`."""

import threading
import time
from contextlib import suppress
from typing import Generic, Protocol, TypeVar
from weakref import ref

JOIN_SECONDS = 2.0
"""How long the end of the process waits for a file server that does not answer."""


def now() -> float:
    """Seconds of a clock that also counts while the machine sleeps."""
    return time.clock_gettime(time.CLOCK_BOOTTIME) if hasattr(time, "CLOCK_BOOTTIME") else time.monotonic()


class Beating(Protocol):
    """A lock, as the thread sees it."""

    @property
    def interval(self) -> float:
        """Seconds between two signs of life."""
        ...

    @property
    def is_due(self) -> bool:
        """Whether it is time for one."""
        ...

    def beat(self) -> None:
        """Give one."""
        ...

    def release(self) -> None:
        """Give the lock back."""
        ...

    def let_go(self) -> None:
        """Close its file and no more."""
        ...


L = TypeVar("L", bound=Beating)


class Heart(Generic[L]):
    """The locks that this process holds, and the thread that renews their leases."""

    def __init__(self) -> None:
        self._held: dict[int, ref[L]] = {}  # a lock that nobody refers to any more is given back
        self._changed = threading.Condition()
        self._pause = 0.0  # the thread's
        self._thread: threading.Thread | None = None
        self._stopped = False

    def add(self, lock: L) -> None:
        """Renew a lock's lease from here on."""
        with self._changed:
            self._held[id(lock)] = ref(lock)
            if self._thread is None:
                self._pause = lock.interval
                self._thread = threading.Thread(target=self._run, daemon=True, name="leases")
                self._thread.start()
            elif lock.interval < self._pause:
                self._changed.notify()

    def locks(self) -> list[L]:
        """Those that are held."""
        return [lock for found in list(self._held.values()) if (lock := found()) is not None]

    def drop(self, lock: L) -> None:
        """Renew it no more."""
        self._held.pop(id(lock), None)

    def stop(self) -> None:
        """When the process ends in order: nobody has to look whether it lives, and no thread sees Python go."""
        for lock in self.locks():
            lock.release()
        if self._thread is not None:
            with self._changed:
                self._stopped = True
                self._changed.notify()
            self._thread.join(JOIN_SECONDS)

    def forget(self) -> None:
        """In a forked child: the locks are the parent's, and so is the thread."""
        for lock in self.locks():
            lock.let_go()
        self.__init__()  # type: ignore[misc]

    def _run(self) -> None:
        while not self._stopped:
            self._beat()
            with self._changed:
                self._pause = min((lock.interval for lock in self.locks()), default=self._pause)
                if not self._stopped:
                    self._changed.wait(self._pause)

    def _beat(self) -> None:
        for lock in self.locks():
            if lock.is_due:
                with suppress(OSError):  # the server does not answer: again at the next beat
                    lock.beat()
