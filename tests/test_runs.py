import json
import subprocess
import sys
import time

import pytest
from tests.cases import TINY

from genexp import config as configs
from genexp import provenance
from genexp.errors import Busy, UserError
from genexp.runs import Run, all_runs, unfinished


@pytest.fixture
def plain():
    return {**configs.compose_train([*TINY, "model=gan"]).plain, "name": "mine"}


@pytest.fixture
def run(tmp_path, plain) -> Run:
    run = Run(tmp_path / "run")
    run.create(plain, {"loss": "hinge"}, overrides=["loss=hinge", "seed=0"], sweep="s", status="queued")
    return run


def test_a_new_run_says_where_it_comes_from(run, plain):
    record = run.record
    assert run.config == plain
    assert record["status"] == "queued" and record["sweep"] == "s" and record["overrides"] == ["loss=hinge", "seed=0"]
    assert record["cpu_seconds"] == record["seconds"] == 0
    assert record["setting"] == configs.identity({**plain, "seed": 9}, with_seed=False) != record["identity"]
    with pytest.raises(UserError, match="holds a run already"):
        run.create(plain, {})


def test_git_is_asked_once(monkeypatch):
    provenance.commit.cache_clear()
    provenance.commit()
    monkeypatch.setattr(subprocess, "run", None)
    provenance.commit()


def test_a_lock_dies_with_its_process(run):
    code = (
        "import sys, time\nfrom genexp.runs import Run\n"
        f"with Run({str(run.folder)!r}).locked():\n    print('held', flush=True)\n    time.sleep(60)\n"
    )
    holder = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    assert holder.stdout.readline() == "held\n"
    assert run.is_locked
    with pytest.raises(Busy), run.locked():
        pass
    begun = time.monotonic()
    with pytest.raises(Busy), run.locked(timeout=0.3):
        pass
    assert time.monotonic() - begun > 0.25
    holder.kill()
    holder.wait()
    assert not run.is_locked
    with run.locked():
        pass


def test_a_half_written_score_is_passed_over_and_closed_off(run):
    run.append_scores({"step": 1, "weights": "ema", "metrics": {}})
    with open(run.folder / "scores.jsonl", "a") as file:
        file.write('{"step": 2, "weigh')  # killed in the middle
    assert [row["step"] for row in run.scores()] == [1]
    run.append_scores({"step": 3, "weights": "ema", "metrics": {}})
    assert [row["step"] for row in run.scores()] == [1, 3]
    assert json.loads((run.folder / "scores.jsonl").read_text().splitlines()[-1])["step"] == 3
    assert run.final_score(3, "ema")["step"] == 3
    assert run.final_score(3, "raw") is None and run.final_score(2, "ema") is None


def test_what_is_taken_up_again_is_no_job_of_a_sweep(tmp_path, plain):
    assert unfinished(tmp_path, None) is None
    for status, sweep in (("failed", None), ("complete", None), ("stopped", "s"), ("queued", "s")):
        Run(tmp_path / f"{status}-{sweep}").create(plain, {}, status=status, sweep=sweep)
    assert len(all_runs(tmp_path)) == 4
    assert unfinished(tmp_path, None).folder.name == "failed-None"
    assert unfinished(tmp_path, "000000000000") is None


def test_the_sweeps_own_keys_are_not_of_a_runs_identity(plain):
    assert configs.identity(plain) == configs.identity({k: v for k, v in plain.items() if k not in configs.OF_A_SWEEP})
    other = {**plain, "seeds": 5, "sweep": "x", "launcher": {"jobs": 3}, "search": {"trials": 2}}
    assert configs.identity(plain) == configs.identity(other)
    assert configs.identity(plain) != configs.identity({**plain, "batch_size": 7})
