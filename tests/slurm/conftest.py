"""A real SLURM of this machine's own: two nodes on the loopback, started once and stopped at the end.

`make test-slurm` runs these tests; others skip them.
"""

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from tests.cases import TINY
from tests.processes import assert_same_bits

from genexp.runs import Run
from genexp.sweeping.display import last_step

SIX = [*TINY, "model=gan", "model.latent_dim=2", "loss=hinge,non_saturating", "seeds=3", "max_steps=3000"]
SIX += ["log_every=100", "score_every=1500", "checkpoint_every=1000", "progress=false"]
"""Six runs of some seconds each."""
COSTS = ("train_s", "sample_s")
SCRIPT = Path(__file__).with_name("cluster.sh")


def pytest_collection_modifyitems(config, items):
    asked = "slurm" in config.option.markexpr
    why = missing() if asked else "a real SLURM is tested by make test-slurm"
    for item in items:
        if SCRIPT.parent in item.path.parents:
            item.add_marker("slurm")
            if why is not None:
                item.add_marker(pytest.mark.skip(reason=why))


def missing() -> str | None:
    """What this machine lacks; None if it can run a SLURM of its own."""
    if os.geteuid() != 0:
        return "a SLURM of its own needs root"
    if shutil.which("apt-get") is None or not Path("/etc/debian_version").is_file():
        return "a SLURM of its own is installed from Debian's packages"
    return None


@pytest.fixture(scope="session")
def slurm_conf():
    """The cluster's configuration file."""
    folder = Path(tempfile.mkdtemp(prefix="genexp-slurm-"))  # short: a socket's path has at most 108 characters
    folder.chmod(0o755)
    try:
        for words in (["install"], ["start", str(folder)], ["start", str(folder)]):  # starting twice is starting once
            done = subprocess.run([SCRIPT, *words], capture_output=True, text=True, timeout=600)
            assert done.returncode == 0, done.stdout + done.stderr
        yield folder / "slurm.conf"
    finally:
        for log in sorted((folder / "log").glob("*.log")):
            print(f"== {log.name}", "".join(log.read_text().splitlines(keepends=True)[-20:]), sep="\n")
        subprocess.run([SCRIPT, "stop", str(folder)], timeout=120)
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def local(tmp_path_factory, cache):
    """The six runs as a local sweep, trained while the cluster works; call it for the sweep's folder."""
    folder = tmp_path_factory.mktemp("local")
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("PYTEST_", "SLURM_", "WANDB"))}
    own = {"GENEXP_OUTPUT": str(folder), "GENEXP_CACHE": str(cache), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "genexp", "train", "-m", *SIX, "sweep=local", "launcher.jobs=2"]
    with open(folder / "log", "w") as log:
        process = subprocess.Popen(command, cwd=folder, env={**kept, **own}, stdout=log, stderr=log)

    def wait() -> Path:
        assert process.wait(1200) == 0, (folder / "log").read_text()
        return folder / "sweeps" / "local"

    yield wait
    process.terminate()
    process.wait()


@pytest.fixture
def environment(environment, slurm_conf) -> dict[str, str]:
    """The variables of a login node."""
    programs = f"{Path(sys.executable).parent}:{environment['PATH']}"
    kept = {key: value for key, value in environment.items() if not key.startswith(("SLURM_", "SBATCH_", "SQUEUE_"))}
    return {**kept, "SLURM_CONF": str(slurm_conf), "PATH": programs, "MASTER_ADDR": "127.0.0.1"}


class Slurm:
    """What a person does on the login node."""

    def __init__(self, environment: dict[str, str]) -> None:
        self.environment = environment

    def __call__(self, *command: str, cwd: Path | None = None) -> str:
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, env=self.environment, cwd=cwd)
        assert done.returncode == 0, f"{' '.join(command)}\n{done.stdout}{done.stderr}"
        return done.stdout.strip()

    def jobs(self) -> dict[str, tuple[str, str]]:
        """State and name of every job, by its id."""
        lines = self("squeue", "--noheader", "--array", "--states=all", "--format=%F|%K|%T|%j").splitlines()
        rows = [line.strip().split("|") for line in lines]
        return {job if index == "N/A" else f"{job}_{index}": (state, name) for job, index, state, name in rows}

    def state(self, job: str) -> str:
        return self.jobs()[job][0]

    def restarts(self, job: str) -> int:
        words = self("scontrol", "show", "job", job).split()
        return int(next(word for word in words if word.startswith("Restarts=")).removeprefix("Restarts="))


@pytest.fixture
def slurm(environment) -> Slurm:
    cluster = Slurm(environment)
    yield cluster
    cluster("scancel", "--user=root")
    until(lambda: not cluster("squeue", "--noheader"), 60)


def runs(sweep: Path) -> dict[str, Run]:
    return {path.parent.name: Run(path.parent) for path in sorted(sweep.glob("*/run.json"))}


def steps(sweep: Path) -> dict[str, int]:
    return {name: last_step(run.folder / "metrics.csv") for name, run in runs(sweep).items()}


def scores(run: Run) -> list[dict]:
    """What was scored, without what differs from day to day."""
    return [{name: value for name, value in row["metrics"].items() if name not in COSTS} for row in run.scores()]


def assert_same_run(one: Run, other: Run) -> None:
    """Both are complete, scored once, and equal to the bit."""
    assert one.record["status"] == other.record["status"] == "complete"
    assert scores(one) == scores(other) and len(scores(one)) == 1
    assert_same_bits(one.folder, other.folder)


def until(true: Callable[[], object], seconds: float, told: Callable[[], object] = lambda: "") -> None:
    """Wait for something to become true; longer where the machine has other work."""
    seconds *= max(1.0, os.getloadavg()[0] / (os.cpu_count() or 1))
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, f"not within {seconds} s: {told()}"
        time.sleep(0.5)


@pytest.fixture
def sweeping(tmp_path, environment):
    """Start `genexp train -m` on the login node; what still runs at the end is killed."""
    started: list[subprocess.Popen] = []

    def run(words: Sequence[str]) -> subprocess.Popen:
        command = [sys.executable, "-m", "genexp", "train", "-m", *words]
        with open(tmp_path / f"sweep{len(started)}.log", "w") as log:
            started.append(subprocess.Popen(command, cwd=tmp_path, env=environment, stdout=log, stderr=log))
        started[-1].log = tmp_path / f"sweep{len(started) - 1}.log"
        return started[-1]

    yield run
    for process in started:
        if process.poll() is None:
            process.kill()
            process.wait()
