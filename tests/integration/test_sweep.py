"""Sweeps through the real command line: killed, doubled, extended, with jobs that cannot work."""

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.cases import TINY
from tests.processes import assert_same_bits

from genexp.runs import Run
from genexp.sweeping.display import last_step
from genexp.sweeping.folder import SweepFolder

JOBS = [*TINY, "model=gan", "model.latent_dim=2", "loss=hinge,non_saturating", "penalty=gp,r1"]
STEPS = ["max_steps=200", "log_every=10", "score_every=100", "checkpoint_every=50", "progress=false"]
SHORT = [*TINY, "model=gan", "model.latent_dim=2", "max_steps=40", "score_every=20", "checkpoint_every=20"]
COSTS = ("train_s", "sample_s")


def runs(sweep: Path) -> dict[str, Run]:
    return {path.parent.name: Run(path.parent) for path in sorted(sweep.glob("*/run.json"))}


def numbers(run: Run) -> list[dict]:
    """What a run's scores say, without what differs from day to day."""
    return [{name: value for name, value in row["metrics"].items() if name not in COSTS} for row in run.scores()]


def lines(output: str, status: str) -> list[str]:
    return [line for line in output.splitlines() if line.startswith(f"genexp: {status}  ")]


@pytest.fixture
def group(tmp_path, environment) -> Callable[..., subprocess.Popen]:
    """Start the command line in a session of its own, so that one signal reaches all of its processes."""

    def run(*arguments: str) -> subprocess.Popen:
        command = [sys.executable, "-m", "genexp", *arguments]
        return subprocess.Popen(
            command,
            cwd=tmp_path,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    return run


def members(session: int) -> list[int]:
    """The processes of a session that are alive."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                fields = (entry / "stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue
            if int(fields[3]) == session and fields[0] != "Z":
                found.append(int(entry.name))
    return found


def wait_until_gone(session: int) -> None:
    """No process of a sweep outlives it."""
    end = time.monotonic() + 20
    while members(session):
        assert time.monotonic() < end, members(session)
        time.sleep(0.02)


def steps(sweep: Path) -> int:
    """Steps done by all jobs together."""
    return sum(last_step(path) for path in sweep.glob("*/metrics.csv"))


def test_a_sweep_killed_again_and_again_ends_like_one_left_alone(genexp, group, tmp_path):
    calm, killed = tmp_path / "runs" / "sweeps" / "calm", tmp_path / "runs" / "sweeps" / "killed"
    genexp("train", "-m", *JOBS, *STEPS, "sweep=calm")
    for lowest in (50, 300, 550):
        process = group("train", "-m", *JOBS, *STEPS, "sweep=killed", "launcher.jobs=2")
        threshold, end = random.uniform(lowest, lowest + 200), time.monotonic() + 200
        while steps(killed) < threshold:
            assert time.monotonic() < end and process.poll() is None
            time.sleep(0.005)
        time.sleep(random.uniform(0, 0.3))
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        assert process.returncode == -signal.SIGKILL
        wait_until_gone(process.pid)
    genexp("train", "-m", *JOBS, *STEPS, "sweep=killed", "launcher.jobs=2")
    one, other = runs(calm), runs(killed)
    assert len(one) == 4 and one.keys() == other.keys()
    for name, run in one.items():
        assert other[name].record["status"] == "complete"
        assert len(other[name].scores()) == 1
        assert numbers(run) == numbers(other[name])
        assert assert_same_bits(run.folder, other[name].folder) > 10
    assert sum((run.folder / "log.txt").read_text().count("going on from step") for run in other.values()) >= 2
    again = genexp("train", "-m", *JOBS, *STEPS, "sweep=killed")
    assert "4 of them done before" in again.stdout and not lines(again.stdout, "started")


def test_two_processes_share_a_sweep(group, tmp_path):
    words = ["train", "-m", *SHORT, "loss=hinge,non_saturating", "seeds=2", "sweep=shared"]
    both = [group(*words) for _ in range(2)]
    outputs = [process.communicate(timeout=200)[0] for process in both]
    assert [process.returncode for process in both] == [0, 0], outputs
    found = runs(tmp_path / "runs" / "sweeps" / "shared")
    assert len(found) == 4
    for run in found.values():
        assert run.record["status"] == "complete"
        assert len(run.scores()) == 1
        log = (run.folder / "log.txt").read_text()
        assert log.count("step 40/40") == 1 and "going on" not in log
    assert sum(len(lines(output, "complete")) for output in outputs) >= 4


@pytest.mark.slow
def test_a_sweep_grows_and_says_why_a_job_failed(genexp, tmp_path):
    sweep = tmp_path / "runs" / "sweeps" / "ring8_gan-loss"
    words = ["train", "-m", *SHORT, "loss=hinge,wasserstein"]
    first = genexp(*words, "seeds=1", check=False)
    assert first.returncode == 1
    assert len(lines(first.stdout, "complete")) == 1
    failed = lines(first.stdout, "failed")[0]
    assert "constraint=clip or penalty=gp" in failed
    assert "genexp report runs/sweeps/ring8_gan-loss" in first.stdout
    statuses = sorted(run.record["status"] for run in runs(sweep).values())
    assert statuses == ["complete", "failed"]
    record = next(run.record for run in runs(sweep).values() if run.record["status"] == "failed")
    assert "unbounded" in record["failure"] and record["overrides"][-1] == "seed=0"
    before = {name: (run.folder / "run.json").read_bytes() for name, run in runs(sweep).items()}
    genexp("train", "-m", *SHORT, "loss=hinge", "seeds=2", "sweep=ring8_gan-loss")
    done = [run for run in runs(sweep).values() if run.record["status"] == "complete"]
    assert sorted(run.record["seed"] for run in done) == [0, 1]
    assert len({run.record["setting"] for run in done}) == 1
    assert all((sweep / name / "run.json").read_bytes() == content for name, content in before.items())
    calls = SweepFolder(sweep).calls()
    assert [call["jobs"] for call in calls] == [2, 2]
    assert calls[0]["command"][:3] == ["genexp", "train", "-m"]
    begun = time.monotonic()
    genexp("train", "-m", *SHORT, "loss=hinge", "seeds=2", "sweep=ring8_gan-loss")
    assert time.monotonic() - begun < 5  # nothing is imported that trains
    assert len(done[0].scores()) == 1


def test_every_launcher_gives_the_same_numbers(genexp, tmp_path):
    found = {}
    for launcher, extra in {
        "local": ["launcher.jobs=2"],  # two slots for one job: its threads are its own all the same
        "joblib": [],
        "submitit": ["launcher.cluster=local"],
    }.items():
        genexp("train", *SHORT, "loss=hinge", "seeds=1", f"sweep={launcher}", f"launcher={launcher}", *extra)
        found[launcher] = runs(tmp_path / "runs" / "sweeps" / launcher)
        assert len(found[launcher]) == 1
        assert all(run.record["status"] == "complete" for run in found[launcher].values())
    for launcher in ("joblib", "submitit"):
        assert found[launcher].keys() == found["local"].keys()
        for name, run in found["local"].items():
            assert numbers(run) == numbers(found[launcher][name]) and len(numbers(run)) == 1
            assert_same_bits(run.folder, found[launcher][name].folder)


@pytest.mark.parametrize("launcher", ["local", "joblib", "submitit"])
def test_a_signal_lets_the_jobs_save_and_the_same_command_goes_on(launcher, group, tmp_path):
    words = ["train", "-m", *SHORT[:-3], "max_steps=1000000", "checkpoint_every=200", "score_every=0", "loss=hinge"]
    words += ["sweep=stopped", f"launcher={launcher}", *(["launcher.cluster=local"] if launcher == "submitit" else [])]
    process = group(*words)
    sweep = tmp_path / "runs" / "sweeps" / "stopped"
    end = time.monotonic() + 120
    while not list(sweep.glob("*/checkpoints/*.ckpt")):
        assert time.monotonic() < end and process.poll() is None, process.stdout.read()
        time.sleep(0.02)
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does: every process gets it
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 130, output
    assert "go on with the same command" in output
    (run,) = runs(sweep).values()
    assert run.record["status"] == "stopped"
    assert run.record["step"] % 200 != 0  # not the checkpoint that was due, but one made for the occasion
    assert "going on" not in (run.folder / "log.txt").read_text()
    wait_until_gone(process.pid)


def test_a_killed_job_is_a_row_and_is_taken_up_again(group, genexp, tmp_path):
    words = ["train", "-m", *TINY, "model=gan", "model.latent_dim=2", "max_steps=2000", "checkpoint_every=100"]
    words += ["score_every=0", "seeds=2", "sweep=shot"]
    process = group(*words)
    sweep = tmp_path / "runs" / "sweeps" / "shot"
    end = time.monotonic() + 120
    while not list(sweep.glob("*-s0/checkpoints/*.ckpt")):
        assert time.monotonic() < end and process.poll() is None
        time.sleep(0.02)
    (victim,) = [pid for pid in members(process.pid) if holds(pid, next(sweep.glob("*-s0")) / ".lock")]
    os.kill(victim, signal.SIGKILL)
    output, _ = process.communicate(timeout=120)
    assert process.returncode == 1, output
    assert "signal 9" in lines(output, "failed")[0]
    assert sorted(run.record["status"] for run in runs(sweep).values()) == ["complete", "failed"]
    done = genexp(*words)
    assert len(lines(done.stdout, "started")) == 1
    log = (next(sweep.glob("*-s0")) / "log.txt").read_text()
    assert "going on from step" in log
    assert all("failure" not in run.record or run.record["failure"] is None for run in runs(sweep).values())


def holds(pid: int, path: Path) -> bool:
    """Whether a process has this file open."""
    try:
        return any(os.readlink(link) == str(path) for link in Path(f"/proc/{pid}/fd").iterdir())
    except OSError:
        return False


@pytest.mark.parametrize(
    ("words", "word"),
    [
        (["loss=hinge,hing"], "did you mean hinge?"),
        (["optimizer.lr=1e-3,1e-4", "optimizer.lrr=1"], "optimizer.lr"),
        (["seed=0,1", "seeds=2"], "seeds"),
        (["seeds=0"], "seeds=0"),
        (["launcher.jobs=0"], "launcher.jobs=0"),
        (["launcher.jobs=1,2"], "whole sweep"),
        (["sweep=a/b"], "sweep=a/b"),
        (["absent.yaml"], "absent.yaml"),
    ],
)
def test_a_wrong_sweep_is_one_sentence_and_writes_nothing(words, word, genexp, tmp_path):
    done = genexp("train", "-m", *TINY, *words, check=False)
    assert done.returncode == 2
    assert len(done.stderr.strip().splitlines()) == 1 and word in done.stderr, done.stderr
    assert list(tmp_path.iterdir()) == []
