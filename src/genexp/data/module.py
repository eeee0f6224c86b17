"""The base of all sources of data, and of those that lie in memory."""

import hashlib
import signal
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Protocol

import torch
from lightning.pytorch import LightningDataModule
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from genexp.data.densities import Density
from genexp.data.sampler import EpochOrder, Share, StepSampler
from genexp.data.spec import SPLITS, Split
from genexp.errors import UserError

Batch = dict[str, Tensor]
StepDataset = Dataset[Batch]
"""Maps a step's number to this process's batch of that step."""


@dataclass(frozen=True)
class _Steps:
    seed: int
    batch_size: int
    batches_per_step: int
    start: int
    stop: int


class DataModule(LightningDataModule, ABC):
    """A source of data.

    A subclass says what the batch of a step is (`step_dataset`), what the splits are (`read_split`) and what identifies
    them (`identify`).

    Arguments:
        name: the data set's name in scores and reports.
        shape: shape of one datum, (C, H, W) or (D,).
        num_classes: number of classes; 0 without labels.
        levels: grey levels per pixel; None for continuous data.
        density: the known truth; None where there is none.
        num_workers: processes that make batches; 0 makes them in the training process. The batches are the same.
    """

    name: str

    def __init__(
        self,
        name: str,
        shape: Sequence[int],
        num_classes: int = 0,
        levels: int | None = None,
        density: Density | None = None,
        num_workers: int = 0,
    ) -> None:
        super().__init__()
        self.name = name
        self.shape: tuple[int, ...] = tuple(int(size) for size in shape)
        self.num_classes, self.levels, self.density = num_classes, levels, density
        if not isinstance(num_workers, int) or num_workers < 0:
            raise UserError(f"dataset.num_workers={num_workers} is out of range: give a whole number of at least 0.")
        self.num_workers = num_workers
        self._steps: _Steps | None = None
        self.with_index = False
        self._splits: dict[str, Split] = {}

    # --- what a source provides -------------------------------------------------------------------------------------

    @abstractmethod
    def step_dataset(self, seed: int, share: Share) -> StepDataset:
        """The map from a step's number to `share` of its batches; nothing but (seed, step) may decide what is in it."""

    @abstractmethod
    def read_split(self, name: str) -> Split:
        """One of `train`, `val`, `ref` and `floor`; training never sees the last two."""

    @property
    def train_size(self) -> int | None:
        """Samples in the train split as steps read it; None for an endless source."""
        return None

    @abstractmethod
    def identify(self) -> str:
        """The sha256 in hex digits of everything that decides what the data and the splits are."""

    # --- what others ask for ----------------------------------------------------------------------------------------

    def count_samples(self) -> int:
        """Have each batch bring `index`, long (B,), its samples' places in the train split; returns how many there are.

        Raises:
            UserError: if the source is endless.
        """
        if self.train_size is None:
            raise UserError(
                f"The model keeps something for each training sample, and dataset={self.name} never shows one twice: "
                "use a dataset of images."
            )
        self.with_index = True
        return self.train_size

    def configure(self, *, seed: int, batch_size: int, batches_per_step: int, start_step: int, max_steps: int) -> None:
        """Say which steps to make batches for.

        Arguments:
            seed: the run's seed; batch k is a function of (seed, k).
            batch_size: samples in a batch, over all processes.
            batches_per_step: batches that one step consumes.
            start_step: the first step.
            max_steps: the step to stop before.
        """
        self._steps = _Steps(seed, batch_size, batches_per_step, start_step, max_steps)

    def train_dataloader(self) -> DataLoader[Batch]:
        """Yields this process's `{"x": (batches_per_step * batch_size / W, ...), "y": long}` of each step.

        Raises:
            UserError: if the batch does not divide among the processes.
            RuntimeError: if `configure` was not called.
        """
        if self._steps is None:
            raise RuntimeError("configure(...) comes before train_dataloader()")
        steps = self._steps
        rank, world_size = (self.trainer.global_rank, self.trainer.world_size) if self.trainer else (0, 1)
        share = Share(steps.batches_per_step, steps.batch_size, rank, world_size)
        return DataLoader(
            self.step_dataset(steps.seed, share),
            batch_size=None,  # one item is a step's whole batch: no per-sample collate
            sampler=StepSampler(steps.start, steps.stop),
            collate_fn=_as_it_is,
            num_workers=self.num_workers,
            worker_init_fn=_leave_signals_to_the_run,
            persistent_workers=self.num_workers > 0,
            pin_memory=torch.cuda.is_available(),
            generator=torch.Generator().manual_seed(0),  # the loader draws a seed for its workers: not from the run's
        )

    def batches_from(self, step: int) -> Iterator[Batch]:
        """This process's batches of `step` and of all steps after it, for a run that goes back.

        Raises:
            RuntimeError: if `configure` was not called.
        """
        if self._steps is None:
            raise RuntimeError("configure(...) comes before batches_from()")
        self._steps = replace(self._steps, start=step)
        return iter(self.train_dataloader())

    def split(self, name: str) -> Split:
        """The split `train`, `val`, `ref` or `floor`, the same object at every call.

        Raises:
            UserError: if there is no such split, or the data cannot be read.
        """
        if name not in SPLITS:
            raise UserError(f"There is no split {name}: choose one of {', '.join(SPLITS)}.")
        if name not in self._splits:
            self._splits[name] = self.read_split(name)
        return self._splits[name]

    def content_id(self) -> str:
        """The sha256 in hex digits that identifies the data, their preprocessing and the splits.

        Raises:
            UserError: if the data cannot be read.
        """
        return self._content_id

    @cached_property
    def _content_id(self) -> str:
        return self.identify()


class Pixels(Protocol):
    """Grey levels, uint8 (N, C, H, W), of which rows are asked for: a tensor, or what puts them together."""

    def __len__(self) -> int: ...

    def index_select(self, dim: int, index: Tensor) -> Tensor:
        """The images (n, C, H, W) of indices (n,); `dim` is 0."""
        ...


@dataclass(frozen=True)
class Stored:
    """Images in memory, or in a file mapped into it.

    Attributes:
        pixels: grey levels, uint8 (N, C, H, W).
        labels: classes, long (N,); zeros where there are none.
        indices: long (n,) for each split.
        sha256: of pixels and labels, see `digest`.
    """

    pixels: Pixels
    labels: Tensor
    indices: dict[str, Tensor]
    sha256: str


class InMemoryImages(DataModule):
    """Images as one uint8 tensor, read by whole batches; pixels become floats batch by batch."""

    levels: int

    @abstractmethod
    def read(self) -> Stored:
        """Read the images, once."""

    @cached_property
    def stored(self) -> Stored:
        """The images; the first access reads them.

        Raises:
            UserError: if they cannot be read.
        """
        return self.read()

    def step_dataset(self, seed: int, share: Share) -> StepDataset:
        """Batches from the endless concatenation of epoch permutations of the train split."""
        return _ImageSteps(self.stored, self.levels, seed, share, self.with_index)

    @property
    def train_size(self) -> int:
        """Images in the train split."""
        return len(self.stored.indices["train"])

    def read_split(self, name: str) -> Split:
        """A split's images in [-1, 1]."""
        index = self.stored.indices[name]
        pixels = self.stored.pixels.index_select(0, index)
        return Split(to_unit_range(pixels, self.levels), self.stored.labels.index_select(0, index))

    def identify(self) -> str:
        """Pixels, labels, levels and the indices of the splits."""
        sha = hashlib.sha256(f"{self.stored.sha256} {self.levels} {self.shape}".encode())
        for name in SPLITS:
            sha.update(self.stored.indices[name].numpy().astype("<i8").tobytes())
        return sha.hexdigest()


class _ImageSteps(StepDataset):
    def __init__(self, stored: Stored, levels: int, seed: int, share: Share, with_index: bool) -> None:
        self.pixels, self.labels, self.levels, self.share = stored.pixels, stored.labels, levels, share
        self.with_index = with_index
        self.train = stored.indices["train"]
        self.order = EpochOrder(seed, len(self.train))

    def __getitem__(self, step: int) -> Batch:
        positions = self.share.of(self.order.take(step * self.share.total, self.share.total))
        index = self.train[positions]
        pixels = self.pixels.index_select(0, index)
        batch = {"x": to_unit_range(pixels, self.levels), "y": self.labels.index_select(0, index)}
        return {**batch, "index": positions} if self.with_index else batch


def to_unit_range(pixels: Tensor, levels: int) -> Tensor:
    """Grey levels 0, ..., `levels` - 1 as float32 in [-1, 1]."""
    return pixels.float().mul_(2.0 / (levels - 1)).sub_(1.0)


def digest(pixels: Tensor, labels: Tensor) -> str:
    """The sha256 of uint8 pixels (N, C, H, W) and long labels (N,)."""
    sha = hashlib.sha256(str(tuple(pixels.shape)).encode())
    for part in pixels.split(4096):  # a mapped file need not fit into memory
        sha.update(part.numpy().tobytes())
    sha.update(labels.numpy().astype("<i8").tobytes())
    return sha.hexdigest()


def _leave_signals_to_the_run(worker: int) -> None:
    """A signal to the whole group must not kill the workers of a run that is about to save."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)


def _as_it_is(batch: Any) -> Any:
    return batch
