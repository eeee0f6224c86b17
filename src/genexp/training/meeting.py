"""Where the processes of a distributed run meet: they agree on the run, say why they end, and notice who is gone.

A store at the first process's address holds a few words: what to train, who has come, signs of life, and the sentence
with which the run ended. Each process gives the sign and looks at the others, beside the training. When one is silent
for too long, or says why it ends, the others end too, even those that would wait for it in a collective for ever.
"""

import json
import os
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from subprocess import Popen
from typing import Any

import torch.distributed as dist

from genexp.errors import Lost, UserError
from genexp.ranks import FIRST, Place
from genexp.training.cluster import stores

BEAT_SECONDS = 1.0
"""Between two signs of life."""
START_SECONDS = 600.0
"""In which all processes must have started."""
GRACE_SECONDS = 5.0
"""For a process to end by itself before its thread ends it."""
SILENT_BEATS = 3.5
"""Once a connection is broken, whoever was silent for so many beats is the one who was lost."""
POLL_SECONDS = 0.05


class Ended(UserError):
    """Another process has ended the run, for this reason."""

    def __init__(self, sentence: str, exit_code: int) -> None:
        super().__init__(sentence)
        self.exit_code = exit_code


class Meeting:
    """The store, and the threads beside the training.

    Arguments:
        place: which process this is.

    Raises:
        UserError: if the store cannot be held or reached.
        Lost: if this process was started anew while the others have not noticed yet.
    """

    def __init__(self, place: Place) -> None:
        self.place = place
        self.expected = [FIRST]
        self.timeout_s = self._patience = START_SECONDS
        self.beat_s = BEAT_SECONDS
        self.advice: Callable[[], str] = str
        """What to do when a process is lost, as the rest of a sentence."""
        self.last_words: Callable[[UserError], None] = print_sentence
        """Called before this process is ended while it waits for one that is lost."""
        self.children: Mapping[str, Popen[Any]] = {}
        """The processes that this one has started."""
        self._verdict: UserError | None = None
        self._unreachable, self._ending = False, False
        self._told: tuple[BaseException, BaseException] | None = None
        self._heard: dict[str, tuple[int, float]] = {}
        self._hosts: dict[str, str] = {}
        self._closed = threading.Event()
        prefix = f"genexp/{os.environ.get('TORCHELASTIC_RESTART_COUNT', '0')}"
        store, pulse = stores(place, START_SECONDS)
        self._words, self._pulse = dist.PrefixStore(prefix, store), dist.PrefixStore(prefix, pulse)
        self.group = dist.PrefixStore(f"{prefix}/group", store)
        """For the process group."""
        if self._words.add(f"come/{place.key}", 1) > 1:
            raise Lost("Another process had this one's place and was lost: the others are ending; start it again.")
        self._words.set(f"host/{place.key}", socket.gethostname())
        self._began = self._answered = time.monotonic()
        self._threads = [threading.Thread(target=work, daemon=True) for work in (self._beat, self._watch)]
        for thread in self._threads:
            thread.start()

    # --- what the processes tell each other --------------------------------------------------------------------------

    def tell(self, ticket: dict[str, Any], expected: Sequence[str], timeout_s: float) -> None:
        """Say what to train; the first process does.

        Arguments:
            ticket: plain containers.
            expected: the keys of all processes, by rank.
            timeout_s: silence of so many seconds is a loss.
        """
        self._settle(expected, timeout_s)
        self._words.set("ticket", json.dumps({"ticket": ticket, "expected": expected, "timeout_s": timeout_s}))

    def hear(self) -> dict[str, Any]:
        """What the first process says to train.

        Raises:
            UserError: if the run ends before it begins.
        """
        self._until(lambda: self._words.check(["ticket"]))
        told = json.loads(self._words.get("ticket"))
        self._settle(told["expected"], told["timeout_s"])
        return dict(told["ticket"])

    def _settle(self, expected: Sequence[str], timeout_s: float) -> None:
        self.expected = list(expected)
        self.timeout_s = self._patience = timeout_s
        self.beat_s = min(BEAT_SECONDS, timeout_s / 10)
        self._called([FIRST])  # by its name also when it cannot be asked any more

    def meet(self, where: str, keys: Iterable[str] | None = None) -> None:
        """Come to `where` and wait for the processes of these keys, or all of them.

        Raises:
            UserError: if the run ends meanwhile, a process is lost or does not come.
        """
        self._words.set(f"{where}/{self.place.key}", "")
        wanted = [f"{where}/{key}" for key in keys or self.expected]
        self._until(lambda: self._words.check(wanted))

    def _until(self, condition: Callable[[], bool]) -> None:
        while not condition():
            if self._verdict is not None:
                raise self._verdict
            time.sleep(POLL_SECONDS)

    # --- how it ends --------------------------------------------------------------------------------------------------

    def explain(self, error: BaseException) -> BaseException:
        """What to raise in place of `error`, once the other processes know why this one ends.

        A connection breaks at this end because the process at the other has ended or is lost: that is the reason then.
        """
        if self._told is None:
            self._ending = True  # by itself: nobody need end it
            self._told = error, self._reason(error) if _broken(error) else error
            _within_grace(self._end, self._told[1])
        return self._told[1] if error is self._told[0] else error

    def _reason(self, error: BaseException) -> BaseException:
        """Why a connection broke; `error` itself if nothing explains it."""
        if self.place.first:  # the others wait for its word
            self._patience = min(self._patience, SILENT_BEATS * self.beat_s)
        until = time.monotonic() + 2 * self._patience + 2 * GRACE_SECONDS
        while self._verdict is None and time.monotonic() < until:
            time.sleep(POLL_SECONDS)
        return self._verdict or error

    def speaks(self, error: BaseException) -> bool:
        """Whether this process, rather than another, tells a person that the run ends."""
        return self.place.first or (isinstance(error, Lost) and self._unreachable and self.place.local == 0)

    def close(self) -> None:
        """Leave. The first process, which holds the store, stays a little until the others have left."""
        if self._closed.is_set():
            return
        if self.place.first:  # whoever still waits to be told what to train has nothing to do
            _within_grace(self._end, Ended("There is nothing to do.", 0))
        _within_grace(self._take_leave)
        self._closed.set()
        for thread in self._threads:
            thread.join(GRACE_SECONDS)

    def _take_leave(self) -> None:
        self._words.set(f"left/{self.place.key}", "")
        while self.place.first and self._company():
            time.sleep(POLL_SECONDS)

    def _company(self) -> bool:
        """Whether another process is still there."""
        lately = time.monotonic() - SILENT_BEATS * self.beat_s
        there = [key for key, (beats, since) in list(self._heard.items()) if beats and since > lately]
        return any(key != self.place.key and not self._words.check([f"left/{key}"]) for key in there)

    def _end(self, error: BaseException) -> None:
        """Leave the reason for the others, if it is the first one."""
        line = next((line.strip() for line in str(error).splitlines() if line.strip()), "no message")
        sentence = str(error) if isinstance(error, UserError) else f"{type(error).__name__}: {line}"
        if not self.place.first and not isinstance(error, Lost | Ended):
            sentence = f"{self._called([self.place.key])} ended the run: {sentence}"
        said = {"by": self.place.key, "sentence": sentence, "exit_code": getattr(error, "exit_code", 1)}
        self._words.compare_set("end", "", json.dumps(said))

    # --- who is gone --------------------------------------------------------------------------------------------------

    def _beat(self) -> None:
        """Give signs of life and look at the others, for as long as the store answers."""
        while not self._closed.wait(self.beat_s):
            try:
                self._pulse.add(f"beat/{self.place.key}", 1)
                if self._verdict is None:
                    self._verdict = self._said() or self._judge()
                    if self._verdict is not None:
                        self._end(self._verdict)
                self._answered = time.monotonic()
            except dist.DistError:
                self._unreachable = True
                return

    def _watch(self) -> None:
        """End a process that waits for one that is gone: in a collective nothing else can wake it."""
        while not self._closed.wait(self.beat_s):
            if time.monotonic() - self._answered > self.timeout_s:
                self._unreachable = True  # a network that is cut does not even say so
            if self._unreachable and self._verdict is None:
                if self._closed.wait(GRACE_SECONDS):
                    return  # the first process ended a moment before this one
                _within_grace(self._miss_the_first)
                self._verdict = self._verdict or Lost("The first process was lost.")
            verdict = self._verdict
            if verdict is None or self._closed.wait(GRACE_SECONDS) or self._ending:
                continue
            if self.speaks(verdict):
                _within_grace(self.last_words, verdict)
            os._exit(verdict.exit_code)

    def _miss_the_first(self) -> None:
        self._verdict = self._lost([FIRST])

    def _said(self) -> UserError | None:
        """The sentence with which another process ended the run."""
        if not self._pulse.check(["end"]):
            return None
        said = json.loads(self._pulse.get("end"))
        return None if said["by"] == self.place.key else Ended(said["sentence"], said["exit_code"])

    def _judge(self) -> UserError | None:
        """Who was silent for too long or never came.

        The first process looks at all of them and the others at the first, which tells them of the rest.
        """
        now = time.monotonic()
        silent: list[str] = []
        absent: list[str] = []
        for key in self.expected if self.place.first else [FIRST]:
            beats = self._pulse.add(f"beat/{key}", 0)
            if beats != self._heard.setdefault(key, (beats, now))[0]:
                self._heard[key] = (beats, now)
            dead = key in self.children and self.children[key].poll() is not None
            dead = dead or self._pulse.add(f"come/{key}", 0) > 1  # it has been started anew already
            if (dead or now - self._heard[key][1] > self._patience) and not self._pulse.check([f"left/{key}"]):
                (silent if beats or dead else absent).append(key)
        if silent:
            return self._lost(silent)
        if absent and now - self._began > START_SECONDS:
            return Lost(f"{self._called(absent)} did not come within {START_SECONDS:.0f} seconds.")
        return None

    def _lost(self, keys: Sequence[str]) -> Lost:
        return Lost(f"{self._called(keys)} {'was' if len(keys) == 1 else 'were'} lost{self.advice()}.")

    def _called(self, keys: Sequence[str]) -> str:
        """Processes as a person would call them."""
        names = []
        for key in keys:
            if not self._unreachable and key not in self._hosts and self._pulse.check([f"host/{key}"]):
                self._hosts[key] = self._pulse.get(f"host/{key}").decode()
            rank = self.expected.index(key) if key in self.expected else key
            names.append(f"process {rank}" + (f" on {self._hosts[key]}" if key in self._hosts else ""))
        text = " and ".join(names)
        return text[0].upper() + text[1:]


def _within_grace(work: Callable[..., None], *arguments: Any) -> None:
    """Do what needs a store or a file server, which may not answer any more."""

    def attempt() -> None:
        with suppress(Exception):
            work(*arguments)

    thread = threading.Thread(target=attempt, daemon=True)
    thread.start()
    thread.join(GRACE_SECONDS)


def _broken(error: BaseException) -> bool:
    """Whether an error is torch's word for a connection whose other end is gone."""
    if isinstance(error, dist.DistError):
        return True
    return isinstance(error, RuntimeError) and any(backend in str(error) for backend in ("gloo", "NCCL"))


def print_sentence(error: UserError) -> None:
    """What the command line prints for an error."""
    print(f"genexp: {error}", file=sys.stderr, flush=True)
