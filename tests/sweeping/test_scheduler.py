"""The scheduler, with jobs that train nothing."""

import os
import signal
import threading
from collections import deque
from pathlib import Path

import pytest

from genexp.errors import Busy
from genexp.runs import Run
from genexp.sweeping import scheduler
from genexp.sweeping.display import Lines, last_step
from genexp.sweeping.jobs import Job
from genexp.sweeping.scheduler import Outcome, Stop, outcome_of, run_jobs


class Scripted:
    """Each job ends after some looks at it, with an exit code and a status."""

    outlives = False

    def __init__(self, slots: int, script: dict[str, tuple[int, int, str]]) -> None:
        self.slots, self.script = slots, script
        self.alive: set[str] = set()
        self.most, self.started, self.closed = 0, [], False

    def start(self, run):
        launcher, name = self, run.folder.name
        looks, code, status = self.script[name]
        self.alive.add(name)
        self.started.append(name)
        self.most = max(self.most, len(self.alive))

        class Handle:
            left, stopped = looks, False

            def poll(self):
                self.left -= 1
                if self.left > 0 and not self.stopped:
                    return None
                launcher.alive.discard(name)
                run.update(status="stopped" if self.stopped else status)
                return 0 if self.stopped else code

            def stop(self):
                self.stopped = True

        return Handle()

    def close(self):
        self.closed = True


class Listed:
    def __init__(self, jobs, pruned=()):
        self.todo, self.pruned, self.told = deque(jobs), pruned, []

    def next(self):
        return self.todo.popleft() if self.todo else None

    @property
    def exhausted(self):
        return not self.todo

    def watch(self, job):
        return job.run.folder.name in self.pruned

    def finished(self, job, outcome):
        self.told.append((job.run.folder.name, outcome.status))
        if outcome.status == "busy":
            self.todo.append(job)


@pytest.fixture
def make(tmp_path):
    def job(name: str) -> Job:
        run = Run(tmp_path / name)
        run.folder.mkdir()
        run.update(status="queued")
        return Job(run, (f"name={name}",), {"max_steps": 10}, {})

    return job


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr(scheduler, "POLL_SECONDS", 0.001)
    monkeypatch.setattr(scheduler, "WATCH_SECONDS", 0.01)


def test_every_job_runs_once_and_no_more_than_slots_at_a_time(make):
    jobs = [make(f"j{i}") for i in range(7)]
    launcher = Scripted(3, {f"j{i}": (3 + i % 3, 0, "complete") for i in range(7)})
    source = Listed(jobs)
    ended = run_jobs(source, launcher, Lines(7))
    assert launcher.started == [f"j{i}" for i in range(7)]
    assert launcher.most == 3 and launcher.closed
    assert sorted(job.run.folder.name for job, _ in ended) == sorted(launcher.started)
    assert {outcome.status for _, outcome in ended} == {"complete"}


def test_failures_are_outcomes_and_the_rest_goes_on(make):
    names = {
        "raised": (2, 1, "failed"),
        "shot": (2, -9, "running"),
        "silent": (2, 0, "running"),
        "fine": (2, 0, "complete"),
    }
    source = Listed([make(name) for name in names])
    ended = {job.run.folder.name: outcome for job, outcome in run_jobs(source, Scripted(1, names), Lines(4))}
    assert {name: outcome.status for name, outcome in ended.items()} == {
        "raised": "failed",
        "shot": "failed",
        "silent": "failed",
        "fine": "complete",
    }
    assert "signal 9 (out of memory?)" in ended["shot"].reason
    assert "exit code 0" in ended["silent"].reason


def test_a_hopeless_job_is_stopped_and_recorded_as_pruned(make):
    source = Listed([make("good"), make("bad")], pruned=("bad",))
    launcher = Scripted(2, {"good": (60, 0, "complete"), "bad": (10**9, 0, "complete")})
    ended = run_jobs(source, launcher, Lines(2))
    assert {job.run.folder.name: outcome.status for job, outcome in ended} == {"good": "complete", "bad": "pruned"}
    assert [job.run.record["status"] for job, _ in ended if job.run.folder.name == "bad"] == ["pruned"]


def test_a_signal_stops_what_runs_and_starts_nothing_more(make):
    source = Listed([make("running"), make("never")])
    launcher = Scripted(1, {"running": (10**9, 0, "complete"), "never": (1, 0, "complete")})
    with Stop() as stop:
        threading.Timer(0.1, lambda: os.kill(os.getpid(), signal.SIGTERM)).start()
        ended = run_jobs(source, launcher, Lines(2), stop)
    assert stop.received == signal.SIGTERM
    assert [(job.run.folder.name, outcome.status) for job, outcome in ended] == [("running", "stopped")]
    assert launcher.started == ["running"] and launcher.closed


def test_jobs_that_outlive_the_process_are_left_alone_by_sigterm_and_not_by_ctrl_c(make):
    for number, ended_as in ((signal.SIGTERM, []), (signal.SIGINT, ["stopped"])):
        launcher = Scripted(1, {f"long{number}": (10**9, 0, "complete")})
        launcher.outlives = True
        with Stop() as stop:
            threading.Timer(0.1, os.kill, (os.getpid(), number)).start()
            ended = run_jobs(Listed([make(f"long{number}")]), launcher, Lines(1), stop)
        assert [outcome.status for _, outcome in ended] == ended_as
        assert launcher.closed and bool(launcher.alive) is (ended_as == [])


def test_outcomes_follow_the_record_before_the_exit_code(make):
    run = make("job").run
    run.update(status="complete")
    assert outcome_of(run, -9) == Outcome("complete")  # killed after its last word
    run.update(status="diverged", failure="why")
    assert outcome_of(run, 3) == Outcome("diverged", "why")
    run.update(status="running", failure=None)
    assert outcome_of(run, Busy.exit_code).status == "busy"
    with run.locked():
        assert outcome_of(run, -9).status == "busy"  # somebody else has it already
    assert run.record["status"] == "running"
    assert outcome_of(run, -15, asked=True).status == "stopped"
    run.update(status="failed", failure="an older reason")
    assert "signal 11" in outcome_of(run, -11).reason


def test_the_last_step_is_that_of_the_last_whole_row(tmp_path):
    path: Path = tmp_path / "metrics.csv"
    assert last_step(path) == 0
    path.write_text("step,images\n")
    assert last_step(path) == 0
    path.write_text("step,images\n" + "".join(f"{i},{i * 64}\n" for i in range(2000)) + "2000,1")
    assert last_step(path) == 1999
