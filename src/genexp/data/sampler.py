"""Batches keyed by the step: what step k reads is a function of (seed, k) and of nothing else.

The sampler yields step numbers and the data set makes the whole batch of a step, so that a resumed run reads what the
killed one would have read, with any number of workers, and W processes read together what one process would read.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Sampler

from genexp.errors import UserError

EPOCHS, STEPS, SPLITS = range(3)
"""Streams of random numbers: epoch permutations, training draws and splits never share a key."""


def key(seed: int, stream: int, index: int) -> np.random.SeedSequence:
    """The key of the `index`-th draw of a stream; different arguments never give the same key."""
    # The spawn key is hashed apart from the entropy, whose words a large seed would otherwise shift.
    return np.random.SeedSequence(seed, spawn_key=(stream, index))


def torch_seed(seed: int, stream: int, index: int) -> int:
    """A key as a seed for a `torch.Generator`."""
    return int(key(seed, stream, index).generate_state(1, np.uint64)[0])


class StepSampler(Sampler[int]):
    """Yields the step numbers `start`, ..., `stop` - 1 in order."""

    def __init__(self, start: int, stop: int) -> None:
        self.start, self.stop = start, max(start, stop)

    def __iter__(self) -> Iterator[int]:
        return iter(range(self.start, self.stop))

    def __len__(self) -> int:
        """Steps that are left."""
        return self.stop - self.start


@dataclass(frozen=True)
class Share:
    """A process's share of a step's batches.

    Rank r of W takes columns [r B / W, (r + 1) B / W) of each batch of B, so that the shares of all ranks, side by
    side, are the batches of a single process.

    Attributes:
        batches: batches that one step consumes.
        batch_size: B, over all processes.
        rank: this process's number r.
        world_size: the number of processes W.

    Raises:
        UserError: if B does not divide among W processes.
    """

    batches: int
    batch_size: int
    rank: int = 0
    world_size: int = 1

    def __post_init__(self) -> None:
        if self.batch_size % self.world_size:
            raise UserError(
                f"batch_size={self.batch_size} does not divide among {self.world_size} processes: "
                f"choose a multiple of {self.world_size}."
            )

    @property
    def total(self) -> int:
        """Rows that one step consumes over all processes."""
        return self.batches * self.batch_size

    def of(self, rows: Tensor) -> Tensor:
        """This process's part (batches * B / W, ...) of a step's rows (batches * B, ...)."""
        if self.world_size == 1:
            return rows
        local = self.batch_size // self.world_size
        columns = rows.unflatten(0, (self.batches, self.batch_size))  # (batches, B, ...)
        return columns[:, self.rank * local : (self.rank + 1) * local].flatten(0, 1)


class EpochOrder:
    """The endless concatenation of permutations of n items; permutation e is a function of (seed, e).

    Arguments:
        seed: the run's seed.
        n: the number of items.
    """

    def __init__(self, seed: int, n: int) -> None:
        self.seed, self.n = seed, n
        self._recent: dict[int, NDArray[np.int64]] = {}

    def take(self, start: int, count: int) -> Tensor:
        """Items at positions [start, start + count), long (count,)."""
        parts, stop = [], start + count
        while start < stop:
            epoch, offset = divmod(start, self.n)
            part = self._permutation(epoch)[offset : offset + stop - start]
            parts.append(part)
            start += len(part)
        return torch.from_numpy(np.concatenate(parts))

    def _permutation(self, epoch: int) -> NDArray[np.int64]:
        if epoch not in self._recent:
            self._recent = {e: kept for e, kept in self._recent.items() if e == epoch - 1}
            bits = np.random.PCG64(key(self.seed, EPOCHS, epoch))
            self._recent[epoch] = np.random.Generator(bits).permutation(self.n)
        return self._recent[epoch]
