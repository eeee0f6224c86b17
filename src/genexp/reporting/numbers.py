"""How numbers are written, wherever a person reads them."""

import math
from typing import Any

MOST_DECIMALS = 5
BOUND_MARKS = {"exact": "=", "lower bound": "≤", "estimate": "≈"}
"""Before bits per dimension; a lower bound of the likelihood is an upper bound of the bits."""
NOTES_ON_BITS = frozenset(("bpd_kind", "bpd_samples", "bpd_ais_kind", "bpd_ais_steps", "bpd_ais_ess"))
"""What a score says of its bits per dimension; in a table the mark before the number says it."""


def number(value: float | str) -> str:
    """Three digits, or a whole number with all of its digits; words as they are.

    Example:
        >>> number(0.12345), number(83715), number(999.7)
        ('0.123', '83,715', '1,000')
    """
    if isinstance(value, str):
        return value
    if abs(value) >= 999.5 or value == int(value):
        return f"{round(value):,}"
    return f"{value:#.3g}".rstrip(".")


def with_error(value: float, error: float) -> str:
    """Two digits of the error, and as many decimals of the value.

    Example:
        >>> with_error(8.314159, 0.1512)
        '8.31 ± 0.15'
    """
    decimals = max(0, 1 - math.floor(math.log10(error))) if error > 0 else MOST_DECIMALS + 1
    if decimals > MOST_DECIMALS:
        return f"{number(value)} ± {error:.1g}"
    return f"{value:,.{decimals}f} ± {error:,.{decimals}f}"


def marked(text: str, kind: Any) -> str:
    """A number with the mark of its kind, if it has one."""
    mark = BOUND_MARKS.get(str(kind))
    return text if mark is None else f"{mark} {text}"
