"""What each logger leaves behind, read back by its own reader."""

import csv
import json
import os
import signal
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tests.cases import Case
from tests.processes import wait_for_step

from genexp.errors import UserError
from genexp.reporting import wandb_run
from genexp.reporting.loggers import Wandb
from genexp.reporting.wandb_folders import records, segments
from genexp.runs import Run

RUN = [o for o in Case("gan", "alternating").overrides if not o.startswith("logger")]
RUN += ["max_steps=40", "log_every=10", "score_every=20", "run_dir=run"]
LONG = [*RUN[:-4], "max_steps=800", "log_every=20", "score_every=100", "checkpoint_every=100", "logger=wandb"]


def of_kind(folder: Path, kind: str) -> list[dict]:
    """The records of one kind in all offline segments of a run, in order."""
    return [r[kind] for segment in segments(folder) for r in records(segment.log) if r["type"] == kind]


def columns(folder: Path) -> list[dict[str, str]]:
    with open(folder / "metrics.csv", newline="") as file:
        return list(csv.DictReader(file))


def assert_same_history(folder: Path) -> None:
    """W&B holds each row of metrics.csv once, in order, with the same bits; and one more at the end."""
    *rows, last = [record["item"] for record in of_kind(folder, "history")]
    written = columns(folder)
    assert [row[wandb_run.STEP] for row in rows] == [int(row["step"]) for row in written]
    for row, truth in zip(rows, written, strict=True):
        for name, value in truth.items():
            if value and name != "step":
                assert repr(float(row[name])) == repr(float(value)), (truth["step"], name)
    assert last[wandb_run.STEP] == rows[-1][wandb_run.STEP]


def test_wandb_offline_holds_config_curves_pictures_and_scores(genexp, tmp_path):
    genexp("train", *RUN, "logger=wandb", "logger.tags=[mine]")
    run = tmp_path / "run"
    assert_same_history(run)
    (record,) = of_kind(run, "run")
    plain = Run(run).config
    logged = record["config"]["update"]
    assert all(logged[key] == plain[key] for key in ("dataset", "loss", "seed", "optimizer", "evaluation"))
    assert logged["setting"] == Run(run).record["setting"] and logged["choices"]["dataset"] == "ring8"
    assert {"dataset=ring8", "model=gan", "penalty=gp", "plan=alternating", "mine"} <= set(record["tags"])
    assert (record["run_group"], record["job_type"], record["display_name"]) == ("ring8_gan", "train", "run")

    (row,) = [json.loads(line) for line in (run / "scores.jsonl").read_text().splitlines()]
    updates = [r["update"] for r in of_kind(run, "summary")]
    summary = {name: value for update in updates for name, value in update.items()}
    for name, value in row["metrics"].items():
        assert summary[f"score/{name}"] == (pytest.approx(value, rel=1e-12) if isinstance(value, float) else value), (
            name
        )
    (table,) = run.glob("wandb/offline-run-*/files/media/table/final/scores*.json")
    content = json.loads(table.read_text())
    own = dict(zip(content["columns"], content["data"][-1], strict=True))
    assert own.pop("generator") == "ring8_gan (ema)"
    assert own["hq"] == row["metrics"]["hq"]

    pictures = sorted(run.glob("wandb/offline-run-*/files/media/images/samples_*.png"))
    assert len(pictures) == 2
    for logged_picture, step in zip(pictures, (20, 40), strict=True):
        own_picture = Image.open(run / "samples" / f"step-{step:08d}.png")
        assert np.array_equal(np.asarray(Image.open(logged_picture)), np.asarray(own_picture))
    assert len(list(run.glob("wandb/offline-run-*/files/media/images/final/samples_*.png"))) == 1
    scored = [r["item"] for r in of_kind(run, "history") if "samples/x0.values" in r["item"]]
    assert [sum(item["samples/x0.values"]) for item in scored] == [100, 100]  # evaluation.fast_n


STOPS = [signal.SIGKILL, pytest.param(signal.SIGTERM, marks=pytest.mark.slow)]


@pytest.mark.parametrize("number", STOPS, ids=lambda n: n.name)
def test_a_stopped_and_resumed_run_has_one_history(number, genexp, start, tmp_path):
    process = start(["train", *LONG, "run_dir=run"])
    wait_for_step(tmp_path / "run", 260, process)
    os.kill(process.pid, number)
    process.wait(timeout=60)
    genexp("train", "resume=run")
    found = segments(tmp_path / "run")
    assert len(found) == 2
    assert len({segment.wandb_id for segment in found}) == 1
    assert_same_history(tmp_path / "run")


@pytest.mark.slow
def test_rows_that_died_with_wandb_are_logged_by_the_next_process(genexp, tmp_path):
    run = tmp_path / "run"
    genexp("train", *RUN[:-4], "max_steps=40", "log_every=10", "score_every=20", "checkpoint_every=20", "run_dir=run")
    for log in run.glob("wandb/offline-run-*/*.wandb"):
        log.unlink()  # nothing of it was written
    (run / "scores.jsonl").unlink(missing_ok=True)
    logger = Wandb()(Run(run), Run(run).config)[0]
    logger.experiment.finish()
    rows = [record["item"] for record in of_kind(run, "history")]
    assert [row[wandb_run.STEP] for row in rows] == [10, 20, 30, 40]
    assert [float(row["loss/critic"]) for row in rows] == [float(row["loss/critic"]) for row in columns(run)]
    assert len(list(run.glob("wandb/offline-run-*/files/media/images/samples_*.png"))) == 4  # the first two were there


@pytest.mark.slow
def test_a_run_cut_off_while_it_was_scored_logs_its_score_later(genexp, tmp_path):
    run = tmp_path / "run"
    genexp("train", *RUN, "logger=wandb")
    for log in [*run.glob("wandb/offline-run-*/*.wandb"), run / "scores.jsonl"]:
        log.unlink()
    Run(run).update(status="running")
    genexp("train", "resume=run")
    assert_same_history(run)
    updates = [r["update"] for r in of_kind(run, "summary")]
    assert any("score/hq" in update for update in updates)


def a_run(folder: Path, **record) -> Run:
    run = Run(folder)
    folder.mkdir(parents=True)
    known = {"name": "ring8_gan", "setting": "abc", "seed": 1, "created": "2026-01-01", "choices": {}}
    run.update(**{**known, **record})
    return run


def test_names_in_a_sweep(tmp_path):
    choices = {"dataset": "ring8", "loss": "hinge", "constraint": "none", "paths": "default"}
    overrides = ["experiment=ring8_gan", "loss=hinge", "seed=1", "logger.mode=online"]
    run = a_run(tmp_path / "0a1b-s1", sweep="losses", overrides=overrides, choices=choices)
    called = wandb_run.init_arguments(run, {"penalty": {"r1": {}, "r2": {}}}, None, ["x" * 100])
    assert called["id"].startswith("losses-0a1b-s1-")
    assert (called["name"], called["group"]) == ("experiment=ring8_gan loss=hinge s1", "losses")
    assert called["tags"] == ["dataset=ring8", "loss=hinge", "penalty=r1", "penalty=r2", "x" * 64]
    assert called["config"]["label"] == "experiment=ring8_gan loss=hinge"
    assert wandb_run.init_arguments(run, {}, "mine", [])["group"] == "mine"


def test_ids_are_unique_short_and_kept(tmp_path):
    first = a_run(tmp_path / "one" / "out")
    second = a_run(tmp_path / "two" / "out")
    assert wandb_run.run_id(first) != wandb_run.run_id(second)
    assert wandb_run.run_id(first) == wandb_run.run_id(Run(first.folder))
    odd = a_run(tmp_path / ("ü:/?#"[0] * 100), sweep="a b" * 40)
    assert len(wandb_run.run_id(odd)) <= 128
    assert set(wandb_run.run_id(odd)) <= set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-")
    (first.folder / "wandb" / "run-20260101_000000-given-by-agent").mkdir(parents=True)
    assert wandb_run.run_id(first) == "given-by-agent"


def test_histograms_count_every_finite_value():
    samples = np.random.default_rng(0).normal(size=(50, 2)).astype(np.float32)
    samples[0, 0] = np.nan
    found = wandb_run.histograms(samples)
    assert {name: int(counts.sum()) for name, (counts, _) in found.items()} == {"samples/x0": 49, "samples/x1": 50}
    (images,) = wandb_run.histograms(np.zeros((3, 1, 4, 4), np.float32)).values()
    assert int(images[0].sum()) == 48
    assert wandb_run.histograms(np.full((3, 1), np.inf, np.float32)) == {}


@pytest.mark.slow
def test_tensorboard_and_csv(genexp, tmp_path):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    genexp("train", *RUN, "logger=tensorboard")
    events = EventAccumulator(str(tmp_path / "run" / "tensorboard"))
    events.Reload()
    logged = {event.step: event.value for event in events.Scalars("loss/critic")}
    for row in columns(tmp_path / "run"):
        assert logged[int(row["step"])] == pytest.approx(float(row["loss/critic"]), rel=1e-6)
    genexp("train", *RUN[:-1], "logger=csv", "run_dir=other")
    with open(tmp_path / "other" / "csv" / "metrics.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [int(row["step"]) for row in rows] == [10, 20, 30, 40]


def test_an_unknown_mode_is_refused():
    with pytest.raises(UserError, match=r"logger\.mode=live"):
        Wandb(mode="live")


def test_online_without_a_key_is_refused_before_anything_is_written(genexp, environment, tmp_path):
    environment["NETRC"] = str(tmp_path / "none")
    done = genexp("train", *RUN, "logger=wandb", "logger.mode=online", check=False)
    assert done.returncode == 2
    assert "run wandb login or set WANDB_API_KEY" in done.stderr
    assert not (tmp_path / "run").exists()


def test_a_key_in_the_login_file_is_found(tmp_path, monkeypatch):
    for name in ("WANDB_API_KEY", "WANDB_IDENTITY_TOKEN_FILE"):
        monkeypatch.delenv(name, raising=False)
    path = tmp_path / "netrc"
    monkeypatch.setenv("NETRC", str(path))
    monkeypatch.setattr("genexp.reporting.wandb_account.server", lambda: "https://api.wandb.ai")
    path.write_text("machine elsewhere.org\n  login user\n  password 1234\n")
    path.chmod(0o600)
    with pytest.raises(UserError, match="W&B does not know you"):
        Wandb(mode="online")
    path.write_text(f"machine api.wandb.ai\n  login user\n  password {'a' * 40}\n")
    assert Wandb(mode="online").mode == "online"
