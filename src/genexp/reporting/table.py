"""Score tables: models beside the anchors, with arrows, null values and errors; only what may be compared."""

from collections.abc import Mapping, Sequence
from typing import Any

from rich.table import Table
from rich.text import Text

from genexp.errors import UserError
from genexp.evaluation.anchors import ANCHORS
from genexp.evaluation.registry import canonical, metric_info
from genexp.evaluation.scores import Scores, fingerprint_difference, finite_or_none

LONG_FORM = frozenset(
    ("fd#", "mmd_pix", "mmd_pix_p", "density", "c2st_knn_auc", "modes_0.2", "ct_z", "ct_auc", "mmd", "mmd_p")
)
"""Metrics that a terminal is too narrow for: left out unless they are asked for."""


def score_table(rows: Mapping[str, Scores], columns: Sequence[str] | None = None, title: str | None = None) -> Table:
    """A table for the terminal: one row per generator, those named as anchors dimmed.

    Arguments:
        rows: scores by name, the anchors' among them.
        columns: metrics to show; None for those of the short form.
        title: above the table.

    Raises:
        UserError: if two fingerprints differ: the numbers may not be compared.
    """
    _refuse_mixed(rows)
    shown = list(columns) if columns is not None else [c for c in _columns(rows) if canonical(c) not in LONG_FORM]
    table = Table(title=title, caption=_caption(rows), title_justify="left", caption_justify="left")
    table.add_column("")
    for name in shown:
        table.add_column(metric_info(name).header, justify="right")
    for name, scores in rows.items():
        cells = (Text(cell) for cell in _cells(scores, shown))
        table.add_row(Text(name), *cells, style="dim" if name in ANCHORS else None)
    return table


def score_markdown(rows: Mapping[str, Scores], columns: Sequence[str] | None = None) -> str:
    """The same table in Markdown, with all columns unless some are named; the anchors in italics.

    Raises:
        UserError: if two fingerprints differ: the numbers may not be compared.
    """
    _refuse_mixed(rows)
    shown = list(columns) if columns is not None else _columns(rows)
    lines = [["", *(metric_info(name).header for name in shown)], ["---", *("---:" for _ in shown)]]
    for name, scores in rows.items():
        lines.append([f"*{name}*" if name in ANCHORS else _escaped(name), *_cells(scores, shown)])
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


def _columns(rows: Mapping[str, Scores]) -> list[str]:
    """All metrics, in the order in which the rows name them first."""
    return list(dict.fromkeys(name for scores in rows.values() for name in scores.metrics))


def _cells(scores: Scores, shown: Sequence[str]) -> list[str]:
    headline = scores.fingerprint.get("headline")
    cells = []
    for name in shown:
        value = finite_or_none(scores.metrics.get(name))
        if value is None:
            cells.append("failed" if scores.failure is not None and name == headline else "-")
        elif name == headline and name in scores.errors:
            cells.append(f"{_number(value)} ± {scores.errors[name]:.2g}")
        else:
            cells.append(_number(value))
    return cells


def _number(value: float | str) -> str:
    """Three digits, or a whole number with all of its digits; words as they are."""
    if isinstance(value, str):
        return value
    if abs(value) >= 1000:
        return f"{value:,.0f}"
    return f"{value:.3g}"


def _caption(rows: Mapping[str, Scores]) -> str:
    """What was scored, and why rows failed."""
    lines = []
    fingerprint: dict[str, Any] = next((dict(scores.fingerprint) for scores in rows.values()), {})
    if fingerprint:
        features = fingerprint.get("features", "?")
        sha = str(fingerprint.get("features_sha256", ""))[:8]
        lines.append(
            f"{fingerprint.get('data')}: {fingerprint.get('draws')} draws of {fingerprint.get('n')} samples, "
            f"features {features}{f' ({sha})' if sha else ''}, reference split {fingerprint.get('reference')}"
        )
    lines += [f"{name} failed: {scores.failure}" for name, scores in rows.items() if scores.failure is not None]
    return "\n".join(lines)


def _escaped(text: str) -> str:
    return text.replace("|", "\\|")
