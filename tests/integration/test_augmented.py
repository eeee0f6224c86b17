"""Adaptive augmentation and a network with parametrised weights and buffers, in real processes."""

import signal

import pytest
import torch
from tests import command_line
from tests.processes import assert_same_bits, wait_for_step

from genexp.runs import Run
from genexp.training import checkpoint

WORDS = [
    "dataset=digits",
    "network=stylegan",
    *(f"network.{part}.{key}=8" for part in ("decoder", "encoder") for key in ("width", "max_width")),
    "model.latent_dim=4",
    "penalty=r1",
    "penalty.r1.interval=4",
    "augment=ada",
    "augment.target=0.0",
    "augment.images_to_one=2000",
    "optimizer=sgd",
    "optimizer.lr=0.01",
    "batch_size=16",
    "score_every=0",
    "log_every=5",
    "checkpoint_every=20",
    "evaluation.n=200",
    "evaluation.draws=2",
    "logger=none",
    "trainer.accelerator=cpu",
    "trainer.threads=1",
]


@pytest.mark.slow
def test_killed_and_resumed_equals_uninterrupted(genexp, start, tmp_path):
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    genexp("train", *WORDS, "max_steps=240", f"run_dir={whole}")
    process = start(["train", *WORDS, "max_steps=240", f"run_dir={broken}"])
    wait_for_step(broken, 70, process)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert Run(broken).record["step"] < 240
    genexp("train", f"resume={broken}")
    assert assert_same_bits(whole, broken) > 10
    state = checkpoint.latest(whole / "checkpoints")[0]["model"]
    assert state["generator.passes"] > 0 and state["augment.probability"] > 0


@pytest.mark.slow
def test_two_processes_equal_one(genexp, environment, tmp_path):
    one, two = tmp_path / "one", tmp_path / "two"
    genexp("train", *WORDS, "max_steps=20", f"run_dir={one}")
    words = ["train", *WORDS, "max_steps=20", "trainer=ddp", "trainer.devices=2", f"run_dir={two}"]
    process = command_line.cold(words, tmp_path, environment)
    output, _ = process.communicate(timeout=300)
    assert process.returncode == 0, output
    states = [checkpoint.latest(folder / "checkpoints")[0]["model"] for folder in (one, two)]
    assert states[0]["augment.probability"] == states[1]["augment.probability"] > 0
    for name, tensor in states[0].items():
        if name != "generator.mean_style":  # of each process's own latents
            assert (tensor - states[1][name]).norm() <= 1e-4 * tensor.norm().clamp_min(1e-3), name
    assert not torch.equal(states[0]["generator.start"], torch.zeros_like(states[0]["generator.start"]))
