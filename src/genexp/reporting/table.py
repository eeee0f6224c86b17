"""Score tables: models beside the anchors, with arrows, null values and errors; only what may be compared."""

from collections.abc import Mapping, Sequence
from typing import Any

from rich.table import Table

from genexp.errors import UserError
from genexp.evaluation.anchors import ANCHORS
from genexp.evaluation.registry import metric_info, place
from genexp.evaluation.scores import Scores, fingerprint_difference, finite_or_none
from genexp.reporting.numbers import NOTES_ON_BITS, marked, number, with_error
from genexp.reporting.sheet import Column, Sheet, to_markdown, to_terminal


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
    return to_terminal(_sheet(rows, columns, title), width)


def score_markdown(rows: Mapping[str, Scores], columns: Sequence[str] | None = None) -> str:
    """The same table in Markdown, with all columns unless some are named; the anchors in italics.

    Raises:
        UserError: if two fingerprints differ: the numbers may not be compared.
    """
    return to_markdown(_sheet(rows, columns, None))


def metrics_in_order(names: Sequence[str], headline: str | None) -> list[str]:
    """Names of metrics as a table shows them: the one that ranks, then by importance, then as they come."""
    shown = (name for name in dict.fromkeys(names) if name not in NOTES_ON_BITS)
    return sorted(shown, key=lambda name: (name != headline, place(name)))


def scored_line(fingerprint: Mapping[str, Any]) -> str:
    """What was scored and how, in one line."""
    features = fingerprint.get("features", "?")
    sha = str(fingerprint.get("features_sha256", ""))[:8]
    return (
        f"{fingerprint.get('data')}: {fingerprint.get('draws')} draws of {fingerprint.get('n')} samples, "
        f"features {features}{f' ({sha})' if sha else ''}, reference split {fingerprint.get('reference')}"
    )


def _sheet(rows: Mapping[str, Scores], columns: Sequence[str] | None, title: str | None) -> Sheet:
    _refuse_mixed(rows)
    fingerprint: dict[str, Any] = next((scores.fingerprint for scores in rows.values()), {})
    every = [name for scores in rows.values() for name in scores.metrics]
    names = list(columns) if columns is not None else metrics_in_order(every, fingerprint.get("headline"))
    infos = [metric_info(name, fingerprint) for name in names]
    failures = [f"{name} failed: {scores.failure}" for name, scores in rows.items() if scores.failure is not None]
    return Sheet(
        labels=list(rows),
        columns=[Column(i.name, i.aim, [_cell(scores, i.name) for scores in rows.values()]) for i in infos],
        dim=frozenset(i for i, name in enumerate(rows) if name in ANCHORS),
        caption=[*([scored_line(fingerprint)] if fingerprint else []), *failures],
        title=title,
    )


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


def _cell(scores: Scores, name: str) -> str:
    headline = scores.fingerprint.get("headline")
    value: Any = finite_or_none(scores.metrics.get(name))
    if value is None:
        return "failed" if scores.failure is not None and name == headline else "-"
    if name == headline and name in scores.errors:
        return with_error(value, scores.errors[name])
    return marked(number(value), scores.metrics.get(f"{name}_kind"))
