"""Who works on a run, when that is not decided by a file system: numbered objects, made where there is none.

A lease is `.lease/00000007` in the run, made by a conditional put (`If-None-Match: *`): of several contenders one gets
the number. Its owner puts it again now and then, and puts `free` at the end; the next lease is number 8. The highest
number counts, so that an owner that slept while another took over learns of it, by the listing that each transfer
begins with, and sends nothing more.
"""

import sys
import threading
from collections.abc import Mapping

from genexp.errors import Busy
from genexp.leases import SECONDS, Owner
from genexp.storage.store import Entry, Store, Unreachable

FOLDER = ".lease"
FREE = b"free\n"
BEATS = 4
"""Signs of life in the time that a lease lasts."""


class Lease:
    """The lease of a run, held from `take` to `release`.

    Arguments:
        store: the run's objects.
    """

    def __init__(self, store: Store) -> None:
        self.store = store
        self.lost = threading.Event()
        self._owner: Owner | None = None
        self._number = 0
        self._ended = threading.Event()
        self._thread: threading.Thread | None = None

    def take(self) -> None:
        """Hold the run against other machines.

        Raises:
            Busy: if another process has it.
            Unreachable: if the store does not answer.
        """
        leases = numbers(self.store.listing())
        newest = max(leases, default=0)
        owner = Owner.here()
        if newest and (holder := self._holder(newest, leases[newest])) is not None:
            raise Busy(_sentence(self.store.address, holder))
        name, content = _name(newest + 1), owner.to_json().encode()
        if not self.store.create(name, content) and self.store.read(name) != content:  # else only the answer was lost
            raise Busy(f"Another process has just begun to work on {self.store.address}: wait for it or stop it.")
        if self.store.create(name, content):  # a store that passes over the condition
            print(
                f"genexp: {self.store.address} does not know conditional puts: nothing keeps another machine from "
                "working on the same run.",
                file=sys.stderr,
            )
        self._owner, self._number = owner, newest + 1
        self.store.remove(_name(number) for number in leases)
        self._thread = threading.Thread(target=self._beat, daemon=True, name="lease")
        self._thread.start()

    def release(self) -> None:
        """Give the lease back; one that cannot be given back runs out."""
        self._ended.set()
        if self._thread is not None:
            self._thread.join()
        if self._owner is not None and not self.lost.is_set():
            try:
                self.store.write(_name(self._number), FREE)
            except Unreachable:
                return

    def check(self, listing: Mapping[str, Entry]) -> bool:
        """Whether the lease is still this process's, by what is there."""
        if max(numbers(listing), default=0) > self._number:
            self.lost.set()
        return not self.lost.is_set()

    def _beat(self) -> None:
        assert self._owner is not None
        while not self._ended.wait(self._owner.seconds / BEATS):
            try:
                if not self.check(self.store.below(FOLDER).listing()):
                    return
                self.store.write(_name(self._number), self._owner.to_json().encode())
            except Unreachable:
                continue  # the transfers tell of it

    def _holder(self, number: int, entry: Entry) -> Owner | None:
        return holder(self.store, number, entry)


def holder(store: Store, number: int, entry: Entry) -> Owner | None:
    """Who holds a lease; None if it was given back, its process is dead, or it has been silent for too long.

    Arguments:
        store: the run's objects.
        number: of the lease.
        entry: its object.

    Raises:
        Unreachable: if the store does not answer.
    """
    content = store.read(_name(number))
    if content is None or content == FREE:
        return None
    owner = Owner.read(content.decode(errors="replace"))
    if owner is not None and owner.is_neighbour:
        return owner if owner.is_alive else None
    seconds = SECONDS if owner is None else owner.seconds
    if store.now() - entry.modified > seconds:
        return None
    return owner or Owner("", "another host", 0, None, None, None, "a moment ago", seconds)


def numbers(listing: Mapping[str, Entry]) -> dict[int, Entry]:
    """The leases in a listing of a run, or of its leases' folder."""
    names = {name.removeprefix(f"{FOLDER}/"): entry for name, entry in listing.items()}
    return {int(name): entry for name, entry in names.items() if name.isdigit() and len(name) == 8}


def _name(number: int) -> str:
    return f"{FOLDER}/{number:08d}"


def _sentence(address: str, holder: Owner) -> str:
    ends = "" if holder.is_neighbour else f"; if it is dead, its hold ends after {holder.seconds:.0f} s"
    return f"Another process works on {address} ({holder}): wait for it or stop it{ends}."
