r"""Formulas that a user writes: read without evaluating anything, and turned into functions of tensors.

A formula is arithmetic in one variable, `+ - * / **`, with numbers, `pi`, `e` and the functions of `FUNCTIONS`. It is
read as Python's syntax tree and rebuilt node by node as a sympy expression; whatever else stands in it (names,
attributes, calls, strings) is refused, so that a config can hold no code. sympy comes with torch; it is imported when a
formula is read.
"""

from genexp.objectives.expressions.compiled import Compiled, NotComputable
from genexp.objectives.expressions.reading import FUNCTIONS, read, variable
from genexp.objectives.expressions.rewriting import in_log, is_smooth, stable
from genexp.objectives.expressions.solving import Exhausted, effort, inverses

__all__ = [
    "FUNCTIONS",
    "Compiled",
    "Exhausted",
    "NotComputable",
    "effort",
    "in_log",
    "inverses",
    "is_smooth",
    "read",
    "stable",
    "variable",
]
