"""What commands that read get of a store: copies in this machine's cache, brought up to date by each call."""

import sys
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from genexp import locks
from genexp.errors import Busy, Undelivered, UserError
from genexp.storage import places
from genexp.storage.lease import holder, numbers
from genexp.storage.mirror import LIGHT, RECORD, Mirror, status_in, visible
from genexp.storage.store import Entry, Gone, Store, Unreachable

if TYPE_CHECKING:
    from genexp.runs import Run

TABLES = (*LIGHT, "scores.jsonl", "metrics.csv", "timings.csv", "anchors.json")
"""What a report reads of a run, beside its pictures."""
LISTINGS = 5
"""A copy begins anew when something is deleted while it is made, so many times at most."""
LOOK_SECONDS = 5.0
"""Between two looks at a run that another machine works on."""
_not_before: dict[str, float] = {}
"""When such runs are looked at again."""


def copied(place: Path | str, wanted: Callable[[PurePosixPath], bool]) -> Path:
    """A folder with what is wanted below a place; a folder of this machine is itself.

    Arguments:
        place: a folder or an address.
        wanted: whether a path below it is asked for.

    Raises:
        UserError: if the address cannot be read or nothing is below it.
    """
    if not places.is_address(place):
        return Path(place)
    store, folder = Store(str(place)), places.folder_of(place, places.COPIES)
    mirror = Mirror(folder, store)
    for attempts in reversed(range(LISTINGS)):
        remote = visible(store.listing())
        if not remote:
            raise UserError(f"There is nothing at {place}: give the address that genexp train printed.")
        try:
            mirror.fetch(remote, lambda name: wanted(PurePosixPath(name)))
            break
        except Gone:  # a run that trains has deleted an older checkpoint since
            if not attempts:
                raise
    for name in set(mirror.files()) - set(remote):  # deleted there, or written here by an earlier command
        (folder / name).unlink(missing_ok=True)
    return folder


def is_table(path: PurePosixPath) -> bool:
    """Whether a file is needed for a table."""
    return path.name in TABLES


def is_shown(path: PurePosixPath) -> bool:
    """Whether a file is needed for a page with pictures."""
    return is_table(path) or (path.parent.name == "samples" and path.suffix == ".png")


def is_record(path: PurePosixPath) -> bool:
    """Whether a file tells what a run is and how far it came."""
    return path.name in LIGHT


def is_model(path: PurePosixPath) -> bool:
    """Whether a file is needed to draw from a run's model."""
    return is_record(path) or path.suffix == ".ckpt"


def put(paths: Iterable[Path]) -> None:
    """Send files of folders that stand for addresses; others stay where they are.

    Raises:
        UserError: if the store does not take them.
    """
    for path in paths:
        if (address := places.address_of(path)) is not None:
            store, _, name = address.rpartition("/")
            Store(store).upload({name: path})


def fetched(place: Path | str) -> Path:
    """The folder in which a run is worked on; at an address it has the record that the store has.

    Arguments:
        place: of a run that need not exist.

    Raises:
        UserError: if the store does not answer.
    """
    folder = places.folder_of(place)
    if (address := places.address_of(folder)) is not None:
        mirror = Mirror(folder, Store(address))
        _fetch_record(mirror, visible(mirror.store.listing()))
    return folder


def fetched_all(place: Path | str) -> Path:
    """The folder in which all runs below a place are worked on, with the records that the store has.

    Raises:
        UserError: if the store does not answer.
    """
    folder = places.folder_of(place)
    if (address := places.address_of(folder)) is None:
        return folder
    store = Store(address)
    remote = visible(store.listing())
    Mirror(folder, store).fetch_own(remote)
    for name in remote:
        parent, _, last = name.rpartition("/")
        if last == RECORD and parent:
            record = {light: remote[f"{parent}/{light}"] for light in LIGHT if f"{parent}/{light}" in remote}
            _fetch_record(Mirror(folder / parent, store.below(parent)), record)
    return folder


def is_claimed(folder: Path, address: str) -> bool:
    """Whether some machine works on a run; if none does, its record is fetched.

    A store that does not answer is waited for: nobody may begin meanwhile. A run that is worked on is looked at again
    after some seconds only.
    """
    if time.monotonic() < _not_before.get(address, 0.0):
        return True
    try:
        mirror = Mirror(folder, Store(address))
        listing = mirror.store.listing()
        leases = numbers(listing)
        taken = bool(leases) and holder(mirror.store, max(leases), leases[max(leases)]) is not None
        if not taken:
            _fetch_record(mirror, visible(listing))
    except Unreachable as error:
        if address not in _not_before:
            print(f"genexp: {error} Its run waits until the store answers.", file=sys.stderr, flush=True)
        taken = True
    if taken:
        _not_before[address] = time.monotonic() + LOOK_SECONDS
    return taken


def deliver(runs: Iterable["Run"]) -> None:
    """Send what the store lacks of runs that nobody works on, such as the end of a job that was killed.

    Raises:
        Undelivered: if it does not take it.
    """
    for run in runs:
        if run.address is None or not Mirror(run.folder, Store(run.address)).differs(RECORD):
            continue
        try:
            with run.claimed():
                pass
        except Busy:
            continue  # whoever works on it sends it
        except Unreachable as error:
            raise Undelivered(f"{error} The same command again sends what it has not got.") from error


def share(folder: Path) -> None:
    """Send what stands in a sweep's folder beside its jobs.

    Raises:
        Unreachable: if the store does not take it.
    """
    if (address := places.address_of(folder)) is not None:
        Mirror(folder, Store(address)).send_own()


def _fetch_record(mirror: Mirror, remote: Mapping[str, Entry]) -> None:
    """Take over a run's record, unless a process works on it or this machine has changed it since they were equal."""
    if not mirror.lacks(LIGHT, remote):
        return
    path = mirror.folder / RECORD
    try:
        with locks.held(mirror.folder / locks.LOCK):
            if not mirror.differs(RECORD) or status_in(path.read_bytes()) == "queued":
                Mirror(mirror.folder, mirror.store).fetch(remote, lambda name: name in LIGHT)
    except Busy:
        return
