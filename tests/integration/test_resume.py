"""A run that is killed and resumed ends with the same bits as one that was not: real processes, really killed."""

import random
import signal
import time

import numpy as np
import torch
from tests.cases import Case
from tests.processes import assert_same_bits, wait_for_step

from genexp.errors import Busy
from genexp.runs import Run
from genexp.training import checkpoint

GAN = Case("gan", "alternating").overrides
STEPS = ["max_steps=1200", "log_every=20", "score_every=400", "checkpoint_every=60"]


def test_killed_and_resumed_equals_uninterrupted(case, genexp, start, tmp_path):
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    steps = ["max_steps=600", "log_every=20", "score_every=200", "checkpoint_every=30"]
    genexp("train", *case.overrides, *steps, f"run_dir={whole}")
    process = start(["train", *case.overrides, *steps, f"run_dir={broken}"])
    wait_for_step(broken, random.randrange(60, 400), process)
    time.sleep(random.random() * 0.1)
    process.send_signal(signal.SIGKILL)
    process.wait()
    died_at = Run(broken).record["step"]
    assert died_at < 600
    done = genexp("train", f"resume={broken}")
    assert "going on from step" in done.stdout
    assert assert_same_bits(whole, broken) > 10


def test_sigterm_saves_and_resume_auto_continues(genexp, start, tmp_path):
    whole, stopped = tmp_path / "whole", tmp_path / "stopped"
    genexp("train", *GAN, *STEPS, f"run_dir={whole}")
    process = start(["train", *GAN, *STEPS, f"run_dir={stopped}"])
    wait_for_step(stopped, 333, process)
    process.terminate()
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 0, output
    assert "resume=" in output
    record = Run(stopped).record
    assert record["status"] == "stopped"
    newest = checkpoint.saved(stopped / "checkpoints")[0]
    assert checkpoint.step_of(newest) == record["step"] < 1200
    genexp("train", "resume=auto", cwd=stopped)
    assert Run(stopped).record["status"] == "complete"
    assert_same_bits(whole, stopped)


def test_a_corrupt_checkpoint_is_refused_and_the_previous_one_used(genexp, tmp_path):
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    for folder in (whole, broken):
        genexp("train", *GAN, *STEPS[1:], "max_steps=300", "keep_checkpoints=3", f"run_dir={folder}")
    newest = checkpoint.saved(broken / "checkpoints")[0]
    newest.write_bytes(newest.read_bytes()[:-1000])
    Run(broken).update(status="running")  # as if it had died while it wrote the last one
    done = genexp("train", f"resume={broken}")
    assert done.stderr.count("truncated or corrupt") == 1
    assert "going on from step 240" in done.stdout
    newest.unlink()
    assert_same_bits(whole, broken)


def test_loader_workers_change_no_bit(case, genexp, tmp_path):
    one, other = tmp_path / "one", tmp_path / "other"
    short = ["max_steps=60", "log_every=20", "score_every=0", "checkpoint_every=60"]
    genexp("train", *case.overrides, *short, f"run_dir={one}")
    genexp("train", *case.overrides, *short, f"run_dir={other}", "dataset.num_workers=2")
    assert_same_bits(one, other)


def test_watching_never_touches_the_weights(genexp, tmp_path):
    """Averages, scores, pictures, log rows, checkpoints and the inner loop's length change no raw weight."""
    quiet, busy = tmp_path / "quiet", tmp_path / "busy"
    base = [*GAN, "max_steps=90"]
    genexp("train", *base, "ema=none", "log_every=90", "score_every=0", "checkpoint_every=90", f"run_dir={quiet}")
    loud = ["ema=decay", "log_every=7", "score_every=30", "checkpoint_every=11", "trainer.inner_seconds=0"]
    genexp("train", *base, *loud, f"run_dir={busy}")
    one, other = (checkpoint.latest(folder / "checkpoints")[0] for folder in (quiet, busy))
    assert all(torch.equal(tensor, other["model"][name]) for name, tensor in one["model"].items())
    assert not one["ema"]
    assert not torch.equal(other["ema"]["generator.layers.0.weight"], other["model"]["generator.layers.0.weight"])


def test_a_run_needs_nothing_but_its_folder(genexp, tmp_path):
    genexp("train", *GAN, "max_steps=10", "score_every=0", f"run_dir={tmp_path / 'run'}")
    moved = (tmp_path / "run").rename(tmp_path / "moved")
    genexp("sample", str(moved), "n=7", "seed=3", "out=first")
    genexp("sample", str(moved), "n=7", "seed=3", "out=second")
    first, second = (np.load(tmp_path / f"{name}.npz")["samples"] for name in ("first", "second"))
    assert first.shape == (7, 2)
    assert (first == second).all()
    genexp("evaluate", str(moved), "weights=raw")
    rows = Run(moved).scores()
    assert [row["weights"] for row in rows] == ["ema", "raw"]
    assert rows[0]["fingerprint"] == rows[1]["fingerprint"]


def test_a_second_process_cannot_train_in_the_same_folder(genexp, start, tmp_path):
    folder = tmp_path / "run"
    process = start(["train", *GAN, *STEPS[1:], "max_steps=1000000", f"run_dir={folder}"])
    wait_for_step(folder, 100, process)
    done = genexp("train", f"resume={folder}", check=False)
    assert done.returncode == Busy.exit_code
    assert "Another process" in done.stderr
    process.terminate()
    process.communicate(timeout=60)
    assert process.returncode == 0
