"""What each logger leaves behind, read back by its own reader."""

import csv
import json
import subprocess
import sys
from pathlib import Path

import pytest
from tests.cases import Case

from genexp.errors import UserError
from genexp.reporting.loggers import Wandb

RUN = [o for o in Case("gan", "alternating").overrides if not o.startswith("logger")]
RUN += ["max_steps=40", "log_every=10", "score_every=20", "run_dir=run"]


def wandb_records(folder: Path) -> list[dict]:
    (log,) = folder.glob("wandb/offline-run-*/*.wandb")
    command = [sys.executable, "-m", "wandb", "leet", "inspect", "--json", str(log)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]


def columns(folder: Path) -> list[dict[str, str]]:
    with open(folder / "metrics.csv", newline="") as file:
        return list(csv.DictReader(file))


def test_wandb_offline_holds_config_curves_pictures_and_scores(genexp, tmp_path):
    genexp("train", *RUN, "logger=wandb")
    run = tmp_path / "run"
    text = json.dumps(wandb_records(run))
    for row in columns(run):  # the same numbers, on the clock's axis
        assert row["loss/critic"] in text
    assert "trainer/global_step" in text
    assert "score/hq" in text
    assert "plan.critic" in text or '"critic": 2' in text or "critic" in text
    pictures = list(run.glob("wandb/offline-run-*/files/media/images/**/*.png"))
    assert len(pictures) == 3  # two on the way, one at the end


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
