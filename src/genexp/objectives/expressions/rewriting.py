"""Forms of an expression that neither overflow nor cancel where they need not."""

import functools
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import sympy

KINKS = ("Abs", "Max", "Min", "sign", "Heaviside")
"""Functions of sympy whose slope jumps."""


@functools.cache
def _softplus_of_sympy() -> Any:
    """log(1 + e^x) as a function of sympy's that knows its derivatives."""
    import sympy

    class sigmoid(sympy.Function):  # noqa: N801 (sympy prints the name)
        def fdiff(self, argindex: int = 1) -> sympy.Expr:
            return sigmoid(self.args[0]) * sigmoid(-self.args[0])

    class softplus(sympy.Function):  # noqa: N801
        def fdiff(self, argindex: int = 1) -> sympy.Expr:
            return sigmoid(self.args[0])

    return softplus


def in_log(expression: "sympy.Expr", symbol: "sympy.Symbol", log_symbol: "sympy.Symbol") -> "sympy.Expr":
    r"""Rewrites an expression in $u > 0$ as one in $v = \log u$ that neither overflows nor cancels where it need not.

    $\log(a + b e^{kv})$ becomes $\log a + \mathrm{softplus}(kv + \log(b/a))$, and $v - \mathrm{softplus}(v)$ becomes
    $-\mathrm{softplus}(-v)$. Only expansions are used, no search for a simpler form: they take milliseconds, and the
    same formula gives the same bits in every process, which a run that is resumed relies on.

    Arguments:
        expression: in `symbol`.
        symbol: the variable $u$, positive.
        log_symbol: the variable $v$, real.

    Example:
        >>> from genexp.objectives.expressions import read, variable
        >>> u, v = variable("u", positive=True), variable("v", positive=False)
        >>> in_log(read("log(u) - log(1 + u)", u, "f"), u, v)
        -softplus(-v)
    """
    import sympy

    return stable(expression.subs(symbol, sympy.exp(log_symbol)), log_symbol)


def stable(expression: "sympy.Expr", symbol: "sympy.Symbol") -> "sympy.Expr":
    """The rewriting of `in_log` for an expression in a real variable, as it stands."""
    import sympy

    shortest = min((sympy.expand(expression), sympy.factor(expression)), key=lambda form: form.count_ops())
    plain = shortest.replace(sympy.log, lambda a: sympy.expand_log(sympy.log(sympy.factor(a)), force=True))
    return _turned(sympy.expand_mul(plain.replace(sympy.log, lambda a: _softplus(a, symbol))))


def _softplus(inside: "sympy.Expr", v: "sympy.Symbol") -> "sympy.Expr":
    """log(a + b e^{kv}) as log a + softplus(kv + log(b/a)); other logarithms as they are."""
    import sympy

    if inside.is_Add and len(inside.args) == 2:
        constant, growing = sorted(inside.args, key=lambda part: part.has(v))
        if constant.is_positive and not constant.has(v) and growing.is_positive:
            exponent = sympy.expand_log(sympy.log(growing / constant), force=True)
            return sympy.log(constant) + _softplus_of_sympy()(exponent)
    return sympy.log(inside)


def _turned(expression: "sympy.Expr") -> "sympy.Expr":
    """Each softplus(a) as a + softplus(-a) where the variable then occurs less often."""
    import sympy

    softplus = _softplus_of_sympy()
    for part in sorted(expression.atoms(softplus), key=sympy.default_sort_key):
        (inside,), (symbol,) = part.args, part.free_symbols
        turned = sympy.expand_mul(expression.subs(part, inside + softplus(-inside)))
        if turned.count(symbol) < expression.count(symbol):
            expression = turned
    return expression


def is_smooth(expression: "sympy.Expr") -> bool:
    """Whether an expression has no function whose slope jumps."""
    import sympy

    return not any(type(part).__name__ in KINKS for part in sympy.preorder_traversal(expression))
