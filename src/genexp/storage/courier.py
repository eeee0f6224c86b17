"""What is sent while a run works: a thread that looks for new checkpoints, pictures and scores, and sends them.

Nothing in a step waits for it. When the store does not answer, the run goes on here, one sentence says so, and the
thread tries again; at the end it says what did not arrive.
"""

import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from genexp.errors import Busy, Undelivered
from genexp.storage.lease import Lease
from genexp.storage.mirror import Mirror
from genexp.storage.store import Store, Unreachable

LOOK_SECONDS = 1.0
"""Between two looks at the folder."""
PAUSES = (5.0, 10.0, 20.0, 40.0, 60.0)
"""Seconds before the next attempt when the store does not answer; the last one again and again."""
LAST_SECONDS = 30.0
"""How long the end of a run waits for a store that does not answer."""
LAST_PAUSE = 3.0
MARKS = ("checkpoints", "samples", "scores.jsonl")
"""What makes it worth while to send: a change in the names or the size of these."""


class Courier:
    """Sends a run's folder while the run works in it.

    Arguments:
        mirror: the folder and its copy.
        lease: this process's hold on the run.
    """

    def __init__(self, mirror: Mirror, lease: Lease) -> None:
        self.mirror, self.lease = mirror, lease
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True, name="courier")
        self._sent: object = None
        self._failures = 0
        self._next = 0.0

    def start(self) -> None:
        """Begin to look and send."""
        self._thread.start()

    def close(self) -> None:
        """Send the rest.

        Raises:
            Busy: if another machine has taken the run over.
            Undelivered: if the store does not take it.
        """
        self._ended.set()
        self._thread.join()
        end = time.monotonic() + LAST_SECONDS
        while True:
            try:
                if not self.mirror.send(self.lease.check):
                    raise Busy(
                        f"Another process has taken over {self.mirror.store.address} while this one was silent: "
                        "nothing more is sent, and nothing has to be done."
                    )
                self.mirror.learn()
                return
            except Unreachable as error:
                if time.monotonic() >= end:
                    raise Undelivered(
                        f"{error} What it has not got of this run is in {self.mirror.folder}: when the store answers, "
                        f"genexp train resume={self.mirror.store.address} on this machine sends it."
                    ) from error
            time.sleep(LAST_PAUSE)

    def _run(self) -> None:
        while not self._ended.wait(LOOK_SECONDS):
            if self.lease.lost.is_set():
                print(
                    f"genexp: another process has taken over {self.mirror.store.address}: this one stops.",
                    file=sys.stderr,
                    flush=True,
                )
                os.kill(os.getpid(), signal.SIGTERM)  # save here and stop: the run is another machine's
                return
            marks = self._marks()
            if marks != self._sent and time.monotonic() >= self._next:
                self._try(marks)

    def _try(self, marks: object) -> None:
        try:
            if self.mirror.send(self.lease.check):
                self._sent = marks
            if self._failures:
                print(f"genexp: {self.mirror.store.address} answers again.", file=sys.stderr, flush=True)
            self._failures = 0
        except Unreachable as error:
            if not self._failures:
                print(
                    f"genexp: {error} The run goes on in {self.mirror.folder}, and sending is tried again.",
                    file=sys.stderr,
                    flush=True,
                )
            self._next = time.monotonic() + PAUSES[min(self._failures, len(PAUSES) - 1)]
            self._failures += 1

    def _marks(self) -> object:
        return [_names_or_size(self.mirror.folder / name) for name in MARKS]


def _names_or_size(path: Path) -> object:
    try:
        if path.is_dir():
            return sorted(name for name in os.listdir(path) if not name.startswith("."))
        return path.stat().st_size
    except FileNotFoundError:
        return None


@contextmanager
def working(folder: Path, address: str) -> Iterator[None]:
    """Work on a run whose output is an address: held against other machines, fetched first, sent as it grows.

    Arguments:
        folder: this machine's folder for it, locked.
        address: the run's.

    Raises:
        Busy: if another machine works on it, or has taken it over.
        Unreachable: if the store does not answer at the beginning.
        Undelivered: if it does not take everything at the end.
    """
    store = Store(address)
    lease = Lease(store)
    lease.take()
    try:
        mirror = Mirror(folder, store)
        mirror.reconcile()
        courier = Courier(mirror, lease)
        courier.start()
        failed = True
        try:
            yield
            failed = False
        finally:
            try:
                courier.close()
            except (Busy, Undelivered) as error:
                if not failed:
                    raise
                print(f"genexp: {error}", file=sys.stderr, flush=True)  # what ended the run is told as well
    finally:
        lease.release()
