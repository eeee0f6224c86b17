"""The digits as a protocol sees a data set."""

import hashlib
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits


class StandInDigits:
    name = "digits"
    shape = (1, 8, 8)
    num_classes = 10
    levels = 17
    density = None

    def __init__(self) -> None:
        loaded = load_digits()
        x = torch.from_numpy(loaded.data / 8 - 1).float().reshape(-1, 1, 8, 8)
        y = torch.from_numpy(loaded.target).long()
        order = torch.from_numpy(np.random.Generator(np.random.PCG64(20240)).permutation(1797))
        parts = {"train": order[:797], "val": order[697:797], "ref": order[797:1297], "floor": order[1297:]}
        self.parts = {name: SimpleNamespace(x=x[rows], y=y[rows]) for name, rows in parts.items()}

    def split(self, name: str) -> SimpleNamespace:
        return self.parts[name]

    def content_id(self) -> str:
        return hashlib.sha256(self.parts["train"].x.numpy().tobytes()).hexdigest()[:16]


@pytest.fixture(scope="session")
def digits() -> StandInDigits:
    return StandInDigits()
