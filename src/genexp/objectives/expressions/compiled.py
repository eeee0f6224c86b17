"""sympy's expressions as functions of tensors."""

import functools
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import torch
import torch.nn.functional as F
from torch import Tensor

if TYPE_CHECKING:
    import sympy


def _power(base: Any, exponent: Any) -> Any:
    if isinstance(exponent, Tensor) or exponent not in (-1, 0.5):
        return base**exponent
    return 1 / base if exponent == -1 else torch.sqrt(base)


def _extreme(pick: Callable[[Tensor, Tensor], Tensor]) -> Callable[..., Tensor]:
    def of(*values: Any) -> Tensor:
        like = next(value for value in values if isinstance(value, Tensor))
        return functools.reduce(pick, (torch.as_tensor(value).to(like) for value in values))

    return of


_ON_TENSORS: dict[str, Callable[..., Any]] = {
    "Add": lambda *terms: functools.reduce(lambda a, b: a + b, terms),
    "Mul": lambda *factors: functools.reduce(lambda a, b: a * b, factors),
    "Pow": _power,
    **{name: getattr(torch, name) for name in ("log", "exp", "sign", "tanh", "atan", "sinh", "cosh")},
    "Abs": torch.abs,
    "Max": _extreme(torch.maximum),
    "Min": _extreme(torch.minimum),
    "Heaviside": lambda x, at_zero: torch.heaviside(x, torch.full_like(x, at_zero)),
    "DiracDelta": torch.zeros_like,  # the slope beside a jump, not on it
    "softplus": F.softplus,
    "sigmoid": torch.sigmoid,
}


class NotComputable(Exception):
    """An expression with a function that has no counterpart on tensors."""


@dataclass(frozen=True)
class Compiled:
    """A sympy expression as an elementwise function of a tensor; equal parts are computed once.

    Arguments:
        expression: in one variable.
        symbol: the variable.

    Raises:
        NotComputable: a part of it has no counterpart on tensors.

    Example:
        >>> from genexp.objectives.expressions import read, variable
        >>> u = variable("u", positive=True)
        >>> Compiled(read("u**2 - 1", u, "f"), u)(torch.tensor([1.0, 2.0]))
        tensor([0., 3.])
    """

    expression: "sympy.Expr"
    symbol: "sympy.Symbol"
    _parts: "list[tuple[sympy.Symbol, sympy.Expr]]" = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        import sympy

        shared, (last,) = sympy.cse([self.expression])
        for part in sympy.preorder_traversal(self.expression):
            if not (part.is_Symbol or part.is_number or type(part).__name__ in _ON_TENSORS):
                raise NotComputable(type(part).__name__)
        object.__setattr__(self, "_parts", [*shared, (sympy.Symbol("value"), last)])

    def __call__(self, x: Tensor) -> Tensor:
        """Returns the expression's value at each element of `x`."""
        known: dict[Any, Any] = {self.symbol: x}
        for name, part in self._parts:
            known[name] = _evaluate(part, known)
        value = known[self._parts[-1][0]]
        return value if isinstance(value, Tensor) else torch.full_like(x, value)


def _evaluate(expression: "sympy.Expr", known: dict[Any, Any]) -> Any:
    if expression in known:
        return known[expression]
    if expression.is_number:
        return _number(expression)
    return _ON_TENSORS[type(expression).__name__](*(_evaluate(part, known) for part in expression.args))


@functools.cache
def _number(expression: "sympy.Expr") -> float:
    import sympy

    return float(sympy.N(expression, 20))
