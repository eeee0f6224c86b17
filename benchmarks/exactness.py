"""Largest differences between runs that ought to be the same run; writes them into the README.

    python benchmarks/exactness.py

For each family and update plan, on real processes: the same command twice; with two loader workers; killed by SIGKILL
at a random step and resumed; and on two processes (gloo) instead of one. Compared are all tensors of the last
checkpoint (networks, optimizers, EMA), and for two processes the networks' tensors relative to their norm.
"""

import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import torch

from genexp.training import checkpoint
from readme import fill

BASE = ["dataset=ring8", "network=mlp", "network.decoder.width=32", "network.encoder.width=32", "batch_size=64"]
BASE += ["logger=none", "trainer.accelerator=cpu", "trainer.threads=1", "progress=false", "score_every=0"]
BASE += ["evaluation.n=200", "evaluation.draws=1", "checkpoint_every=50"]
CASES = {
    "GAN, alternating, gradient penalty": ["plan.critic=2", "penalty=gp"],
    "GAN, simultaneous, lazy R1": ["plan=simultaneous", "penalty=r1", "penalty.r1.interval=4"],
    "GAN, single loss, R1 and R2": ["plan=single_loss", "penalty=[r1,r2]"],
    "VAE": ["model=vae"],
}
LONG, SHORT = ["max_steps=1500"], ["max_steps=20"]


def command(*overrides: str) -> list[str]:
    """`genexp train` with these overrides."""
    return [sys.executable, "-m", "genexp", "train", *overrides]


def train(folder: Path, *overrides: str) -> dict[str, torch.Tensor]:
    """Train in `folder`; the tensors of its last checkpoint."""
    subprocess.run(command(*overrides, f"run_dir={folder}"), check=True, capture_output=True)
    return tensors(folder)


def train_killed(folder: Path, *overrides: str) -> dict[str, torch.Tensor]:
    """Train, kill at a random step, resume."""
    process = subprocess.Popen(
        command(*overrides, f"run_dir={folder}"), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    threshold, metrics = random.randrange(100, 1000), folder / "metrics.csv"
    while not (metrics.is_file() and metrics.read_text().count("\n") > threshold // 50):
        assert process.poll() is None, "the run ended before it could be killed"
        time.sleep(0.005)
    process.send_signal(signal.SIGKILL)
    process.wait()
    subprocess.run(command(f"resume={folder}"), check=True, capture_output=True)
    return tensors(folder)


def tensors(folder: Path) -> dict[str, torch.Tensor]:
    """All tensors of the newest checkpoint by their path in it."""
    found: dict[str, torch.Tensor] = {}

    def walk(value: Any, path: str) -> None:
        if isinstance(value, torch.Tensor):
            found[path] = value.double()
        elif isinstance(value, dict):
            for key, item in value.items():
                walk(item, f"{path}/{key}")

    walk(checkpoint.latest(folder / "checkpoints")[0], "")
    return found


def largest(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> float:
    """The largest absolute difference of any number."""
    assert one.keys() == other.keys()
    return max((one[key] - other[key]).abs().max().item() for key in one if one[key].numel())


def relative(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> float:
    """The largest difference of a network's tensor relative to its norm."""
    names = [key for key in one if key.startswith("/model/")]
    return max(((one[k] - other[k]).norm() / one[k].norm().clamp_min(1e-12)).item() for k in names)


def measure(overrides: list[str], folder: Path) -> list[str]:
    """A case's row."""
    long, short = [*BASE, *overrides, *LONG], [*BASE, *overrides, *SHORT]
    whole = train(folder / "whole", *long)
    cells = [
        largest(whole, train(folder / "again", *long)),
        largest(whole, train(folder / "workers", *long, "dataset.num_workers=2")),
        largest(whole, train_killed(folder / "killed", *long)),
        relative(train(folder / "one", *short), train(folder / "two", *short, "trainer=ddp", "trainer.devices=2")),
    ]
    return [f"{cell:.1e}" if cell else "0.0" for cell in cells]


def main() -> None:
    """Measure, print, write."""
    lines = ["| | run again | two loader workers | killed and resumed | two processes |", "|---|---|---|---|---|"]
    with tempfile.TemporaryDirectory() as folder:
        for number, (name, overrides) in enumerate(CASES.items()):
            lines.append(f"| {name} | {' | '.join(measure(overrides, Path(folder) / str(number)))} |")
            print(lines[-1], flush=True)
    remark = (
        "largest absolute difference over all tensors of the last checkpoint after 1,500 steps; for two processes the "
        "largest difference of a tensor relative to its norm after 20 steps, which float32 leaves because sums run in "
        "another order."
    )
    fill("exactness", lines, "python benchmarks/exactness.py", remark)


if __name__ == "__main__":
    main()
