"""What a job does on its node, in a process that is signalled as SLURM signals it."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from genexp.runs import Run
from genexp.sweeping.slurm_task import AFTERWARDS, FRUITLESS_STARTS, REQUEUE_CODE

TASK = """
import sys
from genexp.sweeping import slurm_task
from genexp.sweeping.slurm_task import Task

class Training:
    "In place of `genexp train`: a program, which every signal to the task reaches too."
    def __init__(self, run, threads):
        import subprocess
        self.process = subprocess.Popen([sys.executable, "-c", sys.argv[2], str(run.folder), str(threads)])
    def stop(self):
        self.process.terminate()

slurm_task.Fresh = Training
sys.exit(Task(sys.argv[1])())
"""
SAVES = """
import json, pathlib, signal, sys, time
record = pathlib.Path(sys.argv[1]) / "run.json"
def end(status, step, code):
    record.write_text(json.dumps({"status": status, "step": step}))
    sys.exit(code)
signal.signal(signal.SIGTERM, lambda *_: end("stopped", STEP, 0))
record.write_text(json.dumps({"status": "running", "step": 40}))
(record.parent / "ready").touch()
time.sleep(60)
"""


@pytest.fixture
def start(tmp_path):
    run = Run(tmp_path / "run")
    run.folder.mkdir()
    run.update(status="queued", step=40)
    processes = []

    def start(program: str, **variables: str) -> tuple[subprocess.Popen, Run]:
        command = [sys.executable, "-c", TASK, str(run.folder), program]
        environment = {**os.environ, "SLURM_PROCID": "0", **variables}
        processes.append(subprocess.Popen(command, env=environment, start_new_session=True))
        return processes[-1], run

    yield start
    for process in processes:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)


def ready(run: Run) -> None:
    end = time.monotonic() + 60
    while not (run.folder / "ready").exists():
        assert time.monotonic() < end
        time.sleep(0.02)


@pytest.mark.parametrize("number", [signal.SIGUSR1, signal.SIGUSR2, signal.SIGTERM])
def test_a_warning_to_all_processes_saves_and_asks_for_another_start(number, start):
    process, run = start(SAVES.replace("STEP", "57"))
    ready(run)
    os.killpg(process.pid, number)  # as SLURM does
    assert process.wait(30) == REQUEUE_CODE
    assert run.record == {"status": "stopped", "step": 57}


def test_a_run_that_gets_its_last_step_done_needs_no_other_start(start):
    process, run = start(SAVES.replace('"stopped", STEP', '"complete", 100'))
    ready(run)
    os.killpg(process.pid, signal.SIGUSR2)
    assert process.wait(30) == 0


# The starts in a row without a step before this one, where this one ends, its exit code, and what the next one is told
@pytest.mark.parametrize(
    ("before", "step", "code", "after"),
    [
        (FRUITLESS_STARTS - 1, 40, 1, 0),
        (FRUITLESS_STARTS - 2, 40, REQUEUE_CODE, FRUITLESS_STARTS - 1),
        (FRUITLESS_STARTS - 1, 41, REQUEUE_CODE, 0),
    ],
)
def test_a_run_that_is_started_again_and_again_in_vain_is_given_up(before, step, code, after, start):
    program = SAVES.replace("STEP", str(step)).replace('"step": step}', f'"step": step, "fruitless_starts": {before}}}')
    process, run = start(program, SLURM_RESTART_COUNT="50")
    run.update(fruitless_starts=before)
    ready(run)
    os.killpg(process.pid, signal.SIGUSR2)
    assert process.wait(30) == code
    assert run.record["fruitless_starts"] == after
    assert (run.record["status"] == "failed") == (code == 1)
    assert code != 1 or f"stopped {FRUITLESS_STARTS} times" in run.record["failure"]


@pytest.mark.parametrize(("end", "code"), [("os.kill(os.getpid(), 9)", 137), ("sys.exit(5)", 5)])
def test_an_end_without_a_word_is_recorded_on_the_node(end, code, start):
    process, run = start(f"import os, sys; {end}")
    assert process.wait(60) == code
    assert run.record["status"] == "failed" and "see log.txt" in run.record["failure"]


def test_the_training_gets_the_cores_of_its_task(start):
    process, run = start(
        "import pathlib, sys; pathlib.Path(sys.argv[1], 'n').write_text(sys.argv[2])", SLURM_CPUS_PER_TASK="3"
    )
    process.wait(60)
    assert (run.folder / "n").read_text() == "3"


@pytest.mark.parametrize(
    ("code", "state", "queued"), [(75, "RUNNING", True), (75, "COMPLETING", False), (0, "RUNNING", False)]
)
@pytest.mark.parametrize(
    ("array", "job"),
    [({}, "12"), ({"SLURM_ARRAY_JOB_ID": "12", "SLURM_ARRAY_TASK_ID": "3"}, "12_3")],
    ids=["alone", "the element with its array's number"],
)
def test_behind_the_task_only_what_was_told_to_stop_and_not_cancelled_is_queued_again(
    code, state, queued, array, job, tmp_path
):
    squeue = (
        f'[[ "$*" == *--jobs={job}\\ * ]] || echo RUNNING\necho {state}'  # the array's number asks for all elements
    )
    for name, body in {"squeue": squeue, "scontrol": f'echo "$@" > {tmp_path}/asked'}.items():
        (tmp_path / name).write_text(f"#!/bin/bash\n{body}\n")
        (tmp_path / name).chmod(0o755)
    script = "\n".join([f"(exit {code})", *AFTERWARDS, 'exit "$code"'])
    variables = {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}", "SLURM_JOB_ID": "12", **array}
    assert subprocess.run(["bash", "-c", script], env=variables).returncode == code
    asked = Path(tmp_path / "asked")
    assert (asked.read_text() == f"requeue {job}\n") if queued else not asked.exists()
