"""Locks between real processes: killed, stopped, on other hosts, and where the system's locks do nothing."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest
from tests.hosts_of_one import on_host

from genexp import atomic, leases, locks
from genexp.errors import Busy, UserError
from genexp.leases import Leases, Owner
from genexp.locks import Lock, guard, held
from genexp.runs import Run

HOLD = """
import sys, time
from genexp.locks import Lock
lock = Lock(sys.argv[1])
lock.acquire()
print("held", flush=True)
for word in sys.stdin:
    if word == "release\\n":
        lock.release()
        print("released", flush=True)
    elif word == "busy\\n":  # no other thread runs meanwhile, as in a long call of a C library
        import ctypes
        ctypes.PyDLL(None).sleep(2)
        print("awake", flush=True)
    else:
        try:
            lock.check()
            print("mine", flush=True)
        except Exception as error:
            print(f"{type(error).__name__}: {error}", flush=True)
"""


@pytest.fixture
def path(tmp_path) -> Path:
    return tmp_path / ".lock"


@pytest.fixture
def holder(path):
    """Start processes that hold the lock; all of them end with the test."""
    started = []

    def start(environment: dict[str, str] | None = None, wait: bool = True) -> subprocess.Popen:
        process = subprocess.Popen(
            [sys.executable, "-c", HOLD, str(path)],
            env={**os.environ, **(environment or {})},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        started.append(process)
        if wait:
            assert process.stdout.readline() == "held\n"
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()


def ask(process: subprocess.Popen, word: str = "check") -> str:
    process.stdin.write(f"{word}\n")
    process.stdin.flush()
    return process.stdout.readline().strip()


def test_busy_says_who_holds_it(path, holder):
    process = holder()
    with pytest.raises(Busy, match=rf"process {process.pid} on {leases._place()[0]} since 20..-") as refused:
        Lock(path).acquire()
    assert str(path.parent) in str(refused.value) and "hold ends after" not in str(refused.value)
    assert Lock(path).holder().pid == process.pid
    assert ask(process, "release") == "released"
    assert Lock(path).holder() is None
    with held(path):
        assert Lock(path).holder().pid == os.getpid()


@pytest.mark.parametrize("without_flock", [False, True])
def test_a_killed_process_holds_nothing_even_before_it_is_reaped(path, holder, without_flock):
    process = holder(on_host(None, flock=not without_flock))
    process.kill()
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)  # a zombie
    begun = time.monotonic()
    with held(path):
        assert time.monotonic() - begun < 1


def test_a_number_that_another_process_has_got_is_no_sign_of_life(path, holder):
    process = holder()
    lease = next(path.parent.glob(".lock-*"))
    owner = json.loads(lease.read_text())
    process.kill()
    process.wait()
    lease.write_text(json.dumps({**owner, "pid": os.getpid()}))  # the same number, but started at another time
    with held(path):
        pass


def test_on_one_host_a_stopped_process_keeps_its_lock(path, holder):
    process = holder({"GENEXP_LEASE_SECONDS": "1"})
    os.kill(process.pid, signal.SIGSTOP)
    time.sleep(1.5)
    with pytest.raises(Busy):
        Lock(path).acquire()
    os.kill(process.pid, signal.SIGCONT)
    assert ask(process) == "mine"


def test_another_host_is_waited_for_until_its_lease_runs_out(path, holder, monkeypatch):
    process = holder(on_host("far", seconds=2))
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    lock = Lock(path)
    with pytest.raises(Busy, match="process .* on far since .*its hold ends after 2 s"):
        lock.acquire()
    begun = time.monotonic()
    lock.acquire(timeout=10)
    assert 0.5 < time.monotonic() - begun < 4
    lock.release()


def test_the_local_clock_does_not_matter(path, holder, monkeypatch):
    """Only differences between times that the file server has stamped are looked at."""
    process = holder(on_host("far", seconds=2))
    for wrong in (-1e6, 1e6):
        monkeypatch.setattr(time, "time", lambda wrong=wrong: wrong)
        with pytest.raises(Busy):
            Lock(path).acquire()
    assert ask(process) == "mine"


def test_who_slept_and_was_taken_over_writes_no_more(path, holder):
    """Two hosts whose locks do not reach each other; one of them is stopped for longer than its lease lasts."""
    slow = holder(on_host("slow", flock=False, seconds=1))
    os.kill(slow.pid, signal.SIGSTOP)
    other = holder(on_host("other", flock=False, seconds=1), wait=False)
    other.communicate(timeout=20)  # it comes too early
    assert other.returncode != 0
    time.sleep(1.5)
    other = holder(on_host("other", flock=False, seconds=1))
    os.kill(slow.pid, signal.SIGCONT)
    answer = ask(slow)
    assert answer.startswith("Busy") and f"by process {other.pid} on other" in answer and "without writing" in answer
    assert ask(other) == "mine"
    assert ask(slow, "release") == "released"  # gives back nothing of the other's
    assert Lock(path).holder().pid == other.pid
    assert ask(other) == "mine"


def test_a_lease_outlives_what_keeps_all_threads_waiting(path, holder):
    """For less than the lease lasts nobody else gets it, and afterwards it is renewed."""
    process = holder(on_host("far", flock=False, seconds=4))
    process.stdin.write("busy\n")
    process.stdin.flush()
    end = time.monotonic() + 5
    while time.monotonic() < end:
        with pytest.raises(Busy):
            Lock(path).acquire()
        time.sleep(0.05)
    assert process.stdout.readline() == "awake\n"
    assert ask(process) == "mine"


def test_of_many_that_want_a_dead_hosts_lock_one_gets_it(path, holder, tmp_path):
    dead = holder(on_host("dead", flock=False, seconds=1))
    dead.kill()
    dead.wait()
    time.sleep(1.2)
    code = (
        "import sys\nfrom genexp.errors import Busy\nfrom genexp.locks import Lock\nlock = Lock(sys.argv[1])\n"
        "print('ready', flush=True)\nsys.stdin.readline()\n"
        "try:\n    lock.acquire()\n    print('held', flush=True)\nexcept Busy:\n    print('busy', flush=True)\n"
        "sys.stdin.readline()\n"
    )
    command = [sys.executable, "-c", code, str(path)]
    for _ in range(3):
        contenders = [
            subprocess.Popen(
                command,
                env={**os.environ, **on_host(f"host{i}", flock=False, seconds=30)},
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )
            for i in range(6)
        ]
        assert [process.stdout.readline() for process in contenders] == ["ready\n"] * 6
        for process in contenders:
            process.stdin.write("go\n")
            process.stdin.flush()
        assert sorted(process.stdout.readline() for process in contenders) == ["busy\n"] * 5 + ["held\n"]
        for process in contenders:
            process.communicate("end\n", timeout=30)
        assert [process.returncode for process in contenders] == [0] * 6
        assert Lock(path).holder() is None  # given back at the end, though nobody said so


def test_one_at_a_time_without_the_systems_locks(tmp_path):
    """Four hosts count to 100 together: a lost update would show, as would two that hold it at once."""
    code = (
        "import sys, pathlib\nfrom genexp.locks import held\nfolder = pathlib.Path(sys.argv[1])\n"
        "for _ in range(25):\n    with held(folder / '.lock', 60):\n"
        "        n = int((folder / 'n').read_text())\n        (folder / 'n').write_text(str(n + 1))\n"
    )
    (tmp_path / "n").write_text("0")
    environments = [{**os.environ, **on_host(f"host{i}", flock=False)} for i in range(4)]
    processes = [subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], env=e) for e in environments]
    assert [process.wait(120) for process in processes] == [0] * 4
    assert (tmp_path / "n").read_text() == "100"
    assert len(list(tmp_path.glob(".lock-*"))) == 1  # earlier leases leave nothing


def test_a_half_written_lease_counts_until_it_is_old(path, monkeypatch):
    monkeypatch.setenv(leases.SECONDS_VARIABLE, "1")
    Leases(path).path(3).write_text("")
    with pytest.raises(Busy):
        Lock(path).acquire()
    time.sleep(1.1)
    with held(path):
        assert Leases(path).newest() == (4, False)


def test_an_old_listing_leads_to_no_second_owner(path, monkeypatch):
    """A file system may show a folder as it was some time ago; nobody may believe that it is free."""
    real, shown = Leases.newest, []
    monkeypatch.setattr(Leases, "newest", lambda self: shown.pop() if shown else real(self))
    monkeypatch.setattr(locks.fcntl, "flock", lambda *_: None)
    far = replace(Owner.here(), host="far", boot=None)
    leases_here = Leases(path)
    leases_here.create(1, far)
    for missed in (1, 3):  # the lease that is held has the next number, or others have come and gone as well
        free = leases_here.newest()[0] - 1
        shown.append((free, True))
        with pytest.raises(Busy, match="on far"):
            Lock(path).acquire()
        assert not shown and real(leases_here) == (free + 1, False)
        leases_here.end(free + 1)
        leases_here.create(free + 1 + missed, far)
        leases_here.clear(below=free + 1 + missed)
        shown.append((free + 1, True))
        with pytest.raises(Busy, match="on far"):
            Lock(path).acquire()
        assert not shown and leases_here.present() == {f".lock-{free + 1 + missed:08d}": (free + 1 + missed, False)}


def test_nothing_below_a_lost_folder_is_written(tmp_path):
    run = Run(tmp_path / "run")
    lock = Lock(run.folder / ".lock")
    lock.acquire()
    run.update(status="running")
    Leases(lock.path).create(2, replace(Owner.here(), host="far", boot=None))
    lock._heard -= 100  # as after a sleep
    for write in (lambda: run.update(status="complete"), lambda: guard(run.folder / "checkpoints" / "a")):
        with pytest.raises(Busy, match="taken over by process .* on far"):
            write()
    assert run.record == {"status": "running"}
    assert not list(run.folder.glob(f"{atomic.PREFIX}*"))
    guard(tmp_path / "another")
    lock.release()
    guard(run.folder / "checkpoints")  # who holds nothing is not asked


def test_a_forked_child_neither_renews_nor_gives_back(path):
    with held(path):
        child = os.fork()
        if child == 0:
            os._exit(0 if not locks._heart.locks() else 1)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        assert Lock(path).holder().pid == os.getpid()


def test_a_lock_that_nobody_refers_to_is_free(path):
    Lock(path).acquire()
    with held(path):
        pass


def test_threads_of_one_process_exclude_each_other(path):
    inside, worst = [], []

    def work():
        for _ in range(20):
            with held(path, 30):
                inside.append(1)
                worst.append(len(inside))
                inside.pop()

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert max(worst) == 1 and len(worst) == 80


def test_taking_a_lock_costs_little(path):
    times = []
    for _ in range(50):
        begun = time.perf_counter()
        with held(path):
            times.append(time.perf_counter() - begun)
    assert sorted(times)[25] < 5e-3


@pytest.mark.parametrize("text", ["0", "never", "-3", "inf"])
def test_a_lease_that_makes_no_sense_is_refused(path, monkeypatch, text):
    monkeypatch.setenv(leases.SECONDS_VARIABLE, text)
    with pytest.raises(UserError, match=f"GENEXP_LEASE_SECONDS={text}"):
        Lock(path).acquire()
