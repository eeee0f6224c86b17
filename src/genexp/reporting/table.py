"""Score tables: models beside the anchors, with arrows, null values and errors; only what may be compared."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rich import box
from rich.cells import cell_len
from rich.table import Table
from rich.text import Text

from genexp.errors import UserError
from genexp.evaluation.anchors import ANCHORS
from genexp.evaluation.registry import MetricInfo, metric_info, place
from genexp.evaluation.scores import Scores, fingerprint_difference, finite_or_none

BPD_MARKS = {"exact": "=", "lower bound": "≤", "estimate": "≈"}
"""A lower bound of the likelihood is an upper bound of the bits."""
BPD_NOTES = frozenset(("bpd_kind", "bpd_samples"))
"""What a score says of its bits per dimension; in a table the mark before the number says it."""
LEAST_LABEL = 16
"""Names of rows get at least so many characters, and a third of the table; longer ones go on below."""
GAP = 2
"""Blanks between columns."""
MOST_DECIMALS = 5


@dataclass(frozen=True)
class _Column:
    info: MetricInfo
    cells: list[str]

    @property
    def header(self) -> str:
        return f"{self.info.name}\n{self.info.aim}"

    @property
    def width(self) -> int:
        return max(cell_len(text) for text in (*self.header.split("\n"), *self.cells))


def score_table(
    rows: Mapping[str, Scores],
    width: int | None = None,
    columns: Sequence[str] | None = None,
    title: str | None = None,
) -> Table:
    """A table for the terminal: one row per generator, those named as anchors dimmed.

    The metric that ranks comes first, then the others by importance, as many as fit whole; the caption says how many
    are left out.

    Arguments:
        rows: scores by name, the anchors' among them.
        width: characters in a line of the terminal; None for no limit.
        columns: metrics to choose from, the most important first; None for all.
        title: above the table.

    Raises:
        UserError: if two fingerprints differ: the numbers may not be compared.
    """
    _refuse_mixed(rows)
    known = [_Column(_info(rows, name), [_cell(row, name) for row in rows.values()]) for name in _names(rows, columns)]
    longest = max((cell_len(name) for name in rows), default=0)
    label = longest if width is None else min(longest, max(LEAST_LABEL, width // 3))
    shown = known if width is None else known[: _fitting(known, width - label)]
    caption = Text(_caption(rows, left_out=len(known) - len(shown)), style="table.caption")
    table = Table(
        title=title,
        caption=caption,
        title_justify="left",
        caption_justify="left",
        box=box.SIMPLE_HEAD,
        show_edge=False,
        pad_edge=False,
        padding=(0, GAP - 1, 0, 0),  # the box's own blank is one more
    )
    table.add_column("", width=label, overflow="fold")
    for column in shown:
        table.add_column(Text(column.header), justify="right", no_wrap=True, min_width=column.width)
    for i, name in enumerate(rows):
        cells = (Text(column.cells[i]) for column in shown)
        table.add_row(Text(name), *cells, style="dim" if name in ANCHORS else None)
    return table


def score_markdown(rows: Mapping[str, Scores], columns: Sequence[str] | None = None) -> str:
    """The same table in Markdown, with all columns unless some are named; the anchors in italics.

    Raises:
        UserError: if two fingerprints differ: the numbers may not be compared.
    """
    _refuse_mixed(rows)
    shown = _names(rows, columns)
    lines = [["", *(_info(rows, name).header for name in shown)], ["---", *("---:" for _ in shown)]]
    for name, scores in rows.items():
        label = f"*{name}*" if name in ANCHORS else _escaped(name)
        lines.append([label, *(_cell(scores, column) for column in shown)])
    body = "\n".join(f"| {' | '.join(line)} |" for line in lines)
    return f"{body}\n\n{_escaped(_caption(rows))}\n"


def _refuse_mixed(rows: Mapping[str, Scores]) -> None:
    first: tuple[str, Scores] | None = None
    for name, scores in rows.items():
        if first is None:
            first = name, scores
        difference = fingerprint_difference(first[1].fingerprint, scores.fingerprint)
        if difference is not None:
            raise UserError(
                f"{first[0]} and {name} were scored differently ({difference}): "
                "for one table, evaluate both again with the same protocol."
            )


def _fingerprint(rows: Mapping[str, Scores]) -> dict[str, Any]:
    """That of all rows."""
    return next((scores.fingerprint for scores in rows.values()), {})


def _info(rows: Mapping[str, Scores], name: str) -> MetricInfo:
    return metric_info(name, _fingerprint(rows))


def _names(rows: Mapping[str, Scores], columns: Sequence[str] | None) -> list[str]:
    """The metrics as given, or all: the one that ranks, then by importance, then as the rows name them."""
    if columns is not None:
        return list(columns)
    named = dict.fromkeys(name for scores in rows.values() for name in scores.metrics)
    headlines = {scores.fingerprint.get("headline") for scores in rows.values()}
    return sorted((name for name in named if name not in BPD_NOTES), key=lambda n: (n not in headlines, place(n)))


def _fitting(columns: Sequence[_Column], width: int) -> int:
    """How many of the first columns fit; the first is always shown."""
    for count, column in enumerate(columns):
        width -= GAP + column.width
        if width < 0:
            return max(count, 1)
    return len(columns)


def _cell(scores: Scores, name: str) -> str:
    headline = scores.fingerprint.get("headline")
    value: Any = finite_or_none(scores.metrics.get(name))
    if value is None:
        return "failed" if scores.failure is not None and name == headline else "-"
    if name == headline and name in scores.errors:
        return _with_error(value, scores.errors[name])
    mark = BPD_MARKS.get(str(scores.metrics.get("bpd_kind"))) if name == "bpd" else None
    return _number(value) if mark is None else f"{mark} {_number(value)}"


def _number(value: float | str) -> str:
    """Three digits, or a whole number with all of its digits; words as they are."""
    if isinstance(value, str):
        return value
    if abs(value) >= 999.5 or value == int(value):
        return f"{round(value):,}"
    return f"{value:#.3g}".rstrip(".")


def _with_error(value: float, error: float) -> str:
    """Two digits of the error, and as many decimals of the value."""
    decimals = max(0, 1 - math.floor(math.log10(error))) if error > 0 else MOST_DECIMALS + 1
    if decimals > MOST_DECIMALS:
        return f"{_number(value)} ± {error:.1g}"
    return f"{value:,.{decimals}f} ± {error:,.{decimals}f}"


def _caption(rows: Mapping[str, Scores], left_out: int = 0) -> str:
    """What was scored, why rows failed, and how much is not shown."""
    lines = []
    fingerprint = _fingerprint(rows)
    if fingerprint:
        features = fingerprint.get("features", "?")
        sha = str(fingerprint.get("features_sha256", ""))[:8]
        lines.append(
            f"{fingerprint.get('data')}: {fingerprint.get('draws')} draws of {fingerprint.get('n')} samples, "
            f"features {features}{f' ({sha})' if sha else ''}, reference split {fingerprint.get('reference')}"
        )
    lines += [f"{name} failed: {scores.failure}" for name, scores in rows.items() if scores.failure is not None]
    if left_out:
        lines.append(f"{left_out} more {'column is' if left_out == 1 else 'columns are'} in scores.jsonl")
    return "\n".join(lines)


def _escaped(text: str) -> str:
    return text.replace("|", "\\|")
