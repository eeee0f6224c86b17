"""Converges, circles or diverges: what the spectral radius says of the equilibrium, and what a trajectory measured."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from genexp.dynamics.spectrum import Spectrum

Word = Literal["converges", "circles", "diverges"]

NEUTRAL = 1e-9
"""A spectral radius is 1 if it differs by no more: the differences that it is found by are exact to about 1e-11."""
ARRIVED = 1e-8
"""Of the first distance: so near, a trajectory has arrived."""
FALLS, RISES = 0.5, 1.1
"""The largest distance in the last quarter over that in the quarter before."""


@dataclass(frozen=True)
class Path:
    """How far a trajectory was from the equilibrium.

    Attributes:
        distances: after 0, 1, ... steps; it ends early where a number was no longer finite.
        steps: how many were asked for.
    """

    distances: NDArray[np.float64]
    steps: int

    @property
    def left(self) -> bool:
        """Whether the numbers overflowed."""
        return len(self.distances) <= self.steps or not np.isfinite(self.distances[-1])

    @property
    def start(self) -> float:
        """The first distance."""
        return float(self.distances[0])

    @property
    def end(self) -> float:
        """The last distance."""
        return float("inf") if self.left else float(self.distances[-1])

    def _quarters(self) -> tuple[float, float]:
        n = len(self.distances)
        return float(self.distances[n // 2 : 3 * n // 4 + 1].max()), float(self.distances[3 * n // 4 :].max())

    @property
    def band(self) -> tuple[float, float]:
        """The smallest and the largest distance in the last quarter."""
        last = self.distances[3 * len(self.distances) // 4 :]
        return float(last.min()), float(last.max())

    @property
    def growth(self) -> float:
        """The factor on the distance in a step, from the last two quarters; 0 for a trajectory that has arrived."""
        before, after = self._quarters()
        if self.left or before <= ARRIVED * self.start or after == 0:
            return float("inf") if self.left else 0.0
        return (after / before) ** (4 / len(self.distances))

    @property
    def word(self) -> Word:
        """What the trajectory does, by itself."""
        if self.left:
            return "diverges"
        before, after = self._quarters()
        if after <= max(FALLS * before, ARRIVED * self.start):
            return "converges"
        return "diverges" if after > RISES * before and after > self.start else "circles"


@dataclass(frozen=True)
class Verdict:
    """What a game does at its equilibrium, and why.

    Attributes:
        word: `converges`, `circles` or `diverges`.
        reason: one or two sentences.
    """

    word: Word
    reason: str


def judge(spectrum: Spectrum, path: Path) -> Verdict:
    """The verdict: the update map's spectral radius decides; where there is none, the trajectory.

    Arguments:
        spectrum: at the equilibrium.
        path: of a trajectory from the game's start.
    """
    radius = spectrum.radius
    if radius is None:
        return Verdict(path.word, f"The update map has no derivative at the equilibrium; {_measured(path)}.")
    if abs(radius - 1) <= NEUTRAL:
        word: Word = "circles"
        reason = "The spectral radius is 1: to first order the steps neither damp nor drive"
    elif radius < 1:
        word = "converges"
        reason = f"The spectral radius {radius:.6g} is below 1: an error halves in {_steps(0.5, radius)} steps"
    else:
        word = "diverges"
        reason = f"The spectral radius {radius:.6g} is above 1: an error doubles in {_steps(2, radius)} steps"
    return Verdict(word, f"{reason}; {_measured(path)}.")


def _steps(factor: float, radius: float) -> str:
    return f"{np.log(factor) / np.log(radius):.3g}" if radius > 0 else "0"


def _measured(path: Path) -> str:
    """The trajectory in words."""
    if path.left:
        return f"from the distance {path.start:.3g} the numbers overflowed after {len(path.distances) - 1} steps"
    went = f"in {path.steps} steps the distance went from {path.start:.3g} to {path.end:.3g}"
    if path.word == "circles":
        return f"{went}, and stayed between {path.band[0]:.3g} and {path.band[1]:.3g} in the last quarter"
    return went
