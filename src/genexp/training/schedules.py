"""Learning-rate schedules: pure functions of the clock, so that resuming needs no state.

Each returns the factor on the base learning rate for the step that is about to run.
"""

import math
from dataclasses import dataclass
from typing import Protocol

from genexp.errors import UserError


class Schedule(Protocol):
    """A factor in [0, 1] for each step."""

    def __call__(self, step: int, max_steps: int) -> float:
        """The factor for step number `step` (from 0) of `max_steps`."""
        ...


def _check(start: float, end: float) -> None:
    if not 0 <= start < 1 or end < 0:
        raise UserError(f"schedule.start={start}, end={end} are out of range: start lies in [0, 1), end is at least 0.")


@dataclass(frozen=True)
class Constant:
    """The base learning rate throughout."""

    def __call__(self, step: int, max_steps: int) -> float:
        """Always 1."""
        return 1.0


@dataclass(frozen=True)
class Linear:
    """Constant until `start` (a share of the run), then linear to `end`.

    Example:
        >>> [Linear(start=0.5)(step, 4) for step in range(5)]
        [1.0, 1.0, 1.0, 0.5, 0.0]
    """

    start: float = 0.0
    end: float = 0.0

    def __post_init__(self) -> None:
        _check(self.start, self.end)

    def __call__(self, step: int, max_steps: int) -> float:
        """1 before `start`, `end` after the last step, a straight line between."""
        progress = (step / max_steps - self.start) / (1.0 - self.start)
        return 1.0 + (self.end - 1.0) * min(max(progress, 0.0), 1.0)


@dataclass(frozen=True)
class Cosine:
    """Half a cosine from 1 to `end`, after `start` (a share of the run).

    References:
        SGDR: Stochastic Gradient Descent with Warm Restarts, Loshchilov and Hutter, 2017. https://arxiv.org/abs/1608.03983

    Example:
        >>> [round(Cosine()(step, 4), 3) for step in range(5)]
        [1.0, 0.854, 0.5, 0.146, 0.0]
    """

    start: float = 0.0
    end: float = 0.0

    def __post_init__(self) -> None:
        _check(self.start, self.end)

    def __call__(self, step: int, max_steps: int) -> float:
        """1 before `start`, `end` after the last step, half a cosine between."""
        progress = min(max((step / max_steps - self.start) / (1.0 - self.start), 0.0), 1.0)
        return self.end + (1.0 - self.end) * 0.5 * (1.0 + math.cos(math.pi * progress))
