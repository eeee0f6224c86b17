"""Two gloo processes equal one process on the union of the batches, for every family and plan."""

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from tests.cases import Case
from tests.processes import assert_same_bits, wait_for_step

from genexp.runs import Run
from genexp.training import checkpoint

pytestmark = pytest.mark.cold
WORKER = Path(__file__).with_name("ddp_worker.py")


def free_port() -> str:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return str(found.getsockname()[1])


def relative_difference(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> float:
    """Largest difference of a tensor, relative to its own norm."""
    return max(
        ((one[key] - other[key]).norm() / one[key].norm().clamp_min(1e-12)).item()
        for key in one
        if one[key].is_floating_point()
    )


@pytest.fixture(scope="module")
def trained(tmp_path_factory, cache):
    """What one process and what each of two processes ended with, for every case."""
    folder = tmp_path_factory.mktemp("ddp")
    root = Path(__file__).parents[2]
    base = {
        **{key: value for key, value in os.environ.items() if not key.startswith(("PYTEST_", "WANDB"))},
        "OMP_NUM_THREADS": "1",
        "PYTHONPATH": str(root),
        "GENEXP_CACHE": str(cache),
    }
    ranks = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": free_port(), "WORLD_SIZE": "2", "LOCAL_WORLD_SIZE": "2"}
    ranks |= {"GROUP_RANK": "0", "TORCHELASTIC_RUN_ID": "test"}
    processes = [subprocess.Popen([sys.executable, str(WORKER), str(folder), "1"], env=base)]
    processes += [
        subprocess.Popen(
            [sys.executable, str(WORKER), str(folder), "2"],
            env={**base, **ranks, "RANK": str(rank), "LOCAL_RANK": str(rank)},
        )
        for rank in range(2)
    ]
    assert [process.wait(timeout=400) for process in processes] == [0, 0, 0]
    return [torch.load(folder / name) for name in ("devices1-rank0.pt", "devices2-rank0.pt", "devices2-rank1.pt")]


def test_two_processes_equal_one(trained):
    one, first, second = trained
    for name in one:
        assert relative_difference(one[name], first[name]) < 1e-5, name
        assert all(torch.equal(first[name][key], second[name][key]) for key in first[name]), name


def test_the_weights_moved(trained):
    """The comparison means something: another seed or batch would differ by far more."""
    one = trained[0]
    names = [name for name in one if name.startswith("gan")]
    assert relative_difference(one[names[0]], one[names[1]]) > 1e-3


def test_the_command_line_trains_on_two_processes(genexp, tmp_path):
    overrides = [*Case("gan", "alternating").overrides, "max_steps=20", "score_every=10", "checkpoint_every=10"]
    genexp("train", *overrides, "trainer=ddp", "trainer.devices=2", f"run_dir={tmp_path / 'two'}")
    genexp("train", *overrides, f"run_dir={tmp_path / 'one'}")
    one, two = (Run(tmp_path / name) for name in ("one", "two"))
    assert two.record["status"] == "complete"
    states = [checkpoint.latest(run.checkpoints)[0] for run in (one, two)]
    for part in ("model", "ema"):
        assert relative_difference(states[0][part], states[1][part]) < 1e-5
    assert [row.split(",")[0] for row in (two.folder / "metrics.csv").read_text().splitlines()[1:]] == ["10", "20"]


def test_multirun_starts_two_processes_for_each_job(genexp, tmp_path):
    overrides = [*Case("gan", "alternating").overrides, "max_steps=10", "score_every=0"]
    done = genexp("train", "-m", *overrides, "trainer=ddp", "trainer.devices=2", "seed=0,1")
    assert done.stdout.count("genexp: started") == 2
    runs = [Run(path.parent) for path in sorted((tmp_path / "runs").glob("**/run.json"))]
    assert [run.record["status"] for run in runs] == ["complete"] * 2
    assert sorted(run.record["seed"] for run in runs) == [0, 1]


def test_sigterm_stops_both_processes_and_the_run_goes_on(genexp, start, tmp_path):
    long = [*Case("gan", "alternating").overrides, "max_steps=600", "log_every=20", "score_every=0"]
    two = [*long, "checkpoint_every=600", "trainer=ddp", "trainer.devices=2"]
    whole, stopped = tmp_path / "whole", tmp_path / "stopped"
    genexp("train", *two, f"run_dir={whole}")
    process = start(["train", *two, f"run_dir={stopped}"])
    wait_for_step(stopped, 100, process)
    process.terminate()
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 0, output
    assert 100 <= Run(stopped).record["step"] < 600
    genexp("train", f"resume={stopped}")
    assert_same_bits(whole, stopped)


@pytest.mark.slow
def test_a_killed_process_ends_the_other_with_one_sentence(start, tmp_path):
    run = tmp_path / "run"
    overrides = [*Case("gan", "alternating").overrides, "max_steps=100000", "log_every=20", "score_every=0"]
    first = start(["train", *overrides, "checkpoint_every=50", "trainer=ddp", "trainer.devices=2", f"run_dir={run}"])
    wait_for_step(run, 100, first)
    (other,) = Path(f"/proc/{first.pid}/task/{first.pid}/children").read_text().split()[:1]
    os.kill(int(other), signal.SIGKILL)
    output, _ = first.communicate(timeout=60)
    assert first.returncode == 5, output
    assert output.count("was lost") == 1 and "Traceback" not in output
    step = checkpoint.step_of(checkpoint.saved(run / "checkpoints")[0])
    assert f"was lost: the run is saved up to step {step}; go on with genexp train resume=" in output
    assert (Run(run).record["status"], Run(run).is_locked) == ("failed", False)


@pytest.mark.slow
def test_torchrun_starts_a_lost_process_again_and_the_run_goes_on(genexp, environment, tmp_path):
    """`--max-restarts` with `resume=auto`: the same command again, by the agent."""
    overrides = [*Case("gan", "alternating").overrides, "max_steps=1500", "log_every=20", "score_every=0"]
    overrides += ["checkpoint_every=100", "trainer=ddp", "trainer.devices=2"]
    whole, run = tmp_path / "whole", tmp_path / "run"
    genexp("train", *overrides, f"run_dir={whole}")
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2", "--max-restarts=1"]
    agent = subprocess.Popen(
        [*torchrun, "-m", "genexp", "train", *overrides, f"run_dir={run}", "resume=auto"],
        **{"env": environment, "cwd": tmp_path, "text": True},
        **{"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT},
    )
    wait_for_step(run, 140, agent)
    for child in Path(f"/proc/{agent.pid}/task/{agent.pid}/children").read_text().split():
        if "LOCAL_RANK=1" in Path(f"/proc/{child}/environ").read_text().split("\0"):
            os.kill(int(child), signal.SIGKILL)
    output, _ = agent.communicate(timeout=200)
    assert agent.returncode == 0, output
    assert "genexp: going on from step " in output
    assert_same_bits(whole, run)
