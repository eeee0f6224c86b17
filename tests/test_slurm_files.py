"""docker/slurm/: the job files with SLURM's commands played by scripts; tests/slurm runs them on a real one."""

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

FILES = Path(__file__).parents[1] / "docker" / "slurm"
JOBS = ("node.sbatch", "nodes.sbatch", "sweep.sbatch")
ENDS = {
    "none": ["genexp"],
    "apptainer": [
        *["apptainer", "run", "--nv", "--contain", "--no-home", "--pwd", "/runs"],
        *["--bind", "{runs}:/runs", "/images/genexp.sif"],
    ],
    "pyxis": [
        "--container-image=/images/genexp.sif",
        *["--container-mounts={runs}:/runs", "--container-workdir=/runs", "genexp"],
    ],
}


@pytest.fixture
def start(tmp_path):
    """Run a job file as SLURM would; its commands write down what they are told."""
    processes = []

    def run(name: str, srun: str, state: str = "RUNNING", **variables: str) -> subprocess.Popen:
        programs = tmp_path / "bin"
        programs.mkdir()
        for program, body in {"srun": srun, "squeue": f"echo {state}", "scontrol": "", "scancel": ""}.items():
            (programs / program).write_text(f'#!/bin/bash\nprintf "%s\\n" "$*" >>{tmp_path}/{program}\n{body}\n')
            (programs / program).chmod(0o755)
        text = (FILES / name).read_text()
        for key, value in {"RUNS": str(tmp_path / "runs"), "IMAGE": "/images/genexp.sif", **variables}.items():
            text, found = re.subn(rf"^{key}=.*$", f"{key}={value}", text, flags=re.M)
            assert found == 1, key
        (tmp_path / name).write_text(text)
        slurm = {"SLURM_JOB_ID": "12", "SLURM_JOB_NAME": "genexp", "SLURM_SUBMIT_DIR": str(FILES)}
        slurm |= {"SLURM_NTASKS_PER_NODE": "4", "SLURM_JOB_NUM_NODES": "2", "SLURM_ARRAY_TASK_ID": "3"}
        slurm |= {"PATH": f"{programs}:{os.environ['PATH']}", "OUT": str(tmp_path)}
        processes.append(subprocess.Popen(["bash", tmp_path / name], env={**os.environ, **slurm}))
        return processes[-1]

    yield run
    for process in processes:
        process.kill()


def linted() -> list[str]:
    return [*map(str, sorted(FILES.iterdir())), str(Path(__file__).parent / "slurm" / "cluster.sh")]


def test_shellcheck_finds_nothing():
    program = Path(sys.executable).parent / "shellcheck"
    if not program.is_file():
        pytest.skip("shellcheck is not installed")
    command = [str(program), "-x", *linted()]
    done = subprocess.run(command, capture_output=True, text=True, cwd=FILES.parents[1])
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("name", JOBS)
def test_a_person_edits_few_lines_and_the_job_can_be_requeued(name):
    text = (FILES / name).read_text()
    assert text.startswith("#!/bin/bash\n") and text.count("<-") <= 6
    assert "#SBATCH --requeue\n" in text and "#SBATCH --open-mode=append\n" in text
    assert re.search(r"^#SBATCH --signal=B:USR1@\d+ ", text, flags=re.M)
    assert text.index("#SBATCH --output") < text.index("set -euo"), "SLURM reads no line behind the first command"


@pytest.mark.parametrize("container", list(ENDS))
@pytest.mark.parametrize("name", JOBS)
def test_the_step_is_genexp_with_the_words_outside_and_inside_of_a_container(name, container, start, tmp_path):
    assert start(name, 'env >"$OUT/environment"', CONTAINER=container).wait(30) == 0
    (line,) = (tmp_path / "srun").read_text().splitlines()
    before, _, words = line.partition(" train ")
    assert before.split()[1:] == [word.format(runs=tmp_path / "runs") for word in ENDS[container]]
    output = tmp_path / "runs" if container == "none" else "/runs"
    variables = (tmp_path / "environment").read_text().splitlines()
    assert f"GENEXP_OUTPUT={output}" in variables and "GENEXP_STOP_CODE=75" in variables
    if name == "sweep.sbatch":
        assert before.startswith("--ntasks=1 ") and words.startswith("-m ") and words.endswith("--index 3")
    else:
        assert f"run_dir={output}/genexp-12 resume=auto" in words and "trainer=ddp" in words
    if name == "nodes.sbatch":
        assert before.startswith("--ntasks-per-node=4 ") and "trainer.num_nodes=2 trainer.devices=4" in words
    assert not (tmp_path / "scontrol").exists()


def test_a_warning_reaches_the_tasks_and_the_job_is_queued_again(start, tmp_path):
    step = 'touch "$OUT/began"; until [[ -e $OUT/scancel ]]; do sleep 0.05; done; sleep 0.5; exit 75'
    process = start("node.sbatch", step)
    end = time.monotonic() + 30
    while not (tmp_path / "began").exists():
        assert time.monotonic() < end
        time.sleep(0.05)
    process.send_signal(signal.SIGUSR1)
    assert process.wait(30) == 75
    assert (tmp_path / "scancel").read_text() == "--signal=TERM 12\n"
    assert (tmp_path / "scontrol").read_text() == "requeue 12\n"


@pytest.mark.parametrize(
    ("code", "state", "queued"),
    [
        (75, "RUNNING", True),
        (143, "RUNNING", True),
        (75, "COMPLETING", False),
        (2, "RUNNING", False),
        (3, "RUNNING", False),
    ],
)
def test_only_what_can_go_on_and_was_not_cancelled_is_queued_again(code, state, queued, start, tmp_path):
    assert start("nodes.sbatch", f"exit {code}", state).wait(30) == code
    assert (tmp_path / "scontrol").exists() is queued
