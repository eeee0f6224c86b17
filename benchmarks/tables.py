"""What the tables of sweeps in the docs have in common: cells, failures, and the sentence below."""

from collections.abc import Mapping, Sequence
from typing import Any

from genexp.reporting.numbers import number, with_error


def cell(setting: Mapping[str, Any], name: str) -> str:
    """A metric's mean over seeds with its half-width; bold where it is not separable from the best."""
    mean, half_width = setting["mean"].get(name), setting["half_width"].get(name)
    if mean is None:
        return "-"
    text = number(mean) if half_width is None else with_error(mean, half_width)
    return f"**{text}**" if setting["best"].get(name) else text


def cost(setting: Mapping[str, Any]) -> str:
    """How many of a setting's runs failed, and the CPU seconds of one: two cells."""
    failed = len(setting["failures"])
    return f"{failed} of {setting['n'] + failed} | {plain(setting['cpu_seconds'])}"


def plain(value: float | str | None) -> str:
    """A number by itself, or a dash for none."""
    return "-" if value is None else number(value)


def anchor_cells(table: Mapping[str, Any], anchor: str, metrics: Sequence[str]) -> list[str]:
    """An anchor's values; empty if the table has no such anchor."""
    values = {known["name"]: known["values"] for known in table["anchors"]}.get(anchor)
    if values is None:
        return []
    return [plain(values.get(name)) for name in metrics]


def why_failed(table: Mapping[str, Any]) -> list[str]:
    """Lines that tell the reasons of failed runs."""
    reasons = dict.fromkeys(failure["reason"] for setting in table["settings"] for failure in setting["failures"])
    return ["", "Why runs failed:", "", *(f"- {reason}" for reason in reasons)] if reasons else []


def provenance(report: Mapping[str, Any]) -> str:
    """How many runs there are, of which commits, what they took, and what the numbers are."""
    runs = report["runs"].values()
    commits = sorted({str(run["commit"]) for run in runs})
    unfinished = sum(setting["unfinished"] for table in report["tables"] for setting in table["settings"])
    return (
        f"{len(runs)} runs of commit {' and '.join(commits)}, "
        f"{sum(run['seconds'] or 0.0 for run in runs) / 60:.0f} minutes of one process in all"
        + (f", {unfinished} of them unfinished" if unfinished else "")
        + ". Means over training seeds with the half-widths of their 95 % t-intervals; "
        + "bold: not separable from the best of the column."
    )
