"""Points from a known density: an endless source, so no point is trained on twice."""

import hashlib
from collections.abc import Sequence

import torch

from genexp.data import sampler
from genexp.data.densities import Density
from genexp.data.module import Batch, DataModule, StepDataset
from genexp.data.sampler import Share, torch_seed
from genexp.data.spec import SPLIT_SEED, SPLITS, Split, check_stated
from genexp.errors import UserError

VERSION = 1
"""Raised when a density draws other points from the same key."""


class Points(DataModule):
    """Points drawn from `density`: batch k with the key (seed, k), each split with a key of its own.

    A point's class is the index of its mode.

    Arguments:
        name: the data set's name in scores and reports.
        density: the truth.
        shape: (D,).
        num_classes: the number of modes; 0 without modes.
        levels: None, the data are continuous.
        split_size: points in each split.
        num_workers: processes that make batches; 0 makes them in the training process.

    Raises:
        UserError: if shape, classes or levels are stated otherwise, or the splits are empty.
    """

    density: Density

    def __init__(
        self,
        name: str,
        density: Density,
        shape: Sequence[int] = (2,),
        num_classes: int = 0,
        levels: int | None = None,
        split_size: int = 10_000,
        num_workers: int = 0,
    ) -> None:
        check_stated(name, "shape", shape, (density.dim,))
        check_stated(name, "num_classes", num_classes, density.num_classes)
        check_stated(name, "levels", levels, None)
        if split_size < 1:
            raise UserError(f"dataset.split_size={split_size} is out of range: give at least 1.")
        super().__init__(name, shape, num_classes, density=density, num_workers=num_workers)
        self.split_size = split_size

    def step_dataset(self, seed: int, share: Share) -> StepDataset:
        """Fresh points for each step."""
        return _DensitySteps(self.density, seed, share)

    def read_split(self, name: str) -> Split:
        """A split's points, the same for every run."""
        generator = torch.Generator().manual_seed(torch_seed(SPLIT_SEED, sampler.SPLITS, SPLITS.index(name)))
        return Split(*self.density.sample(self.split_size, generator))

    def identify(self) -> str:
        """The density's parameters and the size of the splits."""
        return hashlib.sha256(f"points {VERSION} {self.density!r} {self.split_size}".encode()).hexdigest()


class _DensitySteps(StepDataset):
    def __init__(self, density: Density, seed: int, share: Share) -> None:
        self.density, self.seed, self.share = density, seed, share

    def __getitem__(self, step: int) -> Batch:
        generator = torch.Generator().manual_seed(torch_seed(self.seed, sampler.STEPS, step))
        x, y = self.density.sample(self.share.total, generator)
        return {"x": self.share.of(x), "y": self.share.of(y)}
