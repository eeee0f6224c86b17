r"""The health of a game: a few numbers at each log row, and the names of what they show.

The numbers are of the last step's batch, which the model keeps by reference: they cost nothing in a step, and are
moved to the host once for each row, as means over the processes.

- *separation*, $P(r > f) + \tfrac12 P(r = f)$: the chance that a datum's score is above a sample's; 1/2 for a critic
  that knows nothing, 1 for one that tells all of them apart. It is the same for every loss.
- *gap*, $(E r - E f)/s$ with the pooled standard deviation $s$ of the scores.
- *diversity*, $V(\text{samples})/V(\text{data})$ with $V(x) = n^2/\sum_{ij} k_{ij}^2$, the number of distinct
  points among $n$: $k_{ij} = \exp(-\|x_i - x_j\|^2/2h^2)$, $h$ a quarter of the data's own root mean square distance.
- *gradients*, the root mean square of each player's gradient.

References:
    The Vendi Score, Friedman and Dieng, 2022 (V is its order 2). https://arxiv.org/abs/2210.02410
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor

from genexp.errors import UserError
from genexp.training.alarms import Alarm, Row

WIDTH = 0.25
"""The kernel's width, in root mean square distances of the data."""
MOST = 256
"""So many samples of a batch are compared in pairs."""
TINY = 1e-12


def separation(real: Tensor, fake: Tensor) -> Tensor:
    """The chance that a datum's score is above a sample's, ties counted half.

    Arguments:
        real: scores of data (B,).
        fake: scores of samples (B,).

    Example:
        >>> separation(torch.tensor([1.0, 2.0]), torch.tensor([0.0, 1.0])).item()
        0.875
    """
    difference = real[:MOST, None] - fake[None, :MOST]
    return 0.5 * (1 + difference.sign().float().mean())


def gap(real: Tensor, fake: Tensor) -> Tensor:
    """The difference of the mean scores in pooled standard deviations."""
    real, fake = real.float(), fake.float()  # in half precision the variance of nearly constant scores would be 0
    spread = (0.5 * (real.var(correction=0) + fake.var(correction=0)) + TINY).sqrt()
    return (real.mean() - fake.mean()) / spread


def diversity(x: Tensor, fakes: Tensor) -> Tensor:
    """Distinct samples over distinct data, about 1 where the samples are as different from each other as the data.

    Arguments:
        x: data (B, ...).
        fakes: samples (B, ...).
    """
    squares = [torch.cdist(points, points).square() for points in (_flat(x), _flat(fakes))]
    width = WIDTH**2 * squares[0].mean() + TINY
    of_data, of_fakes = (torch.exp(-square / width).mean() for square in squares)  # the mean of k²
    return of_data / of_fakes


def _flat(points: Tensor) -> Tensor:
    return points[:MOST].flatten(1).float()


def size(parameters: Iterable[Tensor]) -> Tensor | None:
    """The root mean square of the gradient of one player; None if there is none."""
    gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
    count = sum(gradient.numel() for gradient in gradients)
    return torch.stack(torch._foreach_norm(gradients)).norm() / count**0.5 if gradients else None


@torch.no_grad()
def signs(seen: Mapping[str, Tensor], players: Mapping[str, torch.nn.Module]) -> dict[str, Tensor]:
    """The numbers of a row, scalars on the device.

    Arguments:
        seen: of the last step's batch, `real` and `fake` (scores, (B,)), `x` and `fakes` (B, ...); empty for a model
            that is no game.
        players: the players' modules, whose gradients are those of the last step.
    """
    found = {f"gradient_{name}": size(module.parameters()) for name, module in players.items()}
    if seen:
        found["separation"] = separation(seen["real"], seen["fake"])
        found["gap"] = gap(seen["real"], seen["fake"])
        found["diversity"] = diversity(seen["x"], seen["fakes"])
    return {name: value for name, value in found.items() if value is not None}


@dataclass(frozen=True)
class Raised:
    """An alarm that was raised.

    Attributes:
        step: when.
        name: what is wrong.
        reason: what showed it.
        since: the first step that showed it.
    """

    step: int
    name: str
    reason: str
    since: int

    def __str__(self) -> str:
        return f"{self.name.replace('_', ' ')} at step {self.step}: {self.reason}"


class Monitor:
    """Looks at each log row and raises an alarm once for as long as it holds.

    A number that is not finite is always an alarm, `nan`, and comes before all others.

    Arguments:
        alarms: by their names, in the order of cause before effect.
        on_alarm: `log`, `stop` or `rollback`.
        slow_down: factor on the learning rates at each rollback, so that the same steps do not come again.
        rollbacks: how many there may be.
        rows: an alarm looks at so many rows at least, also where they are more than its steps apart.

    Raises:
        UserError: an unknown action, or a number out of range.
    """

    columns: ClassVar[bool] = True

    def __init__(
        self,
        alarms: Mapping[str, Alarm],
        on_alarm: Literal["log", "stop", "rollback"] = "log",
        slow_down: float = 0.5,
        rollbacks: int = 3,
        rows: int = 10,
    ) -> None:
        if on_alarm not in ("log", "stop", "rollback"):
            raise UserError(f"health.on_alarm={on_alarm} is unknown: choose log, stop or rollback.")
        if not 0 < slow_down < 1:
            raise UserError(f"health.slow_down={slow_down} is out of range: give a number between 0 and 1.")
        for name, count in (("rollbacks", rollbacks), ("rows", rows)):
            if count < 1:
                raise UserError(f"health.{name}={count} is out of range: give a whole number of at least 1.")
        self.alarms, self.on_alarm, self.slow_down = dict(alarms), on_alarm, slow_down
        self.rollbacks, self.least = rollbacks, rows
        self.window = max((alarm.steps for alarm in self.alarms.values()), default=0)
        self.rows: list[dict[str, float]] = []
        self.holding: list[str] = []
        self.raised: list[dict[str, Any]] = []
        self.gone_back = 0

    @property
    def pace(self) -> float:
        """The factor on the learning rates."""
        return self.slow_down**self.gone_back

    @property
    def rolls_back(self) -> bool:
        """Whether an alarm takes the run back to a checkpoint."""
        return self.on_alarm == "rollback"

    def checkpoints_needed(self, log_every: int, checkpoint_every: int) -> int:
        """How many checkpoints have to stay, so that one is older than the first sign of any alarm.

        Example:
            >>> Monitor({}, on_alarm="rollback").checkpoints_needed(log_every=50, checkpoint_every=500)
            3
        """
        steps = max(self.window, self.least * log_every) + log_every
        return -(-steps // checkpoint_every) + 1 if self.rolls_back else 0

    def take(self, step: int, row: Row, losses: Row) -> Raised | None:
        """Take in a row; the alarm that it raises, if any.

        Arguments:
            step: of the row.
            row: the numbers of `signs`.
            losses: what else the row holds; it has only to be finite.
        """
        broken = [name for name, value in {**losses, **row}.items() if not math.isfinite(value)]
        if broken:
            first = min(broken, key=lambda name: not name.startswith("loss/"))
            return self._raise({"nan": (f"{first} is not a number", step)}, step)
        self.rows.append({"step": step, **row})
        self.rows = self._last(self.window) or self.rows
        return self._raise(self._wrong(), step)

    def _last(self, steps: int) -> list[dict[str, float]]:
        """The fewest last rows that go back so many steps; none if the run is too young."""
        spanning = (i for i, row in enumerate(self.rows) if row["step"] <= self.rows[-1]["step"] - steps)
        start = min(max(spanning, default=-1), len(self.rows) - self.least)
        return self.rows[start:] if start >= 0 else []

    def _wrong(self) -> dict[str, tuple[str, int]]:
        """The reason and the first step of each alarm that holds."""
        found = {}
        for name, alarm in self.alarms.items():
            rows = self._last(alarm.steps)
            if rows and (reason := alarm(rows)) is not None:
                found[name] = reason, int(rows[0]["step"])
        return found

    def _raise(self, wrong: Mapping[str, tuple[str, int]], step: int) -> Raised | None:
        new = [name for name in wrong if name not in self.holding]
        self.holding = list(wrong)
        if not new or new[0] != next(iter(wrong)):  # what it follows from has been named
            return None
        reason, since = wrong[new[0]]
        alarm = Raised(step, new[0], reason, since)
        self.raised.append({"step": step, "alarm": alarm.name, "reason": reason})
        return alarm

    def went_back(self, raised: Sequence[Mapping[str, Any]], gone_back: int) -> None:
        """Keep the record of what happened after the state that has just been loaded."""
        self.raised, self.gone_back = [dict(alarm) for alarm in raised], gone_back

    def state_dict(self) -> dict[str, Any]:
        """What a resumed run needs to raise the same alarms."""
        kept = {"rows": self.rows, "holding": self.holding, "raised": self.raised}
        return {**kept, "gone_back": self.gone_back}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from a saved state; that of a run without a monitor is empty."""
        self.rows, self.holding, self.raised = (list(state.get(name, [])) for name in ("rows", "holding", "raised"))
        self.gone_back = int(state.get("gone_back", 0))


class NoMonitor(Monitor):
    """Looks at nothing."""

    columns = False

    def __init__(self) -> None:
        super().__init__({})

    def take(self, step: int, row: Row, losses: Row) -> Raised | None:
        """Nothing is wrong."""
        return None
