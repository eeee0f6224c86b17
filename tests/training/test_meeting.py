"""Processes that meet, agree and miss each other; here each is an object with its own connections to one store."""

import threading
import time

import pytest

from genexp.errors import Diverged, Lost, UserError
from genexp.ranks import Place
from genexp.training import cluster, meeting
from genexp.training.meeting import Ended, Meeting

KEYS = ["0.0", "1.0"]


@pytest.fixture
def exits(monkeypatch):
    """The codes with which a process would have been ended."""
    codes: list[int] = []

    over = threading.Event()
    monkeypatch.setattr(meeting.os, "_exit", lambda code: (codes.append(code), over.wait()))
    yield codes
    over.set()


@pytest.fixture
def pair(monkeypatch, exits):
    """The first process and one on another machine, which believe a process lost after three seconds."""
    monkeypatch.setattr(meeting, "GRACE_SECONDS", 0.5)
    monkeypatch.setattr(cluster.os, "environ", dict(cluster.os.environ))
    first = Meeting(Place())  # on a free port, which the environment then names
    other = Meeting(Place("variables", node=1))
    yield first, other
    for one in (other, first):
        one.close()


def wait_for(condition, seconds: float = 10.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)


def agree(first: Meeting, other: Meeting) -> None:
    first.tell({"seed": 3}, KEYS, timeout_s=3.0)
    assert other.hear() == {"seed": 3}


def test_all_hear_the_first_and_wait_for_each_other(pair):
    first, other = pair
    agree(first, other)
    assert other.expected == KEYS and other.timeout_s == 3.0
    thread = threading.Thread(target=first.meet, args=("group",))
    thread.start()
    time.sleep(0.3)
    assert thread.is_alive()  # the other has not come
    other.meet("group")
    thread.join(5)
    assert not thread.is_alive()
    first.meet("lead", ["0.0"])  # of those that must come, nobody is missing


def test_why_one_ends_is_what_the_others_say(pair, exits):
    first, other = pair
    agree(first, other)
    failure = RuntimeError("no space left\non device")
    assert other.explain(failure) is failure
    with pytest.raises(Ended, match=r"Process 1 on \S+ ended the run: RuntimeError: no space left$") as ended:
        first.meet("group")
    assert ended.value.exit_code == 1
    assert first.explain(ended.value) is ended.value and first.speaks(ended.value) and not other.speaks(failure)
    assert not exits


def test_the_exit_code_travels_with_the_sentence(pair):
    first, other = pair
    agree(first, other)
    first.explain(Diverged("loss/critic is not a number"))
    with pytest.raises(UserError, match="^loss/critic is not a number$") as ended:
        other.meet("group")
    assert ended.value.exit_code == Diverged.exit_code


def test_a_broken_connection_is_explained_by_who_is_silent(pair, exits):
    first, other = pair
    agree(first, other)
    wait_for(lambda: first._heard.get("1.0", (0, 0))[0] > 0)
    first.advice = lambda: ": go on from step 40"
    other._closed.set()  # killed: no sign of life any more, and no farewell
    began = time.monotonic()
    told = first.explain(RuntimeError("[gloo/transport/tcp/pair.cc:553] Connection closed by peer [10.0.0.2]:411"))
    assert first.explain(told) is told
    assert isinstance(told, Lost) and time.monotonic() - began < 8
    assert str(told).startswith("Process 1 on ") and str(told).endswith(" was lost: go on from step 40.")
    assert not exits  # it ends by itself


def test_an_error_of_its_own_is_not_taken_for_a_lost_connection(pair):
    first, other = pair
    agree(first, other)
    error = RuntimeError("mat1 and mat2 shapes cannot be multiplied")
    assert first.explain(error) is error


def test_who_waits_for_ever_is_ended_from_outside(pair, exits):
    first, other = pair
    agree(first, other)
    wait_for(lambda: first._heard.get("1.0", (0, 0))[0] > 0)
    heard: list[UserError] = []
    first.last_words = heard.append
    other._closed.set()
    wait_for(lambda: exits)
    assert exits[0] == Lost.exit_code and isinstance(heard[0], Lost)


def test_who_leaves_is_not_missed(pair, exits):
    first, other = pair
    agree(first, other)
    wait_for(lambda: first._heard.get("1.0", (0, 0))[0] > 0)
    other.close()
    time.sleep(4.5)
    assert first._verdict is None and not exits


def test_who_is_started_anew_while_the_others_still_run_was_lost(pair, exits):
    """As a pod is that a cluster starts again: it must not take part with what the others have computed."""
    first, other = pair
    agree(first, other)
    wait_for(lambda: first._heard.get("1.0", (0, 0))[0] > 0)
    first._patience = 1000.0  # not by silence
    other._closed.set()
    with pytest.raises(Lost, match="start it again"):
        Meeting(Place("variables", node=1))
    wait_for(lambda: first._verdict is not None)
    assert isinstance(first._verdict, Lost)


def test_who_comes_for_nothing_is_told_so(pair):
    first, other = pair
    first.close()
    with pytest.raises(Ended) as ended:
        other.hear()
    assert ended.value.exit_code == 0


def test_a_port_that_is_taken_and_a_first_process_that_never_came_are_one_sentence(monkeypatch):
    first = Meeting(Place())
    port = cluster.os.environ["MASTER_PORT"]
    try:
        monkeypatch.setenv("NODE_RANK", "0")
        with pytest.raises(UserError, match=f"Port {port} is taken"):
            cluster.stores(Place("variables"), 5.0)
    finally:
        first.close()
    monkeypatch.setenv("MASTER_ADDR", "127.0.0.1")
    monkeypatch.setenv("MASTER_PORT", "1")
    with pytest.raises(UserError, match="does not answer at 127.0.0.1:1"):
        cluster.stores(Place("variables", node=1), 1.0)
