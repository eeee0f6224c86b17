"""A sweep's jobs in a SLURM queue that a file plays."""

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from genexp.errors import UserError
from genexp.runs import Run
from genexp.sweeping import slurm
from genexp.sweeping.slurm import Cluster


class Player:
    """squeue prints a file, scancel notes what it was told; jobs are accepted and get numbers."""

    def __init__(self, folder: Path, monkeypatch) -> None:
        self.folder, self.submitted = folder, []
        self.queue, self.cancelled = folder / "queue", folder / "cancelled"
        programs = folder / "bin"
        programs.mkdir()
        (programs / "squeue").write_text(f"#!/bin/sh\ncat {self.queue}\n")
        (programs / "scancel").write_text(f'#!/bin/sh\necho "$@" >> {self.cancelled}\n')
        for program in programs.iterdir():
            program.chmod(0o755)
        monkeypatch.setenv("PATH", f"{programs}:{os.environ['PATH']}")
        self.queue.touch()
        self.states: dict[str, tuple[str, str, str]] = {}

    def cluster(self) -> Cluster:
        """What a process of the sweep has."""
        return Cluster(self.folder / "sweep" / "submitit", self.submit)

    def submit(self, name: str, runs: Sequence[Run]) -> list[str]:
        self.submitted.append([run.folder.name for run in runs])
        base = str(len(self.submitted) + 100)
        places = [("N/A", base)] if len(runs) == 1 else [(str(i), f"{base}_{i}") for i in range(len(runs))]
        for index, id in places:
            self.states[id] = (index, name, "PENDING")
        self.write()
        return [id for _, id in places]

    def set(self, id: str, state: str | None) -> None:
        if state is None:
            del self.states[id]
        else:
            self.states[id] = (*self.states[id][:2], state)
        self.write()

    def write(self) -> None:
        lines = [f"{id.split('_')[0]}|{index}|{state}|{name}" for id, (index, name, state) in self.states.items()]
        self.queue.write_text("".join(f"{line}\n" for line in ["9|N/A|RUNNING|another|one", *lines]))

    def run(self, name: str, **record) -> Run:
        run = Run(self.folder / "sweep" / name)
        run.folder.mkdir(parents=True)
        run.update(**{"status": "queued", **record})
        return run


@pytest.fixture
def player(tmp_path, monkeypatch) -> Player:
    for name in ("LOOK_SECONDS", "SETTLE_SECONDS", "LOCK_SECONDS"):
        monkeypatch.setattr(slurm, name, 0.0)
    return Player(tmp_path, monkeypatch)


def test_a_job_is_done_when_the_cluster_says_so_and_its_result_is_in_the_folder(player):
    cluster = player.cluster()
    jobs = [cluster.start(player.run(f"run{i}")) for i in range(3)]
    assert [job.poll() for job in jobs] == [None] * 3
    assert player.submitted == [["run0", "run1", "run2"]]
    for state in ("RUNNING", "COMPLETING", "REQUEUED", "SUSPENDED"):
        player.set("101_1", state)
        assert jobs[1].poll() is None
    for job, status, state, code in zip(
        jobs, ("complete", "diverged", "failed"), ("COMPLETED", "FAILED", "FAILED"), (0, 3, 1), strict=True
    ):
        job.run.update(status=status, failure="its own reason")
        player.set(job.id, state)
        assert job.poll() == code
    assert jobs[2].run.record["failure"] == "its own reason"


@pytest.mark.parametrize(
    ("state", "words"),
    [
        ("TIMEOUT", "time limit"),
        ("OUT_OF_MEMORY", "more memory"),
        ("CANCELLED", "was cancelled"),
        ("NODE_FAIL", "lost with its node"),
        ("FAILED", "without a word"),
        (None, "not known to the cluster"),
    ],
)
def test_what_the_job_could_not_write_down_the_cluster_says(state, words, player):
    job = player.cluster().start(player.run("run", status="failed", failure="of an earlier attempt"))
    assert job.poll() is None
    (player.folder / "sweep" / "submitit" / "101_0_log.err").write_text("no such python\n")
    player.set("101", state)
    assert job.poll() == 1
    record = job.run.record
    assert record["status"] == "failed" and words in record["failure"] and "SLURM job 101 " in record["failure"]
    log = (job.run.folder / "log.txt").read_text()
    assert words in log and "no such python" in log


def test_a_second_process_finds_the_jobs_of_the_first(player):
    first, second = player.cluster(), player.cluster()
    names = ["a", "b", "c"]
    runs = [player.run(name) for name in names]
    for job in [first.start(run) for run in runs]:
        job.poll()
    player.set("101_2", "TIMEOUT")
    again = [second.start(run) for run in runs]
    assert [job.poll() for job in again] == [None] * 3
    assert player.submitted == [names, ["c"]], "what is in the queue is not submitted again, what has ended is"
    assert [job.id for job in again] == ["101_0", "101_1", "102"]
    runs[1].update(status="complete")
    player.set("101_1", "COMPLETED")
    assert again[1].poll() == 0


def test_a_submission_is_noted_before_the_cluster_hears_of_it(player):
    run = player.run("run")

    def die(name, runs):
        player.submit(name, runs)
        raise KeyboardInterrupt  # between the cluster's answer and whatever comes next

    with pytest.raises(KeyboardInterrupt):
        Cluster(player.folder / "sweep" / "submitit", die).start(run).poll()
    job = player.cluster().start(run)
    assert job.poll() is None and job.id == "101" and len(player.submitted) == 1


def test_another_sweep_s_jobs_are_not_taken_for_ours(player):
    run = player.run("run")
    player.states["55"] = ("N/A", "sweep2.0123456789ab", "RUNNING")
    player.states["56"] = ("N/A", "sweep.notours", "RUNNING")
    player.write()
    player.cluster().start(run).poll()
    assert player.submitted == [["run"]]


def test_processes_at_the_same_time_submit_each_run_once(player, tmp_path):
    """Two processes start the same runs: a slow sbatch leaves time for a mistake."""
    for i in range(4):
        player.run(f"run{i}")
    program = tmp_path / "process.py"
    program.write_text(
        "import sys, time, pathlib\n"
        "from genexp.runs import Run\nfrom genexp.sweeping import slurm\n"
        "folder = pathlib.Path(sys.argv[1])\n"
        "def submit(name, runs):\n"
        "    time.sleep(0.5)\n"
        "    with open(folder / 'queue', 'a') as queue:\n"
        "        queue.writelines(f'{sys.argv[2]}|{i}|PENDING|{name}\\n' for i in range(len(runs)))\n"
        "    (folder / f'submitted{sys.argv[2]}').write_text(str(len(runs)))\n"
        "    return [f'{sys.argv[2]}_{i}' for i in range(len(runs))]\n"
        "cluster = slurm.Cluster(folder / 'sweep' / 'submitit', submit)\n"
        "jobs = [cluster.start(Run(folder / 'sweep' / f'run{i}')) for i in range(4)]\n"
        "print([job.poll() for job in jobs], sorted(job.id for job in jobs))\n"
    )
    both = [
        subprocess.Popen([sys.executable, program, tmp_path, number], stdout=subprocess.PIPE, text=True)
        for number in ("201", "202")
    ]
    said = [process.communicate(timeout=60)[0] for process in both]
    assert len(list(tmp_path.glob("submitted*"))) == 1
    assert said[0] == said[1] and "None, None, None, None" in said[0], said


def test_stop_cancels_and_the_saved_run_is_no_failure(player):
    cluster = player.cluster()
    job = cluster.start(player.run("run"))
    job.poll()
    job.stop()
    assert player.cancelled.read_text() == "101\n"
    assert job.poll() is None
    job.run.update(status="stopped")
    player.set("101", "CANCELLED")
    assert job.poll() == 0
    never = cluster.start(player.run("never"))
    never.stop()
    assert never.poll() == 0 and len(player.submitted) == 1


def test_a_run_that_another_process_holds_is_busy_and_not_blamed(player):
    job = player.cluster().start(player.run("run", status="running"))
    job.poll()
    player.set("101", "FAILED")
    with job.run.locked():
        assert job.poll() == 4
    assert job.run.record["status"] == "running"


def test_a_silent_cluster_means_nothing_but_at_first(player, capsys):
    job = player.cluster().start(player.run("run", status="running"))
    assert job.poll() is None
    whole = (player.folder / "bin" / "squeue").read_text()
    (player.folder / "bin" / "squeue").write_text("#!/bin/sh\necho 'slurm_load_jobs error: timed out' >&2\nexit 1\n")
    assert job.poll() is None
    assert "timed out; asking again" in capsys.readouterr().err
    with pytest.raises(UserError, match="does not answer: .*timed out"):
        player.cluster().start(player.run("other")).poll()
    (player.folder / "bin" / "squeue").write_text(whole)
    player.set("101", None)
    assert job.poll() == 1


def test_more_runs_than_an_array_may_have_are_several(player, monkeypatch):
    monkeypatch.setattr(slurm, "ARRAY", 2)
    cluster = player.cluster()
    jobs = [cluster.start(player.run(f"run{i}")) for i in range(5)]
    jobs[0].poll()
    assert [len(names) for names in player.submitted] == [2, 2, 1]
    notes = [json.loads(path.read_text()) for path in (player.folder / "sweep" / "submitit").glob("*.json")]
    assert sorted(name for note in notes for name in note) == [f"run{i}" for i in range(5)]
