"""Alarms: what can be wrong with a game, each a pure function of the last log rows.

A row holds the numbers of `genexp.training.health.signs`; a number that a model does not have is absent. The alarms
exclude each other where one is the cause of another: a critic that has won is not reported as a collapse of a generator
which never got to spread its samples, nor a collapsed generator that hops from mode to mode as an oscillation.
"""

import itertools
import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from genexp.errors import UserError

Row = Mapping[str, float]


class Alarm(Protocol):
    """Something that can be wrong. Write a class of your own and add it under `health.alarms`."""

    steps: int
    """How many steps it looks back."""

    def __call__(self, rows: Sequence[Row]) -> str | None:
        """What is wrong in the rows of the last `steps` steps, None if nothing is."""
        ...


def _positive(**numbers: float) -> None:
    for name, value in numbers.items():
        if not value > 0:
            raise UserError(f"health.alarms: {name}={value} is out of range: give a positive number.")


def _median(rows: Sequence[Row], name: str, absent: float) -> float:
    return statistics.median(row.get(name, absent) for row in rows)


@dataclass(frozen=True)
class GeneratorDead:
    """The generator's gradient is too small to move its weights.

    Below 1e-8, the constant that Adam adds to a gradient's size, Adam does not scale it up any more; with gradient
    descent it is lost in the rounding of the weights.

    Arguments:
        gradient: the root mean square of the generator's gradient.
        steps: in all rows of so many steps.
    """

    gradient: float = 1e-8
    steps: int = 500

    def __post_init__(self) -> None:
        _positive(gradient=self.gradient, steps=self.steps)

    def __call__(self, rows: Sequence[Row]) -> str | None:
        """The largest gradient in the rows, if it is too small."""
        found = [row["gradient_generator"] for row in rows if "gradient_generator" in row]  # it may wait for its turn
        largest = max(found, default=math.inf)
        if largest > self.gradient:
            return None
        return f"in {self.steps} steps the root mean square of the generator's gradient was at most {largest:.1e}"


@dataclass(frozen=True)
class CriticWon:
    """The critic tells all data from all samples by far, and the generator does not catch up.

    Arguments:
        separation: the chance that a datum's score is above a sample's, in every row.
        gap: the median of the score gap, in standard deviations.
        steps: in all rows of so many steps.
    """

    separation: float = 0.999
    gap: float = 8.0
    steps: int = 1000

    def __post_init__(self) -> None:
        _positive(separation=self.separation, gap=self.gap, steps=self.steps)

    def __call__(self, rows: Sequence[Row]) -> str | None:
        """The smallest separation in the rows and the median gap, if they are that large."""
        smallest, gap = min(row.get("separation", 0.5) for row in rows), _median(rows, "gap", 0.0)
        if smallest < self.separation or gap < self.gap:
            return None
        seen = f"{smallest:.4g} of the data's scores were above the samples', by {gap:.3g} standard deviations"
        return f"in {self.steps} steps at least {seen}"


@dataclass(frozen=True)
class ModeCollapse:
    """The samples of a batch are too alike, though the critic does not tell all of them from data.

    Arguments:
        diversity: distinct samples over distinct data.
        separation: in half of the rows at most the critic separates so well.
        steps: in all rows of so many steps.
    """

    diversity: float = 0.3
    separation: float = 0.99
    steps: int = 1000

    def __post_init__(self) -> None:
        _positive(diversity=self.diversity, separation=self.separation, steps=self.steps)

    def __call__(self, rows: Sequence[Row]) -> str | None:
        """The largest diversity in the rows, if it is that small."""
        largest = max(row.get("diversity", 1.0) for row in rows)
        if largest > self.diversity or _median(rows, "separation", 0.5) >= self.separation:
            return None
        return f"in {self.steps} steps a batch of samples had at most {largest:.2g} of the data's diversity"


@dataclass(frozen=True)
class Oscillation:
    """The score gap swings: the critic is right by far, then wrong by far, while the samples stay diverse.

    Arguments:
        swing: standard deviations beyond which the gap counts, to either side.
        turns: how often it changes sides.
        diversity: the median of distinct samples over distinct data is above this.
        steps: in all rows of so many steps.
    """

    swing: float = 1.0
    turns: int = 4
    diversity: float = 0.3
    steps: int = 1000

    def __post_init__(self) -> None:
        _positive(swing=self.swing, turns=self.turns, diversity=self.diversity, steps=self.steps)

    def __call__(self, rows: Sequence[Row]) -> str | None:
        """How often the gap changed sides, if that is too often."""
        sides = [math.copysign(1, row["gap"]) for row in rows if abs(row.get("gap", 0.0)) >= self.swing]
        turns = sum(one != other for one, other in itertools.pairwise(sides))
        if turns < self.turns or _median(rows, "diversity", 1.0) <= self.diversity:
            return None
        return f"in {self.steps} steps the score gap changed sides {turns} times, by {self.swing:g} deviations and more"
