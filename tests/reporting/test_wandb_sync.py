"""`genexp wandb sync` against a stand-in server: what the server keeps is what metrics.csv says."""

import csv
import os
import signal
from pathlib import Path

import pytest
from tests.cases import Case
from tests.processes import wait_for_step
from tests.reporting.wandb_server import StandIn

from genexp.errors import UserError
from genexp.locks import held
from genexp.reporting.wandb_folders import cut_torn_end, is_empty, runs_below, segments
from genexp.reporting.wandb_run import STEP, history
from genexp.reporting.wandb_sync import require_server

RUN = [o for o in Case("gan", "alternating").overrides if not o.startswith("logger")]
RUN += ["log_every=20", "score_every=100", "checkpoint_every=100", "logger=wandb", "run_dir=runs/run"]


@pytest.fixture
def server(environment, tmp_path):
    with StandIn() as stand_in:
        environment |= {"WANDB_BASE_URL": stand_in.address, "WANDB_API_KEY": "a" * 40, "NETRC": str(tmp_path / "none")}
        environment["WANDB_ERROR_REPORTING"] = "false"
        yield stand_in


def steps(folder: Path) -> list[int]:
    with open(folder / "metrics.csv", newline="") as file:
        return [int(row["step"]) for row in csv.DictReader(file)]


def killed_run(start, tmp_path) -> Path:
    folder = tmp_path / "runs" / "run"
    process = start(["train", *RUN, "max_steps=800"])
    wait_for_step(folder, 260, process)
    os.kill(process.pid, signal.SIGKILL)
    process.wait(timeout=60)
    return folder


def assert_whole(server: StandIn, folder: Path) -> None:
    (run_id,) = {segment.wandb_id for segment in segments(folder)}
    rows = server.history(run_id)
    written = steps(folder)
    assert [row[STEP] for row in rows] == [*written, written[-1]]  # the last row holds the final scores
    assert [row["_step"] for row in rows] == list(range(len(rows)))


@pytest.mark.slow
def test_the_segments_of_a_killed_run_become_one_history(server, genexp, start, tmp_path):
    folder = killed_run(start, tmp_path)
    genexp("train", "resume=runs/run")
    said = genexp("wandb", "sync", "runs", "dry_run=true").stdout
    assert "2 offline parts of 1 runs to send" in said
    assert not server.asked
    genexp("wandb", "sync", "runs")
    assert_whole(server, folder)
    before = list(server.asked)
    assert "0 offline parts of 0 runs to send, 2 sent before" in genexp("wandb", "sync", "runs").stdout
    assert server.asked == before


@pytest.mark.slow
def test_what_was_sent_before_the_run_went_on_is_continued(server, genexp, start, tmp_path):
    folder = killed_run(start, tmp_path)
    genexp("wandb", "sync", "runs/run")
    genexp("train", "resume=runs/run")
    genexp("wandb", "sync", "runs/run")
    assert_whole(server, folder)


@pytest.mark.slow
def test_an_online_run_that_is_stopped_goes_on_as_the_same_run(server, genexp, start, tmp_path):
    folder = tmp_path / "runs" / "run"
    process = start(["train", *RUN, "max_steps=800", "logger.mode=online"])
    wait_for_step(folder, 260, process)
    process.terminate()
    process.wait(timeout=60)
    genexp("train", "resume=runs/run")
    (run_id,) = server.runs
    written = steps(folder)
    assert [row[STEP] for row in server.history(run_id)] == [*written, written[-1]]


@pytest.mark.slow
def test_a_torn_file_is_cut_to_its_last_whole_record(genexp, tmp_path):
    genexp("train", *RUN, "max_steps=600", "log_every=2", "run_dir=runs/torn")
    (segment,) = segments(tmp_path / "runs" / "torn")
    whole = segment.log.read_bytes()
    assert len(whole) > 2 * 32768  # several blocks
    assert cut_torn_end(segment.log) == 0
    rows = list(history(segment.log))
    assert not is_empty(segment.log)
    for keep in (len(whole) - 1, 2 * 32768 + 3, 32768 + 100, 32768, 5000):
        segment.log.write_bytes(whole[:keep])
        cut = cut_torn_end(segment.log)
        assert segment.log.stat().st_size == keep - cut
        assert whole.startswith(segment.log.read_bytes())
        assert cut_torn_end(segment.log) == 0
        left = list(history(segment.log))
        assert left == rows[: len(left)]
    segment.log.write_bytes(whole[:20])
    assert cut_torn_end(segment.log) == 13  # all but the file's header
    assert is_empty(segment.log)
    other = tmp_path / "other.wandb"
    other.write_bytes(b"no W&B file")
    assert cut_torn_end(other) == 0


def test_refusals_come_before_anything(genexp, environment, tmp_path):
    log = tmp_path / "run" / "wandb" / "offline-run-20260101_000000-abc" / "run-abc.wandb"
    log.parent.mkdir(parents=True)
    log.write_bytes(b"")
    environment["NETRC"] = str(tmp_path / "none")
    done = genexp("wandb", "sync", "run", check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert "run wandb login" in done.stderr
    environment |= {"WANDB_API_KEY": "a" * 40, "WANDB_BASE_URL": "http://127.0.0.1:9"}
    done = genexp("wandb", "sync", "run", check=False)
    assert done.returncode == 2
    assert "does not answer" in done.stderr and done.stderr.count("\n") == 1
    assert genexp("wandb", "sync", "nowhere", check=False).returncode == 2
    assert genexp("wandb", "sync", check=False).returncode == 2
    assert genexp("wandb", "push", check=False).returncode == 2


def test_a_run_that_is_training_is_left_alone(genexp, tmp_path):
    log = tmp_path / "run" / "wandb" / "offline-run-20260101_000000-abc" / "run-abc.wandb"
    log.parent.mkdir(parents=True)
    log.write_bytes(b"")
    with held(tmp_path / "run" / ".lock"):
        said = genexp("wandb", "sync", ".", "dry_run=true").stdout
    assert "still training" in said and "0 offline parts" in said
    assert runs_below([tmp_path, tmp_path / "run"]) == [tmp_path / "run"]


def test_a_server_that_refuses_the_page_is_there():
    with StandIn() as stand_in:
        require_server(stand_in.address)
    with pytest.raises(UserError, match="does not answer"):
        require_server(stand_in.address)
