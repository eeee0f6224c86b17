"""What a step reports: kept on the device, moved once per log tick."""

import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor

from genexp.training.strategy import gather, mean_over_ranks, world


class Meter:
    """Means of scalars over the steps since the last tick.

    `record` only keeps a reference to a 0-dimensional tensor, so that a step never waits for the device.
    """

    def __init__(self) -> None:
        self._pending: dict[str, list[Tensor]] = defaultdict(list)

    def record(self, name: str, value: Tensor) -> None:
        """Note a scalar of this step, without copying it to the host."""
        self._pending[name].append(value.detach())

    def flush(self) -> dict[str, float]:
        """The mean of each scalar since the last flush, over all ranks; one transfer."""
        if not self._pending:
            return {}
        names = sorted(self._pending)
        means = mean_over_ranks(torch.stack([torch.stack(self._pending[name]).double().mean() for name in names]))
        self._pending.clear()
        return dict(zip(names, means.tolist(), strict=True))

    def state_dict(self) -> list[dict[str, Tensor]]:
        """Every rank's values not flushed yet, so that a run that stops between two ticks loses no row.

        A collective that every rank must call.
        """
        return gather({name: torch.stack(values).clone() for name, values in self._pending.items()})

    def load_state_dict(self, state: list[dict[str, Tensor]], device: torch.device) -> None:
        """Take up saved values: this rank's own, or the ranks' mean if there are more or fewer of them now."""
        rank, size = world()
        same = len(state) == size
        self._pending.clear()
        for name in state[0]:
            values = state[rank][name] if same else torch.stack([of_rank[name] for of_rank in state]).mean(0)
            self._pending[name] = list(values.to(device))


class Stopwatch:
    """Wall seconds by phase since the last tick: where the time goes."""

    def __init__(self) -> None:
        self._seconds: dict[str, float] = defaultdict(float)
        self._since = time.perf_counter()

    def add(self, phase: str, seconds: float) -> None:
        """Count `seconds` for `phase`."""
        self._seconds[phase] += seconds

    @contextmanager
    def phase(self, name: str) -> Iterator[None]:
        """Count the block's duration for `name`."""
        started = time.perf_counter()
        try:
            yield
        finally:
            self.add(name, time.perf_counter() - started)

    def flush(self, images: int) -> dict[str, float]:
        """Images per second and each phase's share of the time since the last flush."""
        now = time.perf_counter()
        elapsed = max(now - self._since, 1e-9)
        training = max(elapsed - self._seconds["score"] - self._seconds["checkpoint"], 1e-9)
        row = {"time/images_per_second": images / training}
        row |= {f"time/share_{phase}": seconds / elapsed for phase, seconds in sorted(self._seconds.items())}
        self._seconds.clear()
        self._since = now
        return row
