import json
import subprocess
import sys

import pytest
from tests.reporting.synthetic_runs import write_run

from genexp.errors import UserError
from genexp.reporting.collect import collect


def test_a_folder_of_anything_is_read(tmp_path):
    made = [write_run(tmp_path / "sweeps" / "a", {"fd32c": 1.0}, seed=seed) for seed in range(2)]
    other = write_run(tmp_path / "deep" / "er", {"fd32c": 2.0}, loss="wasserstein")
    (made[0] / "wandb" / "x").mkdir(parents=True)  # nothing below a run is looked at
    (made[0] / "wandb" / "x" / "run.json").write_text("{}")
    assert {run.folder for run in collect([tmp_path]).runs} == {*made, other}
    assert [run.folder for run in collect([other]).runs] == [other]
    assert collect([tmp_path, tmp_path / "sweeps", other]).notes == []


def test_damaged_and_foreign_folders_are_counted(tmp_path):
    write_run(tmp_path, {"fd32c": 1.0})
    damaged = write_run(tmp_path, {"fd32c": 1.0}, seed=1)
    (damaged / "run.json").write_text('{"status": "comp')
    prepared = write_run(tmp_path, None, seed=2)  # killed before run.json was written
    (prepared / "run.json").unlink()
    (tmp_path / "notes" / "of" / "mine").mkdir(parents=True)
    (tmp_path / ".hidden").mkdir()
    found = collect([tmp_path])
    assert [run.seed for run in found.runs] == [0]
    assert found.notes == ["3 folders are damaged or no run, and left out."]


def test_what_became_of_a_run(tmp_path):
    write_run(tmp_path, {"fd32c": 1.5})
    write_run(tmp_path, None, seed=1, status="diverged", failure="loss/critic is NaN at step 7.")
    write_run(tmp_path, None, seed=2, status="running")
    write_run(tmp_path, {"fd32c": None}, seed=3)
    write_run(tmp_path, {"fd32c": float("nan")}, seed=4)
    write_run(tmp_path, None, seed=5)
    refused = write_run(tmp_path, {"fd32c": 3.0}, seed=6)
    row = json.loads((refused / "scores.jsonl").read_text())
    (refused / "scores.jsonl").write_text(json.dumps({**row, "failure": "3 samples contain NaN"}) + "\n")
    write_run(tmp_path, {"fd32c": 3.0}, seed=7, status="stopped")
    runs = {run.seed: run for run in collect([tmp_path]).runs}
    assert {seed: run.status for seed, run in runs.items()} == {
        **{0: "complete", 1: "diverged", 2: "running", 3: "failed", 4: "failed", 5: "failed", 6: "failed"},
        7: "stopped",
    }
    assert [runs[seed].unfinished for seed in range(8)] == [False, False, True, False, False, False, False, True]
    assert runs[0].headline_value == 1.5
    assert runs[0].reason is None
    assert runs[1].reason == "loss/critic is NaN at step 7."
    assert runs[3].reason == runs[4].reason == "fd32c is not finite"
    assert runs[5].reason == "It has no score: run genexp evaluate on its folder."
    assert runs[6].reason == "3 samples contain NaN"
    assert runs[0].images_per_second == 64000 / 20.0


def test_the_score_that_counts(tmp_path):
    folder = write_run(tmp_path, {"fd32c": 1.0})
    row = json.loads((folder / "scores.jsonl").read_text())
    rows = [{**row, "metrics": {"fd32c": 2.0}}, {**row, "weights": "raw", "metrics": {"fd32c": 9.0}}]
    rows += [{**row, "step": 500, "metrics": {"fd32c": 8.0}}]
    with open(folder / "scores.jsonl", "a") as file:
        file.writelines(json.dumps(item) + "\n" for item in rows)
        file.write('{"step": 1000, "weights": "ema", "metr')  # a killed process
    assert collect([folder]).runs[0].headline_value == 2.0


def test_a_config_and_seed_are_counted_once(tmp_path):
    for name, value, created in (("old", 1.0, "2026-01-01"), ("new", 2.0, "2026-01-02"), ("none", None, "2026-01-03")):
        metrics, status = ({"fd32c": value}, "complete") if value else (None, "running")
        write_run(tmp_path / name, metrics, status=status, record={"created": created})
    found = collect([tmp_path])
    assert [run.headline_value for run in found.runs] == [2.0]
    assert found.notes[0].startswith("2 runs have the config and seed of another")


def test_ids_are_unique_and_older_runs_have_a_setting(tmp_path):
    for name, loss in (("a", "hinge"), ("b", "wasserstein")):
        made = write_run(tmp_path / name, {"fd32c": 1.0}, loss=loss)
        record = json.loads((made / "run.json").read_text())
        setting = record.pop("setting")
        (made / "run.json").write_text(json.dumps(record))
        renamed = made.rename(made.with_name("same"))
        assert collect([renamed]).runs[0].setting == setting
    assert sorted(run.id for run in collect([tmp_path]).runs) == ["a/same", "b/same"]


def test_what_is_no_run_is_refused(tmp_path):
    with pytest.raises(UserError, match="There is no run in"):
        collect([tmp_path])
    with pytest.raises(UserError, match="There is no folder"):
        collect([tmp_path / "missing"])


def test_torch_is_not_imported(tmp_path):
    write_run(tmp_path, {"fd32c": 1.0})
    code = (
        "import sys; from genexp.cli import main\n"
        f"assert main(['report', {str(tmp_path)!r}, 'format=terminal,json,csv,latex,markdown']) == 0\n"
        "heavy = {'torch', 'lightning', 'wandb', 'matplotlib', 'scipy.stats'} & set(sys.modules)\n"
        "assert not heavy, heavy"
    )
    subprocess.run([sys.executable, "-c", code], check=True, stdout=subprocess.DEVNULL)
