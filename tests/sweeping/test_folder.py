import threading

import pytest
from tests.cases import TINY

from genexp import config as configs
from genexp.errors import UserError
from genexp.runs import Run
from genexp.sweeping.folder import SweepFolder
from genexp.sweeping.grid import Grid
from genexp.sweeping.scheduler import Outcome

JOB = [*TINY, "model=gan", "model.latent_dim=2"]


@pytest.fixture
def folder(tmp_path) -> SweepFolder:
    return SweepFolder(tmp_path / "sweeps" / "mine")


def test_a_job_is_found_by_its_content(folder, monkeypatch, tmp_path):
    job = folder.job([*JOB, "loss=hinge", "seed=2"])
    assert job.run.folder.name == f"{configs.identity(job.plain)}-s2"
    elsewhere = [*JOB, "seed=2", "loss=hinge", "logger=csv", f"paths.cache={tmp_path}", "progress=false", "name=other"]
    assert folder.job(elsewhere).run.folder == job.run.folder
    assert folder.job([*JOB, "loss=hinge", "seed=3"]).run.folder != job.run.folder
    assert folder.job([*JOB, "loss=hinge", "seed=2", "launcher=joblib", "seeds=7"]).run.folder == job.run.folder


def test_seeds_are_those_of_single_runs_and_doubles_collapse(folder):
    jobs = folder.jobs([[*JOB, "seed=1"], [*JOB, "seed=2"]], 2, None)
    assert [job.plain["seed"] for job in jobs] == [1, 2, 3]
    for job in jobs:
        alone = folder.job([*JOB, f"seed={job.plain['seed']}"])
        assert alone.plain == job.plain and alone.overrides == job.overrides


def test_what_refers_to_the_seed_follows_it(folder):
    jobs = folder.jobs([[*JOB, "evaluation.seed=${seed}"]], 2, None)
    assert [job.plain["evaluation"]["seed"] for job in jobs] == [0, 1]


def test_a_prepared_job_is_a_run_that_waits(folder):
    job = folder.job([*JOB, "seed=5"])
    for _ in range(2):
        folder.prepare(job)
    (run,) = folder.runs()
    assert run.config == job.plain
    record = run.record
    assert record["status"] == "queued" and record["sweep"] == "mine" and record["seed"] == 5
    assert record["overrides"] == [*JOB, "seed=5"]
    assert record["identity"] == configs.identity(job.plain)


def test_two_that_prepare_the_same_job_make_it_once(folder, monkeypatch):
    job = folder.job(JOB)
    made = []
    create = Run.create
    monkeypatch.setattr(Run, "create", lambda run, *args, **kwargs: (made.append(1), create(run, *args, **kwargs)))
    threads = [threading.Thread(target=folder.prepare, args=(job,)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(made) == 1


def test_one_wrong_job_among_many_writes_nothing(folder):
    with pytest.raises(UserError, match="hinge"):
        folder.jobs([[*JOB, "loss=hinge"], [*JOB, "loss=hing"]], None, None)
    assert not folder.path.exists()


def test_calls_are_noted(folder):
    folder.note_call(["genexp", "train", "-m"], 3)
    folder.note_call(["genexp", "train", "-m"], 4)
    assert [call["jobs"] for call in folder.calls()] == [3, 4]


def test_a_grid_skips_what_is_done_and_waits_for_what_others_do(folder):
    jobs = folder.jobs([JOB], 5, None)
    for job in jobs:
        folder.prepare(job)
    for job, status in zip(jobs, ("complete", "diverged", "failed", "stopped", "queued"), strict=True):
        job.run.update(status=status)
    grid = Grid(folder, jobs)
    assert [job.plain["seed"] for job in grid.skipped] == [0, 1]
    assert not grid.exhausted
    with jobs[3].run.locked():  # another process has it
        assert grid.next() == jobs[2]
        assert grid.next() == jobs[4]
        assert grid.next() is None and not grid.exhausted
    jobs[3].run.update(status="complete")  # and has finished it
    assert grid.next() is None and grid.exhausted
    assert jobs[3] in grid.skipped
    grid.finished(jobs[4], Outcome("busy"))
    assert not grid.exhausted
    grid.next()
    assert grid.next() == jobs[4]
