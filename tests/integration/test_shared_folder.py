"""One folder, many processes on several hosts: nothing is lost, nothing is torn, each job is done once.

The hosts are processes with other names, whose system locks do nothing. For what a network file system shows late, one
folder is mounted twice by sshfs, each mount with a cache of its own.
"""

import csv
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from tests.cases import TINY
from tests.hosts_of_one import on_host

from genexp.errors import Busy
from genexp.leases import Owner
from genexp.locks import LOCK, Lock
from genexp.runs import Run
from genexp.sweeping.display import last_step
from genexp.sweeping.folder import SweepFolder
from genexp.training import checkpoint

SHORT = [*TINY, "model=gan", "model.latent_dim=2", "max_steps=40", "log_every=10", "score_every=20"]
SHORT += ["checkpoint_every=20", "progress=false"]
SFTP = "/usr/lib/openssh/sftp-server"
LATE = "dcache_timeout=3,attr_timeout=3,entry_timeout=3,negative_timeout=3"
TURNS = """
import os, sys, time
from genexp.locks import held
for _ in range(10):
    with held(sys.argv[1], 120):
        os.mkdir(sys.argv[2])  # past the mount: fails if another is inside
        time.sleep(0.01)
        os.rmdir(sys.argv[2])
"""

Start = Callable[..., subprocess.Popen]


@pytest.fixture
def host(tmp_path, environment) -> Iterator[Start]:
    """Start the command line on a host; with the test, all that it started ends."""
    processes = []

    def run(name: str, *arguments: str) -> subprocess.Popen:
        process = subprocess.Popen(
            [sys.executable, "-m", "genexp", *arguments],
            cwd=tmp_path,
            env={**environment, **on_host(name, flock=False, seconds=20)},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        processes.append(process)
        return process

    yield run
    for process in processes:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.communicate()


def check_whole(run: Run, last: int = 40) -> None:
    """A run that is complete, was scored once, and whose files are whole."""
    assert run.record["status"] == "complete" and run.record["step"] == last
    assert len(run.scores()) == len((run.folder / "scores.jsonl").read_text().splitlines()) == 1
    assert steps(run) == list(range(10, last + 1, 10))
    state, refused = checkpoint.latest(run.checkpoints)
    assert state["step"] == last and refused == []
    assert not run.is_locked


def steps(run: Run) -> list[int]:
    """The steps in `metrics.csv`, as whoever opens the file reads them."""
    with open(run.folder / "metrics.csv", newline="") as file:
        return [int(row["step"]) for row in csv.DictReader(file)]


def owner_of(run: Run) -> Owner | None:
    return Lock(run.folder / LOCK).holder()


def runs(sweep: Path) -> list[Run]:
    return [Run(path.parent) for path in sorted(sweep.glob("*/run.json"))]


def trained(run: Run) -> int:
    """How often a process came to the last step."""
    return (run.folder / "log.txt").read_text().count("step 40/40")


def test_hosts_without_common_locks_share_a_sweep(host, tmp_path):
    words = ["train", "-m", *SHORT, "progress=true", "loss=hinge,non_saturating", "seeds=4", "sweep=shared"]
    both = [host(name, *words, "launcher.jobs=2") for name in ("one", "two")]
    outputs = [process.communicate(timeout=280)[0] for process in both]
    assert [process.returncode for process in both] == [0, 0], outputs
    sweep = tmp_path / "runs" / "sweeps" / "shared"
    found = runs(sweep)
    assert len(found) == 8
    for run in found:
        check_whole(run)
        assert trained(run) == 1 and "going on" not in (run.folder / "log.txt").read_text()
    assert all(any(f"complete  {run.folder.name}" in output for output in outputs) for run in found)
    assert [call["jobs"] for call in SweepFolder(sweep).calls()] == [8, 8]
    assert not list(sweep.glob("**/.part-*"))


def test_of_two_hosts_that_take_one_run_the_second_is_told(host, tmp_path):
    first = host("one", "train", *SHORT[:-1], "max_steps=100000000", "run_dir=run", "progress=false")
    run = Run(tmp_path / "run")
    end = time.monotonic() + 120
    while last_step(run.folder / "metrics.csv") < 10:
        assert time.monotonic() < end and first.poll() is None, first.stdout.read()
        time.sleep(0.02)
    second = host("two", "train", "resume=run")
    output, _ = second.communicate(timeout=120)
    assert second.returncode == Busy.exit_code
    assert f"process {first.pid} on one since" in output and "its hold ends after 20 s" in output
    first.terminate()
    first.communicate(timeout=60)
    assert first.returncode == 0 and run.record["status"] == "stopped" and not run.is_locked


@pytest.mark.slow  # about three minutes of processor time
def test_32_runs_at_a_time_survive_random_kills(host, genexp, tmp_path):
    """Four hosts with eight jobs each, and single runs beside them; jobs and whole sweeps are killed at random."""
    chance = random.Random()
    words = [*SHORT, "max_steps=1500", "score_every=750", "checkpoint_every=100", "log_every=100"]
    words += ["loss=hinge,non_saturating,least_squares,saturating", "seeds=8", "sweep=many"]
    sweep = tmp_path / "runs" / "sweeps" / "many"
    hosts = {name: host(name, "train", "-m", *words, "launcher.jobs=8") for name in ("a", "b", "c", "d")}
    alone = [host("e", "train", *SHORT, f"seed={seed}", f"run_dir=alone{seed}") for seed in range(2)]
    most, end, kills = 0, time.monotonic() + 1200, 0
    while any(process.poll() is None for process in hosts.values()):
        assert time.monotonic() < end
        time.sleep(chance.uniform(0.2, 1.0))
        at_work = [owner for run in runs(sweep) if (owner := owner_of(run)) is not None]
        most = max(most, len(at_work))
        if kills < 12 and len(at_work) > 8:
            kills += 1
            victim = chance.choice(at_work)
            if kills % 4:
                with suppress(ProcessLookupError):  # it has just ended
                    os.kill(victim.pid, signal.SIGKILL)
            elif hosts[victim.host].poll() is None:
                os.killpg(hosts[victim.host].pid, signal.SIGKILL)
                hosts[victim.host].communicate()
                hosts[victim.host] = host(victim.host, "train", "-m", *words, "launcher.jobs=8")
    for process in alone:
        assert process.wait(200) == 0
    print(f"{most} jobs at work at a time, {kills} kills")
    assert kills == 12 and most > 16
    last = host("f", "train", "-m", *words, "launcher.jobs=8")  # what was killed is taken up again
    output, _ = last.communicate(timeout=600)
    assert last.returncode == 0, output
    calm = genexp("train", "-m", *words[:-2], "seeds=1", "sweep=calm")
    assert "4 complete" in calm.stdout
    found = runs(sweep)
    assert len(found) == 32
    for run in found:
        assert run.record["status"] == "complete" and len(run.scores()) == 1 and not run.is_locked
        undisturbed = tmp_path / "runs" / "sweeps" / "calm" / run.folder.name / "metrics.csv"
        if undisturbed.is_file():
            assert undisturbed.read_bytes() == (run.folder / "metrics.csv").read_bytes()
        assert steps(run) == sorted({*range(100, 1501, 100), 750})  # a score has a row of its own
    for seed in range(2):
        check_whole(Run(tmp_path / f"alone{seed}"))


@pytest.fixture
def mounts(tmp_path) -> Iterator[tuple[Path, Path, Path]]:
    """A folder, and two mounts of it that show each other's changes seconds late."""
    if shutil.which("sshfs") is None or not Path(SFTP).exists() or not os.access("/dev/fuse", os.W_OK):
        pytest.skip("needs sshfs, an SFTP server and /dev/fuse: apt-get install sshfs openssh-sftp-server")
    script = tmp_path / "sftp.sh"
    script.write_text(f"#!/bin/sh\nexec {SFTP}\n")
    script.chmod(0o755)
    folders = [tmp_path / name for name in ("truth", "one", "two")]
    for folder in folders:
        folder.mkdir()
    mounted = []
    try:
        for folder in folders[1:]:
            done = subprocess.run(
                ["sshfs", f"none:{folders[0]}", folder, "-o", f"ssh_command={script},{LATE}"],
                capture_output=True,
                text=True,
            )
            if done.returncode != 0:
                pytest.skip(f"sshfs does not mount here: {done.stderr.strip()}")
            mounted.append(folder)
        yield folders[0], folders[1], folders[2]
    finally:
        for folder in mounted:
            subprocess.run(["umount", "-l", folder], check=True)


def test_hosts_that_see_each_other_late_take_turns(mounts):
    truth, *views = mounts
    assert not (views[1] / "new").exists()
    (views[0] / "new").touch()
    assert not (views[1] / "new").exists()  # the mounts are as late as they should be
    command = [sys.executable, "-c", TURNS]
    processes = [
        subprocess.Popen(
            [*command, view / ".lock", truth / "inside"], env={**os.environ, **on_host(view.name, seconds=15)}
        )
        for view in views * 2
    ]
    assert [process.wait(120) for process in processes] == [0] * 4


def test_a_run_goes_on_at_another_host_that_sees_late(mounts, host, tmp_path):
    """Killed on one mount, the run is taken up on the other from its newest checkpoint, after its lease has run out."""
    truth, one, two = mounts
    first = host("one", "train", *SHORT[:-1], "max_steps=100000000", "progress=false", f"run_dir={one / 'run'}")
    end = time.monotonic() + 120
    while last_step(truth / "run" / "metrics.csv") < 200:
        assert time.monotonic() < end and first.poll() is None, first.stdout.read()
        list((two / "run").glob("checkpoints/*"))  # so that the other mount knows an older state
        time.sleep(0.05)
    os.killpg(first.pid, signal.SIGKILL)
    first.communicate()
    reached = checkpoint.saved(truth / "run" / "checkpoints")[0]
    early = host("two", "train", f"resume={two / 'run'}")
    output, _ = early.communicate(timeout=120)
    assert early.returncode == Busy.exit_code and "on one since" in output
    with Run(two / "run").locked(timeout=60):
        assert checkpoint.saved(two / "run" / "checkpoints")[0].name == reached.name
        assert Run(two / "run").record["status"] == "running"
