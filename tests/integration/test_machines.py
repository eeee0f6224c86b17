"""Two hosts, each a network namespace with an address of its own, against one process; and one that is lost."""

import os
import re
import shutil
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from tests.cases import Case
from tests.hosts import PORT, Host, two_hosts
from tests.integration.test_ddp import relative_difference
from tests.processes import assert_same_bits, wait_for_step

from genexp.runs import Run
from genexp.training import checkpoint

SHORT = [*Case("gan", "alternating").overrides, "max_steps=20", "log_every=10", "score_every=0", "checkpoint_every=20"]
LONG = [*Case("gan", "simultaneous").overrides, "max_steps=1500", "log_every=20", "score_every=0"]
LONG += ["checkpoint_every=100"]
PAIR = ["trainer=ddp", "trainer.devices=1", "trainer.num_nodes=2"]
TRAIN = [sys.executable, "-m", "genexp", "train"]

Started = tuple[Sequence[str], dict[str, str]]


def by_torchrun(hosts: Sequence[Host], rank: int) -> Started:
    torchrun = [
        sys.executable,
        "-m",
        "torch.distributed.run",
        "--nnodes=2",
        "--nproc-per-node=1",
        "--rdzv-backend=c10d",
    ]
    return [*torchrun, "--rdzv-id=test", f"--rdzv-endpoint={hosts[0].name}:{PORT}", "-m", "genexp", "train"], {}


def by_variables(hosts: Sequence[Host], rank: int) -> Started:
    return TRAIN, {"MASTER_ADDR": hosts[0].name, "MASTER_PORT": PORT, "NODE_RANK": str(rank)}


def by_pytorchjob(hosts: Sequence[Host], rank: int) -> Started:
    return TRAIN, {"MASTER_ADDR": hosts[0].name, "MASTER_PORT": PORT, "RANK": str(rank), "WORLD_SIZE": "2"}


def by_srun(hosts: Sequence[Host], rank: int) -> Started:
    step = {"JOB_ID": "1234", "JOB_NAME": "train", "STEP_ID": "0", "NODELIST": "host-[a,b]", "NNODES": "2"}
    step |= {"NTASKS": "2", "NTASKS_PER_NODE": "1", "PROCID": str(rank), "NODEID": str(rank), "LOCALID": "0"}
    return TRAIN, {f"SLURM_{name}": value for name, value in step.items()}


def start_on(hosts: Sequence[Host], how: Callable[..., Started], words: Sequence[str], environment: dict[str, str]):
    """The same command on both hosts."""
    root = {"PYTHONPATH": os.pathsep.join(filter(None, [str(Path(__file__).parents[2]), os.environ.get("PYTHONPATH")]))}
    started = []
    for rank, host in enumerate(hosts):
        command, variables = how(hosts, rank)
        started.append(host.start([*command, *words], {**environment, **root, **variables}))
    return started


def ended(processes) -> list[str]:
    """What each has printed; all must end well."""
    outputs = [process.communicate(timeout=300)[0] for process in processes]
    assert [process.returncode for process in processes] == [0] * len(processes), "\n".join(outputs)
    return outputs


def difference(one: Path, other: Path) -> float:
    """Of the newest checkpoints: networks and their averages."""
    states = [checkpoint.latest(folder / "checkpoints")[0] for folder in (one, other)]
    assert states[0]["step"] == states[1]["step"]
    return max(relative_difference(states[0][part], states[1][part]) for part in ("model", "ema"))


def only_run(folder: Path) -> Path:
    (found,) = folder.glob("**/run.json")
    return found.parent


@pytest.fixture
def alone(genexp, tmp_path) -> Path:
    """The short run in one process."""
    genexp("train", *SHORT, f"run_dir={tmp_path / 'alone'}")
    return tmp_path / "alone"


@pytest.mark.parametrize(
    "how",
    [by_torchrun, *(pytest.param(how, marks=pytest.mark.slow) for how in (by_variables, by_pytorchjob, by_srun))],
)
def test_two_hosts_equal_one_process(how, alone, environment, tmp_path):
    with two_hosts() as hosts:
        first, other = ended(start_on(hosts, how, [*SHORT, *PAIR], environment))
    run = only_run(tmp_path / "runs")  # its place depends on the time: the first process has decided for both
    assert Run(run).record["status"] == "complete"
    assert len(checkpoint.latest(run / "checkpoints")[0]["meter"]) == 2  # processes that took part
    assert difference(alone, run) < 1e-5
    assert "ring8_gan (ema)" in first and "genexp:" not in other


@pytest.mark.slow
def test_two_processes_on_each_of_two_hosts_equal_one(alone, environment, tmp_path):
    with two_hosts() as hosts:
        ended(start_on(hosts, by_variables, [*SHORT, *PAIR, "trainer.devices=2"], environment))
    run = only_run(tmp_path / "runs")
    assert len(checkpoint.latest(run / "checkpoints")[0]["meter"]) == 4
    assert difference(alone, run) < 1e-5


@pytest.mark.slow
def test_a_lost_host_ends_the_run_which_goes_on_with_two_hosts_and_with_one(environment, genexp, tmp_path):
    """Killed at once with all that runs there: the other ends with one sentence, and nothing is lost but some steps."""
    whole, lost, one = (tmp_path / name for name in ("whole", "lost", "one"))
    with two_hosts() as hosts:
        ended(start_on(hosts, by_variables, [*LONG, *PAIR, f"run_dir={whole}"], environment))
        words = [*LONG, *PAIR, f"run_dir={lost}"]
        first, other = start_on(hosts, by_variables, words, environment)
        wait_for_step(lost, 140, first)
        hosts[1].crash()
        began = time.monotonic()
        output, _ = first.communicate(timeout=60)
        assert first.returncode == 5 and other.wait(10) != 0
        assert time.monotonic() - began < 45
        said = re.findall(r"^genexp: (.*was lost.*)$", output, flags=re.M)
        step = checkpoint.step_of(checkpoint.saved(lost / "checkpoints")[0])
        assert len(said) == 1 and "Traceback" not in output, output
        assert said[0].startswith(
            f"Process 1 on host-b was lost: the run is saved up to step {step}; go on with genexp"
        )
        assert (Run(lost).record["status"], Run(lost).record["failure"]) == ("failed", said[0])
        assert not Run(lost).is_locked and step % 100 == 0
        shutil.copytree(lost, one)
        ended(start_on(hosts, by_variables, [f"resume={lost}"], environment))
    assert assert_same_bits(whole, lost) > 10
    done = genexp("train", f"resume={one}", "trainer.num_nodes=1")
    assert f"genexp: with trainer.num_nodes=1 the run is from step {step} on statistically the same" in done.stdout
    assert Run(one).record["hardware"] == [{"step": step, "num_nodes": 1}]
    assert Run(one).record["identity"] == Run(lost).record["identity"]
    assert difference(lost, one) < 1e-3


@pytest.mark.slow
def test_a_cut_cable_ends_both_hosts_and_the_run_goes_on(environment, genexp, tmp_path):
    """No process dies and no connection is closed: silence is all that there is to notice."""
    run = tmp_path / "cut"
    with two_hosts() as hosts:
        words = [*LONG, *PAIR, f"run_dir={run}", "trainer.timeout_s=5"]
        first, other = start_on(hosts, by_variables, words, environment)
        wait_for_step(run, 140, first)
        hosts[1].unplug()
        began = time.monotonic()
        outputs = [process.communicate(timeout=60)[0] for process in (first, other)]
        assert time.monotonic() - began < 5 + 30
    assert [first.returncode, other.returncode] == [5, 5], "\n".join(outputs)
    assert outputs[0].count("genexp: Process 1 on host-b was lost: the run is saved up to step ") == 1
    assert outputs[1].count("genexp: Process 0 on host-a was lost: the run is saved up to step ") == 1
    assert Run(run).record["status"] == "failed" and not Run(run).is_locked
    genexp("train", f"resume={run}", "trainer.num_nodes=1")
    assert Run(run).record["status"] == "complete"


@pytest.mark.slow
def test_the_first_host_may_be_the_lost_one(environment, tmp_path):
    whole, lost = tmp_path / "whole", tmp_path / "lost"
    with two_hosts() as hosts:
        ended(start_on(hosts, by_torchrun, [*LONG, *PAIR, f"run_dir={whole}"], environment))
        words = [*LONG, *PAIR, f"run_dir={lost}", "trainer.timeout_s=5"]
        first, other = start_on(hosts, by_torchrun, words, environment)
        wait_for_step(lost, 140, first)
        hosts[0].crash()
        output, _ = other.communicate(timeout=120)
        assert other.returncode != 0
        assert output.count("genexp: Process 0 on host-a was lost: the run is saved up to step ") == 1, output
        assert Run(lost).record["status"] == "running"  # whoever would have changed that is gone
        ended(start_on(hosts, by_torchrun, [f"resume={lost}"], environment))
    assert assert_same_bits(whole, lost) > 10


@pytest.mark.slow
def test_hosts_that_are_started_differently_write_nothing(environment, tmp_path):
    """The second was given another seed."""
    with two_hosts() as hosts:
        first = start_on(hosts[:1], by_variables, [*SHORT, *PAIR], environment)[0]
        command, variables = by_variables(hosts, 1)
        other = hosts[1].start([*command, *SHORT, *PAIR, "seed=1"], {**environment, **variables})
        outputs = [process.communicate(timeout=120)[0] for process in (first, other)]
    assert [first.returncode, other.returncode] == [2, 2], "\n".join(outputs)
    assert "genexp: Process 1 on host-b ended the run: This process was started with" in outputs[0]
    assert "Traceback" not in outputs[0] and outputs[1] == ""
    assert not list((tmp_path / "runs").glob("**/run.json"))


def test_several_machines_without_a_starter_are_one_sentence(genexp, tmp_path):
    done = genexp("train", *SHORT, *PAIR, check=False)
    assert done.returncode == 2 and done.stderr.count("\n") == 1
    assert "trainer.num_nodes=2 needs a start on every machine" in done.stderr
    assert not (tmp_path / "runs").exists()
