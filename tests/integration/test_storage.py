"""Runs and sweeps whose output is in a bucket, through the real command line and a real S3 server on this machine.

Another machine is another cache: nothing of the first one's folders is there.
"""

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.cases import TINY
from tests.processes import assert_same_bits
from tests.s3_server import BUCKET

from genexp import cli
from genexp.runs import Run
from genexp.storage.copies import copied

GAN = [*TINY, "model=gan", "model.latent_dim=2", "progress=false"]
LONG = [*GAN, "max_steps=1600", "log_every=50", "score_every=0", "checkpoint_every=100"]
SHORT = [*GAN, "max_steps=60", "log_every=20", "score_every=20", "checkpoint_every=20"]
OUTPUT = f"s3://{BUCKET}/runs"
COSTS = ("train_s", "sample_s")


@pytest.fixture
def launch(tmp_path, environment, s3) -> Callable[..., subprocess.Popen]:
    """Start the command line on a machine of its own, by its name."""

    def run(machine: str, *arguments: str) -> subprocess.Popen:
        return subprocess.Popen(
            [sys.executable, "-m", "genexp", *arguments],
            cwd=tmp_path,
            env={**environment, "GENEXP_CACHE": str(tmp_path / machine)},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    return run


def ended(process: subprocess.Popen, code: int = 0) -> str:
    output, _ = process.communicate(timeout=300)
    assert process.returncode == code, output
    return output


def wait_for(s3, ending: str, process: subprocess.Popen, seconds: float = 120.0) -> None:
    """Until a run has such a file in the bucket, and its record, which comes last: without it there is no run."""
    end = time.monotonic() + seconds
    while not all(any(name.endswith(wanted) for name in s3.names()) for wanted in (ending, "run.json")):
        assert time.monotonic() < end and process.poll() is None, process.stdout.read()
        time.sleep(0.05)


def everything(path) -> bool:
    return True


def test_a_run_killed_on_one_machine_goes_on_on_another_to_the_bit(genexp, launch, s3, tmp_path, monkeypatch):
    whole = tmp_path / "whole"
    genexp("train", *LONG, f"run_dir={whole}")
    process = launch("one", "train", *LONG, f"paths.output={OUTPUT}")
    wait_for(s3, ".ckpt", process)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    again = ended(launch("other", "train", *LONG, f"paths.output={OUTPUT}", "resume=auto"))
    assert f"of {OUTPUT}/ring8_gan/" in again and "going on from step" in again
    monkeypatch.setenv("GENEXP_CACHE", str(tmp_path / "reader"))
    folder = next(copied(f"{OUTPUT}/ring8_gan", everything).glob("*/run.json")).parent
    assert assert_same_bits(whole, folder) > 10
    assert Run(folder).record["status"] == "complete" and len(Run(folder).scores()) == 1
    assert str(tmp_path) not in (folder / "scores.jsonl").read_text()
    assert len(list((folder / "checkpoints").iterdir())) == 2


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["paths.output=s3://nowhere/runs"], "bucket does not exist: check the bucket's name"),
        (["run_dir=s3://nowhere/runs/x"], "bucket does not exist"),
        (["resume=s3://laboratory/absent"], "There is no run at s3://laboratory/absent"),
        (["paths.output=s3://laboratory//x"], "such as s3://bucket/runs"),
        (["paths.output=absent://laboratory/x"], "cannot be used"),
        (["-m", "seeds=2", "paths.output=s3://nowhere/runs"], "bucket does not exist"),
        (["-m", "search=random", f"paths.output={OUTPUT}", "optimizer.lr=1e-3"], "set paths.output to a folder"),
    ],
)
def test_an_address_that_cannot_be_used_is_one_sentence_before_anything_is_trained(words, sentence, s3, capsys):
    code = cli.main(["train", *SHORT, *words] if "resume" not in words[0] else ["train", *words])
    said = capsys.readouterr()
    assert code == 2 and sentence in said.err and len(said.err.strip().splitlines()) == 1
    assert s3.names() == []


@pytest.mark.parametrize("command", ["report", "best", "sample", "evaluate"])
def test_a_command_on_an_empty_address_is_one_sentence(command, s3, capsys):
    assert cli.main([command, f"{OUTPUT}/absent"]) == 2
    assert "There is no" in capsys.readouterr().err


def table(report: str) -> list[dict]:
    """What a report says of each run but its costs, with no word of where the runs are."""
    found = json.loads(report)
    shown = [
        (s["label"], s["seeds"], {k: v for k, v in s["values"].items() if k not in COSTS})
        for t in found["tables"]
        for s in t["settings"]
    ]
    return [shown, sorted(run["setting"] for run in found["runs"].values())]


@pytest.mark.slow
def test_two_machines_share_a_sweep_whose_table_is_that_of_one(genexp, launch, s3, tmp_path):
    """Each job is trained once; and `best`, `report`, `list`, `sample` and `evaluate` work on the address."""
    words = ["train", "-m", *SHORT, "seeds=3", "sweep=shared"]
    genexp(*words)
    both = [launch(machine, *words, f"paths.output={OUTPUT}") for machine in ("one", "other")]
    for process in both:
        ended(process)
    logs = [name for name in s3.names() if name.endswith("log.txt")]
    assert len(logs) == 3
    records = [json.loads(s3.read(name)) for name in s3.names() if name.endswith("run.json")]
    assert [record["status"] for record in records] == ["complete"] * 3
    rows = [s3.read(name).decode().splitlines() for name in s3.names() if name.endswith("scores.jsonl")]
    assert [len(lines) for lines in rows] == [1, 1, 1]
    puts = Counter(path for method, path in s3.requests if method == "PUT" and path.endswith(".ckpt"))
    assert set(puts.values()) == {1}  # each that was sent was sent by one machine
    assert sum("step-00000060-" in path for path in puts) == 3
    sweep, here = f"{OUTPUT}/sweeps/shared", tmp_path / "runs" / "sweeps" / "shared"
    there = genexp("report", sweep, "format=json").stdout
    assert table(there) == table(genexp("report", str(here), "format=json").stdout)
    assert "genexp-remote" not in there and f'"folder": "{sweep}/' in there
    again = ended(launch("third", *words, f"paths.output={OUTPUT}"))
    assert "3 of them done before" in again
    genexp("report", sweep, "format=html")
    assert "runs/sweeps/shared/report.html" in s3.names()
    best = genexp("best", sweep).stdout.splitlines()
    score = best[1].split(")")[0]  # the mean, its interval and the seeds
    assert score == genexp("best", str(here)).stdout.splitlines()[1].split(")")[0]
    run = f"{sweep}/{Path(logs[0]).parent.name}"
    assert f"{run}/samples/" in genexp("sample", run, "n=4").stdout
    assert f"{run.removeprefix(f's3://{BUCKET}/')}/samples/sample-ema-seed0-n4-t1.0.npz" in s3.names()
    genexp("evaluate", run, "weights=raw")
    assert len(s3.read(f"{run.removeprefix(f's3://{BUCKET}/')}/scores.jsonl").splitlines()) == 2


@pytest.mark.slow
def test_a_store_that_goes_away_and_stays_away(launch, s3, tmp_path):
    """The run ends here, says so by its exit code, and the next command sends what is missing."""
    address = f"{OUTPUT}/one"
    process = launch("one", "train", *LONG, f"run_dir={address}")
    wait_for(s3, ".ckpt", process)
    s3.stop()
    try:
        output = ended(process, code=6)
    finally:
        s3.start()
    assert output.count("sending is tried again") == 1
    assert f"genexp train resume={address} on this machine sends it" in output
    assert json.loads(s3.read("runs/one/run.json"))["status"] == "running"
    assert f"{address} is complete" in ended(launch("one", "train", f"resume={address}"))
    assert json.loads(s3.read("runs/one/run.json"))["status"] == "complete"
    assert len(s3.read("runs/one/metrics.csv").splitlines()) == 1 + 1600 // 50


@pytest.mark.slow
def test_a_run_that_is_asked_to_stop_sends_its_last_step(launch, s3):
    process = launch("one", "train", *GAN, "max_steps=1000000", "score_every=0", f"run_dir={OUTPUT}/one")
    wait_for(s3, ".ckpt", process)
    os.kill(process.pid, signal.SIGTERM)
    output = ended(process)
    assert f"go on with: genexp train resume={OUTPUT}/one" in output
    record = json.loads(s3.read("runs/one/run.json"))
    assert record["status"] == "stopped" and record["step"] % 500 != 0
    assert any(f"step-{record['step']:08d}-" in name for name in s3.names())
