"""Launchers over other libraries' executors: what they refuse, and how a SLURM job file looks."""

import os
from pathlib import Path

import pytest

from genexp.commands.multirun import run_all
from genexp.errors import UserError
from genexp.runs import Run
from genexp.storage.store import Store
from genexp.sweeping.executors import SLURM_COMMANDS, Joblib, Submitit

SBATCH = """#!/bin/sh
cp "$1" {folder}/submitted.sh
env > {folder}/environment
{answer}
"""


@pytest.fixture
def commands(tmp_path, monkeypatch) -> Path:
    """A machine with SLURM's commands, which find an empty queue and accept every job."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for name in SLURM_COMMANDS:
        (folder / name).write_text("#!/bin/sh\n")
        (folder / name).chmod(0o755)
    (folder / "sbatch").write_text(SBATCH.format(folder=tmp_path, answer="echo Submitted batch job 7"))
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
    return folder


def queued(tmp_path: Path, name: str) -> Run:
    run = Run(tmp_path / "sweep" / name)
    run.folder.mkdir(parents=True)
    run.update(status="queued")
    return run


def test_jobs_started_together_are_one_array_with_the_parameters(commands, tmp_path, monkeypatch):
    monkeypatch.setenv("SLURM_CONF", "/some/slurm.conf")
    monkeypatch.setenv("SLURM_JOB_ID", "1")  # the sweep itself is a job
    launcher = Submitit(cluster="slurm", parameters={"timeout_min": 30, "slurm_teardown": ["echo own"]})
    handles = [launcher.start(queued(tmp_path, f"run{i}")) for i in range(3)]
    assert not (tmp_path / "submitted.sh").exists()
    assert handles[0].poll() is None
    assert [handle.id for handle in handles] == ["7_0", "7_1", "7_2"]
    lines = (tmp_path / "submitted.sh").read_text().splitlines()
    assert {"#SBATCH --array=0-2%3", "#SBATCH --time=30", "#SBATCH --requeue"} <= set(lines)
    behind = lines[lines.index("# teardown") + 1 :]
    assert behind[0] == "code=$?" and behind[-2:] == ["echo own", 'exit "$code"']
    assert any("-eq 75" in line and "scontrol requeue" in line for line in behind)
    variables = (tmp_path / "environment").read_text().splitlines()
    assert "SLURM_CONF=/some/slurm.conf" in variables and "SLURM_JOB_ID=1" not in variables
    assert os.environ["SLURM_JOB_ID"] == "1"


def test_slurm_s_refusal_is_a_sentence(commands, tmp_path, capfd):
    answer = 'echo "sbatch: error: invalid partition specified: absent" >&2; exit 1'
    (commands / "sbatch").write_text(SBATCH.format(folder=tmp_path, answer=answer))
    handle = Submitit(cluster="slurm").start(queued(tmp_path, "run"))
    with pytest.raises(UserError, match="SLURM refuses the jobs: invalid partition specified: absent\\.$"):
        handle.poll()
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        ({"cluster": "slurmm"}, "slurm, local or debug"),
        ({"cluster": "slurm"}, "no sbatch here"),
        ({"jobs": 0}, "launcher.jobs=0"),
        ({"cluster": "local", "parameters": {"timeout_minutes": 1}}, "timeout_minutes"),
        ({"cluster": "local", "parameters": {"timeout_min": "long"}}, "timeout_min"),
    ],
)
def test_what_is_wrong_is_said_before_anything_is_written(arguments, word, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(UserError, match=word):
        Submitit(**arguments)
    assert list(tmp_path.iterdir()) == []


def test_only_slurm_s_jobs_outlive_the_sweep(commands):
    assert Submitit(cluster="slurm").outlives and Submitit().outlives
    assert not Submitit(cluster="local").outlives and not Joblib().outlives


def test_an_output_at_an_address_is_refused_before_anything_is_written(commands):
    words = ["experiment=ring8_gan", "loss=hinge,saturating", "launcher=submitit", "paths.output=memory://refused/runs"]
    with pytest.raises(UserError, match="set paths.output to one"):
        run_all(words, None)
    assert not Store("memory://refused/runs").listing()
