"""What follows an alarm: the record, a stop, or a way back that a killed run takes again with the same bits."""

import csv
import signal
from types import SimpleNamespace

import pytest
import torch
from tests.cases import TINY
from tests.processes import assert_same_bits, wait_for_step
from tests.training.watched import PLANTED, train

from genexp.errors import Diverged, Unhealthy
from genexp.runs import Run
from genexp.training import checkpoint
from genexp.training.callbacks import Checkpoints

TRIPWIRE = ["+health.alarms.wire={_target_:tests.training.test_recovery.Tripwire,step:130}", "health.rows=1"]
BACK = "health.on_alarm=rollback"


class Tripwire:
    """Holds in one row, the first time that it comes."""

    steps = 20

    def __init__(self, step):
        self.step, self.tripped = step, False

    def __call__(self, rows):
        if rows[-1]["step"] != self.step or self.tripped:
            return None
        self.tripped = True
        return "somebody fell over it"


def steps(run):
    with open(run.folder / "metrics.csv") as file:
        return [int(row["step"]) for row in csv.DictReader(file)]


def test_by_default_an_alarm_is_a_line_in_the_record(tmp_path, capsys):
    run, _ = train(tmp_path / "run", *TRIPWIRE)
    (alarm,) = run.record["alarms"]
    assert alarm == {"step": 130, "alarm": "wire", "reason": "somebody fell over it"}
    assert capsys.readouterr().out.count("wire at step 130: somebody fell over it") == 1
    assert steps(run) == list(range(5, 201, 5))


def test_a_stop_saves_and_ends_the_run_as_a_failure(tmp_path):
    with pytest.raises(Unhealthy, match="wire at step 130"):
        train(tmp_path / "run", *TRIPWIRE, "health.on_alarm=stop")
    assert issubclass(Unhealthy, Diverged)
    run = Run(tmp_path / "run")
    assert checkpoint.step_of(checkpoint.saved(run.checkpoints)[0]) == 130
    assert steps(run)[-1] == 130


def test_the_command_records_a_stop(genexp, tmp_path):
    failing = [word for word in PLANTED["generator_dead"] if "steps=100" not in word]
    words = [*TINY, *failing, "model.latent_dim=2", "health.alarms.generator_dead.steps=40", "health.on_alarm=stop"]
    done = genexp("train", *words, "log_every=4", "score_every=0", "max_steps=200", "run_dir=run", check=False)
    assert done.returncode == 3
    record = Run(tmp_path / "run").record
    assert record["status"] == "diverged"
    assert record["failure"].startswith("generator dead at step")
    assert record["alarms"][0]["alarm"] == "generator_dead"


def test_going_back_is_going_on_from_a_checkpoint_with_smaller_steps(tmp_path):
    """The rolled-back run equals one that takes up its healthy checkpoint with half of the learning rate."""
    rolled, model = train(tmp_path / "rolled", *TRIPWIRE, BACK)
    assert steps(rolled) == list(range(5, 201, 5))
    assert [alarm["step"] for alarm in rolled.record["alarms"]] == [130]
    reference = Run(tmp_path / "reference")
    healthy = train(tmp_path / "healthy", *TRIPWIRE, "health.alarms.wire.step=100000", "max_steps=100")[0]
    state, _ = checkpoint.latest(healthy.checkpoints)
    assert state["step"] == 100  # the newest before 110, the first row of the alarm
    state["health"]["gone_back"] = 1
    checkpoint.save(reference.checkpoints, 100, {key: state[key] for key in state if key not in ("format", "step")}, 1)
    _, expected = train(tmp_path / "reference", *TRIPWIRE, "health.alarms.wire.step=100000", BACK, resume=True)
    for one, other in zip(*(found.state_dict().values() for found in (model, expected)), strict=True):
        assert torch.equal(one, other)
    _, untouched = train(tmp_path / "untouched", *TRIPWIRE, "health.alarms.wire.step=100000")
    assert not torch.equal(*(found.state_dict()["generator.layers.0.weight"] for found in (model, untouched)))


def test_what_was_saved_after_the_alarm_s_beginning_is_gone(tmp_path):
    run, _ = train(tmp_path / "run", *TRIPWIRE, BACK, "max_steps=135", "checkpoint_every=20")
    found = sorted(checkpoint.step_of(path) for path in checkpoint.saved(run.checkpoints))
    assert len(found) == len(set(found))
    state = checkpoint.load(next(p for p in checkpoint.saved(run.checkpoints) if checkpoint.step_of(p) == 100))
    assert state["health"]["gone_back"] == 1  # saved anew, as the state that the run went on from


def test_going_back_keeps_what_is_older(tmp_path):
    for step in (80, 100, 120):
        checkpoint.save(tmp_path, step, {"state": step}, keep=3)
    clock = SimpleNamespace(step=100)
    model = SimpleNamespace(regime=SimpleNamespace(clock=clock), training_state=lambda: {"state": "again"})
    Checkpoints(tmp_path, 20, 3, on_save=lambda step: None).go_back(SimpleNamespace(is_global_zero=True), model)
    found = {checkpoint.step_of(path): checkpoint.load(path)["state"] for path in checkpoint.saved(tmp_path)}
    assert found == {80: 80, 100: "again"}


def test_loader_workers_read_the_same_batches_again(tmp_path):
    _, one = train(tmp_path / "one", *TRIPWIRE, BACK)
    _, other = train(tmp_path / "other", *TRIPWIRE, BACK, "dataset.num_workers=2")
    for first, second in zip(*(found.state_dict().values() for found in (one, other)), strict=True):
        assert torch.equal(first, second)


def test_a_nan_goes_back_until_the_steps_are_small_enough(tmp_path, capsys):
    """At a learning rate of 2 the first steps overflow; at a quarter of it they do not."""
    run, model = train(tmp_path / "run", "loss=least_squares", "optimizer=sgd", "optimizer.lr=2", BACK)
    assert {alarm["alarm"] for alarm in run.record["alarms"]} == {"nan"}
    assert "going back to step 0, learning rates times 0.5" in capsys.readouterr().out
    assert all(tensor.isfinite().all() for tensor in model.state_dict().values())
    assert steps(run) == list(range(5, 201, 5))


def test_there_are_only_so_many_ways_back(tmp_path):
    with pytest.raises(Diverged, match="is not a number at step 5"):
        train(tmp_path / "run", *PLANTED["nan"], "optimizer.lr=1e6", BACK, "health.rollbacks=2")
    assert len(Run(tmp_path / "run").record["alarms"]) == 3


@pytest.mark.slow
def test_killed_after_it_went_back_and_resumed_equals_uninterrupted(genexp, start, tmp_path):
    words = [*TINY, "model.latent_dim=2", "loss=least_squares", "optimizer=sgd", "optimizer.lr=3", BACK]
    words += ["log_every=10", "score_every=0", "checkpoint_every=40", "max_steps=1500", "progress=false"]
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    done = genexp("train", *words, f"run_dir={whole}")
    assert "going back to step 0" in done.stdout
    process = start(["train", *words, f"run_dir={broken}"])
    wait_for_step(broken, 300, process)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert Run(broken).record["step"] < 1500
    assert "going on from step" in genexp("train", f"resume={broken}").stdout
    assert assert_same_bits(whole, broken) > 10
    assert Run(whole).record["alarms"] == Run(broken).record["alarms"]


@pytest.mark.slow
@pytest.mark.cold
def test_two_processes_go_back_together(genexp, tmp_path):
    words = [*TINY, "model.latent_dim=2", "loss=least_squares", "optimizer=sgd", "optimizer.lr=3", BACK]
    words += ["log_every=10", "score_every=0", "checkpoint_every=40", "max_steps=100", "progress=false"]
    done = genexp("train", *words, "trainer=ddp", "trainer.devices=2", f"run_dir={tmp_path / 'two'}")
    assert done.stdout.count("going back to step 0, learning rates times 0.5") == 1
    assert Run(tmp_path / "two").record["status"] == "complete"
