"""A sweep on a real SLURM: requeued, cancelled, out of time, left by its own process; its table is the local one."""

import csv
import io
import json
import os
import signal
import time
from contextlib import suppress
from pathlib import Path

from tests.slurm.conftest import COSTS, SIX, Slurm, assert_same_run, runs, steps, until

from genexp.runs import Run

ON_SLURM = ["launcher=submitit", "launcher.cluster=slurm", "launcher.parameters.timeout_min=20"]
CHECK_SECONDS = 32.0
"""SLURM looks at the time limits every 30 s."""


def table(genexp, sweep: Path) -> list[dict[str, str]]:
    """The report's rows without what differs from day to day."""
    rows = csv.DictReader(io.StringIO(genexp("report", str(sweep), "format=csv").stdout))
    return [{name: row[name] for name in row if not any(cost in name for cost in (*COSTS, "second"))} for row in rows]


def where(slurm: Slurm, sweep: Path) -> dict[str, str]:
    """The newest job of each run, as the notes of the submissions and the cluster's list say."""
    found = {}
    for job, (_, name) in sorted(slurm.jobs().items(), key=lambda item: int(item[0].split("_")[0])):
        note = sweep / "submitit" / f"{name}.json"
        if note.is_file():
            found[json.loads(note.read_text())[int(job.split("_")[1]) if "_" in job else 0]] = job
    return found


def limit_to_what_is_left(slurm: Slurm, job: str) -> None:
    """Bring a job near its time limit, so that SLURM warns it at the next look; it does not end before."""
    elapsed = slurm("squeue", "--noheader", f"--jobs={job}", "--format=%M").split(":")
    slurm("scontrol", "update", f"JobId={job}", f"TimeLimit={int(elapsed[-2]) + 2}")


def training(folder: Path) -> int:
    """The process that trains a run on this machine."""
    for words in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):  # it has ended
            if f"resume={folder}" in words.read_text().split("\0"):
                return int(words.parent.name)
    raise AssertionError(f"nobody trains {folder}")


def test_an_array_with_all_that_happens_to_it_ends_as_a_local_sweep(slurm, sweeping, local, genexp, tmp_path):
    sweep = tmp_path / "runs" / "sweeps" / "slurm"
    words = [*SIX, *ON_SLURM, "+launcher.parameters.slurm_signal_delay_s=60", "sweep=slurm"]
    first = sweeping(words)
    until(lambda: len(where(slurm, sweep)) == 6, 60, first.log.read_text)
    jobs = where(slurm, sweep)
    assert len({job.split("_")[0] for job in jobs.values()}) == 1, "six runs are one array"
    requeued, cancelled, limited = sorted(jobs)[:3]

    for name, act in (
        (requeued, ("scontrol", "requeue", jobs[requeued])),
        (cancelled, ("scancel", jobs[cancelled])),
        (limited, ("scancel", "--signal=STOP", jobs[limited])),  # it is quicker than SLURM's clock
    ):
        until(lambda name=name: steps(sweep)[name] >= 200, 240, lambda: steps(sweep))
        slurm(*act)
    limit_to_what_is_left(slurm, jobs[limited])
    until(lambda: "was cancelled on the cluster" in first.log.read_text(), 120, first.log.read_text)
    assert Run(sweep / cancelled).record["status"] == "failed"
    saved_at = Run(sweep / cancelled).record["step"]
    assert 200 <= saved_at < 3000 and saved_at % 1000, "saved for the occasion"
    time.sleep(CHECK_SECONDS)
    first.send_signal(signal.SIGKILL)  # the login node dies
    first.wait()
    slurm("scancel", "--signal=CONT", jobs[limited])
    until(lambda: slurm.restarts(jobs[limited]) == 1, 60, lambda: (sweep / limited / "log.txt").read_text())
    slurm("scontrol", "update", f"JobId={jobs[limited]}", "TimeLimit=20")

    second = sweeping(words)
    until(lambda: second.poll() is not None, 420, lambda: (second.log.read_text(), slurm.jobs(), steps(sweep)))
    assert second.returncode == 0, second.log.read_text()
    assert len({name for _, name in slurm.jobs().values() if name.startswith("slurm.")}) == 2
    again = where(slurm, sweep)
    assert {name for name in jobs if again[name] != jobs[name]} == {cancelled}, "nothing else was submitted twice"
    assert slurm.restarts(jobs[requeued]) == 1
    for name in (requeued, cancelled, limited):
        assert "going on from step" in (sweep / name / "log.txt").read_text(), name

    assert runs(sweep).keys() == runs(local()).keys() and len(runs(sweep)) == 6
    for name, run in runs(local()).items():
        assert_same_run(run, Run(sweep / name))
    assert table(genexp, sweep) == table(genexp, local()) and len(table(genexp, sweep)) == 2


def test_what_the_job_could_not_write_down_is_a_row_and_is_taken_up_again(slurm, sweeping, local, tmp_path):
    sweep = tmp_path / "runs" / "sweeps" / "limit"
    words = [*SIX, "loss=hinge", "seeds=2", *ON_SLURM, "sweep=limit"]
    words += ["launcher.parameters.timeout_min=1", "+launcher.parameters.slurm_signal_delay_s=0"]
    sweep_process = sweeping(words)
    until(lambda: len(where(slurm, sweep)) == 2, 60, sweep_process.log.read_text)
    (frozen, job), (broken, other) = sorted(where(slurm, sweep).items())
    until(lambda: steps(sweep)[frozen] >= 200 and steps(sweep)[broken] >= 200, 100, lambda: steps(sweep))
    slurm("scancel", "--signal=STOP", job)  # it will not save
    os.kill(training(sweep / broken), signal.SIGKILL)  # as a system without memory does
    until(lambda: sweep_process.poll() is not None, 240, sweep_process.log.read_text)
    assert sweep_process.returncode == 1
    said = sweep_process.log.read_text()
    assert f"SLURM job {job} reached its time limit before it had saved" in said
    assert "Killed by signal 9 (out of memory?)" in said and slurm.state(other) == "FAILED"
    assert f"SLURM job {job} reached" in (sweep / frozen / "log.txt").read_text()

    words[-2] = "launcher.parameters.timeout_min=20"
    sweep_process = sweeping(words)
    until(lambda: steps(sweep)[frozen] >= 1100, 240, lambda: steps(sweep))
    sweep_process.terminate()  # the login node is shut down
    assert sweep_process.wait(30) == 0
    assert slurm.state(where(slurm, sweep)[frozen]) == "RUNNING"
    sweep_process = sweeping(words)
    until(lambda: sweep_process.poll() is not None, 240, sweep_process.log.read_text)
    assert sweep_process.returncode == 0
    for name in (frozen, broken):
        assert_same_run(Run(local() / name), Run(sweep / name))


def test_two_tasks_of_a_job_are_two_ranks(slurm, sweeping, genexp, tmp_path):
    words = [*SIX, "loss=hinge", "seeds=1", "max_steps=600", "trainer=ddp", "trainer.devices=2"]
    process = sweeping([*words, *ON_SLURM, "+launcher.parameters.tasks_per_node=2", "sweep=tasks"])
    until(
        lambda: steps(tmp_path / "runs" / "sweeps" / "tasks") and process.poll() is not None, 240, process.log.read_text
    )
    assert process.returncode == 0, process.log.read_text()
    (run,) = runs(tmp_path / "runs" / "sweeps" / "tasks").values()
    genexp("train", "-m", *words, "sweep=here")
    assert_same_run(Run(tmp_path / "runs" / "sweeps" / "here" / run.folder.name), run)


def test_ctrl_c_lets_the_jobs_save_and_leave_the_queue(slurm, sweeping, tmp_path):
    sweep = tmp_path / "runs" / "sweeps" / "stopped"
    words = [*SIX, "loss=hinge", "seeds=2", "max_steps=1000000", "checkpoint_every=1000000", *ON_SLURM, "sweep=stopped"]
    process = sweeping([*words, "launcher.jobs=1"])
    until(lambda: steps(sweep) and max(steps(sweep).values()) >= 100, 120, process.log.read_text)
    process.send_signal(signal.SIGINT)
    assert process.wait(90) == 130, process.log.read_text()
    assert not slurm("squeue", "--noheader")
    assert sorted(run.record["status"] for run in runs(sweep).values()) == ["queued", "stopped"]
    (run,) = [run for run in runs(sweep).values() if run.record["status"] == "stopped"]
    assert len(list(run.checkpoints.glob("*.ckpt"))) == 1


def test_what_slurm_refuses_is_one_sentence(slurm, genexp):
    words = [*SIX, *ON_SLURM, "+launcher.parameters.slurm_partition=absent"]
    done = genexp("train", "-m", *words, check=False)
    assert done.returncode == 2
    (line,) = done.stderr.strip().splitlines()
    assert "SLURM refuses the jobs" in line and "partition" in line
