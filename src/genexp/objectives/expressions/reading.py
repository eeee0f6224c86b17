"""Reading a formula: a syntax tree, rebuilt node by node, and nothing else."""

import ast
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from genexp.errors import UserError

if TYPE_CHECKING:
    import sympy

LONGEST = 300  # characters
LARGEST = 1e9  # of the numbers in a formula, and of their powers

FUNCTIONS = {
    **{name: name for name in ("log", "exp", "sqrt", "sign", "tanh", "atan", "sinh", "cosh")},
    **{"abs": "Abs", "max": "Max", "min": "Min"},
}
"""Functions of a formula and their names in sympy."""

_OPERATORS: dict[type[ast.AST], Callable[[Any, Any], Any]] = {
    ast.Add: lambda a, b: a + b,
    ast.Sub: lambda a, b: a - b,
    ast.Mult: lambda a, b: a * b,
    ast.Div: lambda a, b: a / b,
    ast.Pow: lambda a, b: a**b,
}


def variable(name: str, positive: bool) -> "sympy.Symbol":
    """The variable of a formula, on the positive reals or on all of them."""
    import sympy

    return sympy.Symbol(name, positive=True) if positive else sympy.Symbol(name, real=True)


def read(text: str, symbol: "sympy.Symbol", key: str) -> "sympy.Expr":
    """Read a formula.

    Arguments:
        text: the formula, at most 300 characters.
        symbol: its variable.
        key: the config key that it came from, for the error.

    Raises:
        UserError: it does not parse, has another name in it than the variable and the functions, or huge numbers.

    Example:
        >>> read("u*log(u)", variable("u", positive=True), "loss.f")
        u*log(u)
    """
    if len(text) > LONGEST:
        raise UserError(f"{key} is {len(text)} characters long: give a formula of at most {LONGEST}.")
    try:
        tree = ast.parse(text.strip(), mode="eval")
        return _Reader(text, symbol, key).build(tree.body)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        raise UserError(f"{key}={text} is no formula: write it in {symbol}, as in {symbol}*log({symbol}).") from None
    except ZeroDivisionError:
        raise UserError(f"{key}={text} divides by zero: mend the formula.") from None


@dataclass(frozen=True)
class _Reader:
    """Builds a sympy expression from a syntax tree."""

    text: str
    symbol: "sympy.Symbol"
    key: str

    def build(self, node: ast.AST) -> "sympy.Expr":
        """The expression of a node, and nothing but arithmetic."""
        import sympy

        if isinstance(node, ast.Constant) and isinstance(node.value, int | float) and type(node.value) is not bool:
            self._check_size(node.value)
            return sympy.Rational(str(node.value))
        if isinstance(node, ast.Name):
            known = {self.symbol.name: self.symbol, "pi": sympy.pi, "e": sympy.E}
            if node.id in known:
                return known[node.id]
            raise self._refused(f"the name {node.id}")
        if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub | ast.UAdd):
            value = self.build(node.operand)
            return -value if isinstance(node.op, ast.USub) else value
        if isinstance(node, ast.BinOp) and type(node.op) in _OPERATORS:
            return self._binary(node.op, self.build(node.left), self.build(node.right))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and not node.keywords:
            if node.func.id not in FUNCTIONS:
                raise self._refused(f"the function {node.func.id}")
            return self._call(node.func.id, [self.build(argument) for argument in node.args])
        raise self._refused(f"a {type(node).__name__}")

    def _binary(self, operator: ast.operator, left: "sympy.Expr", right: "sympy.Expr") -> "sympy.Expr":
        if isinstance(operator, ast.Div) and right.is_zero:
            raise ZeroDivisionError
        if isinstance(operator, ast.Pow) and left.is_number and right.is_number:
            try:  # before sympy writes out a number of a million digits
                self._check_size(float(left) ** float(right))
            except (OverflowError, TypeError):
                raise self._refused("a huge number") from None
        return _OPERATORS[type(operator)](left, right)

    def _call(self, name: str, arguments: "list[sympy.Expr]") -> "sympy.Expr":
        import sympy

        if len(arguments) < 1 or (len(arguments) > 1 and name not in ("max", "min")):
            raise UserError(f"{self.key}={self.text} gives {name} {len(arguments)} arguments: give it one.")
        return getattr(sympy, FUNCTIONS[name])(*arguments)

    def _check_size(self, value: float | complex) -> None:
        if not abs(value) <= LARGEST:
            raise self._refused("a huge number")

    def _refused(self, what: str) -> UserError:
        return UserError(
            f"{self.key}={self.text} has {what} in it: a formula has {self.symbol}, numbers, pi, e, + - * / ** and "
            f"{', '.join(FUNCTIONS)}."
        )
