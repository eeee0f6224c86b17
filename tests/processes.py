"""Watching real runs and comparing what they leave."""

import time
from pathlib import Path

import torch

from genexp.training import checkpoint


def flatten(value, path="") -> dict[str, object]:
    if isinstance(value, dict):
        return {k: v for key, item in value.items() for k, v in flatten(item, f"{path}/{key}").items()}
    if isinstance(value, list | tuple):
        return {k: v for i, item in enumerate(value) for k, v in flatten(item, f"{path}/{i}").items()}
    return {path: value}


def assert_same_bits(one: Path, other: Path) -> int:
    """All tensors and numbers of the newest checkpoints, and all rows of metrics.csv; the number of tensors."""
    states = [flatten(checkpoint.latest(folder / "checkpoints")[0]) for folder in (one, other)]
    assert states[0].keys() == states[1].keys()
    tensors = 0
    for key, value in states[0].items():
        if isinstance(value, torch.Tensor):
            assert torch.equal(value, states[1][key]), key
            tensors += 1
        else:
            assert value == states[1][key], key
    assert (one / "metrics.csv").read_bytes() == (other / "metrics.csv").read_bytes()
    return tensors


def wait_for_step(folder: Path, step: int, process, timeout: float = 120.0) -> None:
    end = time.monotonic() + timeout
    while time.monotonic() < end:
        path = folder / "metrics.csv"
        if path.is_file():
            last = path.read_text().strip().splitlines()[-1].split(",")[0]
            if last.isdigit() and int(last) >= step:
                return
        assert process.poll() is None, process.stdout.read()
        time.sleep(0.005)
    raise AssertionError(f"step {step} was not reached")
