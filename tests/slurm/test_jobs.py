"""docker/slurm/*.sbatch as a person edits them, on a real SLURM: warned, preempted, on two nodes, in a container."""

import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.cases import TINY
from tests.processes import assert_same_bits
from tests.slurm.conftest import SIX, Slurm, assert_same_run, runs, steps, until

from genexp.runs import Run
from genexp.sweeping.display import last_step

FILES = Path(__file__).parents[2] / "docker" / "slurm"
SHORT = [*TINY, "model=gan", "model.latent_dim=2", "log_every=20", "score_every=0", "checkpoint_every=100000"]
LONG = [*SHORT, "max_steps=2000"]
TWO = ["trainer=ddp", "trainer.devices=2"]
APPTAINER = """#!/bin/bash
# In place of the program: it looks at the options, and runs genexp where the container would.
while [[ $1 != *.sif ]]; do
  [[ $1 == *:/runs ]] && folder=${1%:/runs}
  shift
done
[[ $PWD == / || -n $folder ]] || exit 9
GENEXP_OUTPUT=$folder exec genexp "${@:2}"
"""


@pytest.fixture
def submit(slurm: Slurm, tmp_path) -> Callable[..., str]:
    """Edit a job file, hand it to sbatch and return the job's id."""

    def run(name: str, words: list[str], *options: str, **variables: str) -> str:
        shutil.copy(FILES / "job.sh", tmp_path)
        text = (FILES / name).read_text()
        text = re.sub(r"^#SBATCH --(partition|gpus-per-node|array).*\n", "", text, flags=re.M)  # there is no GPU
        for key, value in {"RUNS": str(tmp_path / "runs"), "WORDS": f"({' '.join(words)})", **variables}.items():
            text, found = re.subn(rf"^{key}=.*$", f"{key}={value}", text, flags=re.M)
            assert found == 1, key
        (tmp_path / name).write_text(text)
        return slurm("sbatch", "--parsable", "--time=20", "--cpus-per-task=1", *options, name, cwd=tmp_path)

    return run


def trained_here(genexp, tmp_path) -> Path:
    genexp("train", *LONG, *TWO, "progress=false", f"run_dir={tmp_path / 'here'}")
    return tmp_path / "here"


def ended(slurm: Slurm, job: str, log: Path) -> None:
    until(lambda: slurm.state(job) in ("COMPLETED", "FAILED", "TIMEOUT", "CANCELLED"), 240, log.read_text)
    assert slurm.state(job) == "COMPLETED", log.read_text()


def test_one_machine_makes_room_for_an_urgent_job_and_goes_on(slurm, submit, genexp, tmp_path):
    job = submit("node.sbatch", LONG, DEVICES="2")
    folder, log = tmp_path / "runs" / f"genexp-{job}", tmp_path / f"genexp-{job}.log"
    until(lambda: last_step(folder / "metrics.csv") >= 100, 120, log.read_text)
    urgent = slurm(
        "sbatch", "--parsable", "--partition=urgent", "--nodes=2", "--exclusive", "--wrap=true", cwd=tmp_path
    )
    until(lambda: slurm.restarts(job) == 1, 60, log.read_text)
    assert 100 <= Run(folder).record["step"] < 2000 and Run(folder).record["status"] == "stopped"
    ended(slurm, urgent, tmp_path / f"slurm-{urgent}.out")
    ended(slurm, job, log)
    assert "goes back into the queue" in log.read_text() and "going on from step" in log.read_text()
    assert_same_bits(trained_here(genexp, tmp_path), folder)


def test_two_machines_are_warned_save_and_go_on(slurm, submit, genexp, tmp_path):
    job = submit("nodes.sbatch", LONG, "--nodes=2", "--ntasks-per-node=1")
    folder, log = tmp_path / "runs" / f"genexp-{job}", tmp_path / f"genexp-{job}.log"
    until(lambda: last_step(folder / "metrics.csv") >= 100, 120, log.read_text)
    assert slurm("squeue", "--noheader", f"--jobs={job}", "--format=%N") in ("alpha,beta", "beta,alpha")
    slurm("scancel", "--signal=USR1", "--batch", job)  # what --signal=B:USR1@120 makes SLURM do
    until(lambda: slurm.restarts(job) == 1, 60, log.read_text)
    assert 100 <= Run(folder).record["step"] < 2000 and Run(folder).record["status"] == "stopped"
    ended(slurm, job, log)
    assert "going on from step" in log.read_text()
    assert_same_bits(trained_here(genexp, tmp_path), folder)


def test_cancelled_is_not_queued_again_and_the_same_file_goes_on(slurm, submit, tmp_path):
    job = submit("node.sbatch", [*SHORT, "max_steps=100000"], DEVICES="1")
    log = tmp_path / f"genexp-{job}.log"
    folder = tmp_path / "runs" / f"genexp-{job}"
    until(lambda: last_step(folder / "metrics.csv") >= 50, 120, log.read_text)
    slurm("scancel", job)
    until(lambda: slurm.state(job) == "CANCELLED", 60, log.read_text)
    assert Run(folder).record["status"] == "stopped" and list(Run(folder).checkpoints.glob("*.ckpt"))
    assert slurm.restarts(job) == 0


@pytest.mark.parametrize(("container", "indices"), [("none", (0, 5)), ("apptainer", (2,))])
def test_a_sweep_is_an_array_of_numbered_jobs(container, indices, slurm, submit, local, tmp_path):
    programs = tmp_path / "bin"
    programs.mkdir()
    (programs / "apptainer").write_text(APPTAINER)
    (programs / "apptainer").chmod(0o755)
    slurm.environment["PATH"] = f"{programs}:{slurm.environment['PATH']}"
    job = submit("sweep.sbatch", [*SIX, "sweep=array"], f"--array={','.join(map(str, indices))}", CONTAINER=container)
    sweep = tmp_path / "runs" / "sweeps" / "array"
    until(lambda: max([0, *steps(sweep).values()]) >= 200, 120, slurm.jobs)
    slurm("scontrol", "requeue", f"{job}_{indices[0]}")
    for index in indices:
        ended(slurm, f"{job}_{index}", tmp_path / f"genexp-sweep-{job}_{index}.log")
    assert len(runs(sweep)) == len(indices)
    for name, run in runs(sweep).items():
        assert_same_run(Run(local() / name), run)
