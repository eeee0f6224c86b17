"""Solving for a variable, with limited effort."""

import sys
import types
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import sympy


class Exhausted(BaseException):
    """The effort is spent. No Exception, so that nothing on the way takes it for its own failure."""


@contextmanager
def effort(calls: int) -> Iterator[None]:
    """Ends the block with `Exhausted` after so many calls of Python functions, about a microsecond each.

    A limit in calls and not in seconds: it falls at the same place on a loaded machine, so that a resumed run goes the
    same way as the one that was stopped.
    """
    left, before = calls, sys.getprofile()

    def count(frame: types.FrameType, event: str, argument: Any) -> None:
        nonlocal left
        if event == "call":
            left -= 1
            if left < 0:
                raise Exhausted

    sys.setprofile(count)
    try:
        yield
    finally:
        sys.setprofile(before)


def inverses(expression: "sympy.Expr", symbol: "sympy.Symbol", value: "sympy.Symbol") -> "list[sympy.Expr]":
    """Solutions of `expression = value` for `symbol` in closed form, as many as sympy finds with limited effort."""
    import sympy

    try:
        with effort(calls=1_000_000):
            found = sympy.solve(sympy.Eq(expression, value), symbol)
            return [solution for solution in found if isinstance(solution, sympy.Expr)]
    except (Exhausted, NotImplementedError, ValueError, TypeError, ArithmeticError, AttributeError):
        return []
