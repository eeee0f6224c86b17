"""The space of a search: Hydra's sweep syntax as optuna's distributions, and points of it as overrides."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import IntervalSweep, Override, RangeSweep, Sweep
from hydra.errors import HydraException
from optuna.distributions import (
    BaseDistribution,
    CategoricalChoiceType,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)

from genexp.errors import UserError


@dataclass(frozen=True)
class Space:
    """What a search keeps and what it varies.

    Attributes:
        fixed: the overrides that every trial shares.
        axes: the distribution of each key that varies, in the order given.
    """

    fixed: tuple[str, ...]
    axes: dict[str, BaseDistribution]

    @classmethod
    def of(cls, overrides: Sequence[str]) -> "Space":
        """Read overrides: those with several values are the axes.

        Choices (`a=1,2`, `choice(...)`), `range(start,stop,step)`, `interval(low,high)` in real numbers and
        `int(interval(low,high))` in whole ones; `tag(log, ...)` around the latter three draws their logarithm evenly.

        Raises:
            UserError: if an override does not parse, or says nothing that can be drawn from.

        Example:
            >>> Space.of(["batch_size=range(32,129,32)", "max_steps=100"])
            Space(fixed=('max_steps=100',), axes={'batch_size': IntDistribution(high=128, log=False, low=32, step=32)})
        """
        try:
            parsed = OverridesParser.create().parse_overrides(list(overrides))
        except HydraException as error:
            raise UserError(f"The search space does not parse: {str(error).splitlines()[0]}.") from error
        fixed = tuple(str(one.input_line) for one in parsed if not one.is_sweep_override())
        axes = {one.get_key_element(): _distribution(one) for one in parsed if one.is_sweep_override()}
        if not axes:
            raise UserError(
                "A search needs something to vary: give a key several values, such as loss=hinge,wasserstein."
            )
        return cls(fixed, axes)

    def overrides(self, point: Mapping[str, Any]) -> list[str]:
        """The overrides of a point, which read back to the same bits."""
        return [*self.fixed, *(f"{key}={_text(point[key], axis)}" for key, axis in self.axes.items())]

    def probes(self) -> list[list[str]]:
        """A few points in which each choice and each end stands once: what composes there composes everywhere.

        That holds for axes that do not depend on each other.
        """
        ends = {key: _ends(axis) for key, axis in self.axes.items()}
        count = max(map(len, ends.values()))
        points = ({key: values[min(i, len(values) - 1)] for key, values in ends.items()} for i in range(count))
        return [self.overrides(point) for point in points]


def _distribution(override: Override) -> BaseDistribution:
    text, value = override.input_line, override.value()
    tags = value.tags if isinstance(value, Sweep) else set()
    if unknown := tags - {"log"}:
        raise UserError(f"{text} has a tag {sorted(unknown)[0]}, which a search does not know: the only one is log.")
    log = bool(tags)
    if isinstance(value, IntervalSweep):
        return _numbers(text, value.start, value.end, None, log)
    if isinstance(value, RangeSweep):
        values = sorted(value.range()) if value.step else []
        if not values:
            raise UserError(f"{text} is empty: give a range that holds a value.")
        return _numbers(text, values[0], values[-1], abs(value.step), log)
    if not override.is_discrete_sweep() or not isinstance(value, Sweep):
        raise UserError(f"{text} is not something that a search can draw from: write the values out, with commas.")
    if log:
        raise UserError(f"{text} is a choice, which has no logarithm: use interval or range inside tag(log, ...).")
    return CategoricalDistribution(list(dict.fromkeys(override.sweep_string_iterator())))


def _numbers(text: str | None, low: Any, high: Any, step: Any, log: bool) -> BaseDistribution:
    whole = isinstance(low, int) and isinstance(high, int)
    if low > high:
        raise UserError(f"{text} is empty: give the lower end first.")
    if log and low <= 0:
        raise UserError(f"{text} has no logarithm at {low}: begin above 0.")
    if log and step not in (None, 1):
        raise UserError(f"{text} has steps, which do not go with tag(log, ...): use an interval.")
    if whole:
        return IntDistribution(low, high, log=log, step=step or 1)
    return FloatDistribution(float(low), float(high), log=log, step=None if step is None or log else float(step))


def _text(value: Any, axis: BaseDistribution) -> str:
    if isinstance(axis, FloatDistribution):
        number = float(value)
        return repr(number) if axis.step is None else repr(float(f"{number:.12g}"))  # 0.3, not 0.30000000000000004
    return str(value)


def _ends(axis: BaseDistribution) -> list[CategoricalChoiceType]:
    if isinstance(axis, CategoricalDistribution):
        return list(axis.choices)
    assert isinstance(axis, IntDistribution | FloatDistribution)
    return [axis.low, axis.high]
