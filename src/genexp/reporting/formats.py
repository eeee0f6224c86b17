"""The text forms of a report: terminal, Markdown, CSV, LaTeX and JSON, all from the same plain values."""

import csv
import io
import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from rich.console import Console, Group, RenderableType
from rich.text import Text

from genexp.reporting.numbers import marked, number, with_error
from genexp.reporting.sheet import Column, Sheet, latex, to_latex, to_markdown, to_terminal

COSTS = ("seconds", "cpu_seconds", "images_per_second", "parameters")
REST = "format=csv"
MOST_NAMED = 4
"""So many settings with unfinished runs are named below a table."""


def terminal(report: Mapping[str, Any], width: int | None = None) -> RenderableType:
    """Tables for a terminal of so many characters; None for no limit."""
    parts: list[RenderableType] = []
    for sheet, lines in _parts(report):
        parts += [to_terminal(sheet, width), *(Text(line) for line in lines), Text("")]
    return Group(*parts, *(Text(note) for note in report["notes"]))


def print_terminal(report: Mapping[str, Any]) -> None:
    """Print the tables, as wide as the terminal."""
    console = Console(highlight=False)
    console.print(terminal(report, console.width))


def markdown(report: Mapping[str, Any]) -> str:
    """Tables in GitHub's Markdown."""
    texts = [f"## {report['title']}"]
    for sheet, lines in _parts(report):
        texts += [to_markdown(sheet).rstrip(), *lines]
    return "\n\n".join([*texts, *report["notes"]]) + "\n"


def latex_tables(report: Mapping[str, Any]) -> str:
    """One `table` for each data set, for a document with `booktabs`."""
    texts = [r"% needs \usepackage{booktabs}"]
    for sheet, lines in _parts(report):
        texts += [to_latex(sheet), *(f"{latex(line)}\n" for line in lines)]
    return "\n".join([*texts, *(f"% {note}" for note in report["notes"])]).rstrip() + "\n"


def as_json(report: Mapping[str, Any]) -> str:
    """Everything, in standard JSON: there is no NaN in it. Each run is a line, as indenting takes ten times as long."""
    many = {"configs", "runs"}
    lines = {
        key: _on_lines({name: _json(one) for name, one in value.items()}) if key in many else _json(value)
        for key, value in report.items()
    }
    return _on_lines(lines) + "\n"


def _on_lines(texts: Mapping[str, Any]) -> str:
    """A JSON object with a line for each key."""
    return "{\n" + ",\n".join(f"{_json(key)}: {text}" for key, text in texts.items()) + "\n}"


def _json(value: Any) -> str:
    return json.dumps(value, allow_nan=False, ensure_ascii=False)


def csv_of_settings(report: Mapping[str, Any]) -> str:
    """One row for each setting: mean, half-width, number of runs and whether it is among the best, for each metric."""
    rows = []
    for table in report["tables"]:
        names = [metric["name"] for metric in table["metrics"]]
        for setting in table["settings"]:
            row = {"data": table["data"], "setting": setting["label"], "id": setting["id"], "n": setting["n"]}
            row |= {"failures": len(setting["failures"]), "unfinished": setting["unfinished"]}
            for name in names:
                row[name] = setting["mean"][name]
                row[f"{name}_half_width"] = setting["half_width"][name]
                row[f"{name}_n"] = _count(setting, name)
                row[f"{name}_best"] = int(setting["best"][name])
                if name in setting["kinds"]:
                    row[f"{name}_kind"] = setting["kinds"][name]
            rows.append(row | {cost: setting[cost] for cost in COSTS} | {"command": setting["command"]})
    return _csv(rows)


def csv_of_runs(report: Mapping[str, Any]) -> str:
    """One row for each run, failed and unfinished ones among them."""
    rows = []
    for table in report["tables"]:
        settings = {setting["id"]: setting for setting in table["settings"]}
        for key, run in report["runs"].items():
            setting = settings.get(run["setting"])
            if setting is None:
                continue
            row = {"data": table["data"], "setting": setting["label"], "id": setting["id"], "run": key}
            row |= {name: run[name] for name in ("seed", "status", "reason", "step", "seconds")}
            place = setting["runs"].index(key) if key in setting["runs"] else None
            for metric in table["metrics"]:
                name = metric["name"]
                row[name] = None if place is None else setting["values"][name][place]
            rows.append(row | {"commit": run["commit"], "folder": run["folder"], "command": run["command"]})
    return _csv(rows)


def sheet_of(table: Mapping[str, Any]) -> Sheet:
    """The table of a data set: settings, the best first, and the anchors below them."""
    settings, anchors = table["settings"], table["anchors"]
    below = [""] * len(anchors)
    columns = [
        Column("n", "", [*(str(setting["n"]) for setting in settings), *below]),
        Column("failures", "", [*(_failures(setting) for setting in settings), *below]),
    ]
    for metric in table["metrics"]:
        name = metric["name"]
        cells = [_cell(setting, name, name == table["headline"]) for setting in settings]
        cells += ["-" if (value := anchor["values"].get(name)) is None else number(value) for anchor in anchors]
        best = frozenset(i for i, setting in enumerate(settings) if setting["best"][name])
        columns.append(Column(name, metric["aim"], cells, best))
    for cost, head in (("seconds", "seconds"), ("images_per_second", "images/s"), ("parameters", "parameters")):
        cells = ["-" if setting[cost] is None else number(setting[cost]) for setting in settings]
        columns.append(Column(head, "", [*cells, *below]))
    return Sheet(
        labels=[*(setting["label"] for setting in settings), *(anchor["name"] for anchor in anchors)],
        columns=columns,
        dim=frozenset(range(len(settings), len(settings) + len(anchors))),
        caption=[*table["caption"].split("\n"), *_shortfalls(table)],
        title=table["data"],
        rest=REST,
    )


def _parts(report: Mapping[str, Any]) -> Iterator[tuple[Sheet, list[str]]]:
    """The sheets, each with the lines that follow it."""
    for table in report["tables"]:
        yield sheet_of(table), []
        if "compare" in table:
            yield _comparison(table["compare"]), [table["compare"]["sentence"]]
    if report["normalised"]:
        yield _normalised(report["normalised"]["rows"]), []


def _cell(setting: Mapping[str, Any], name: str, is_headline: bool) -> str:
    mean, half_width = setting["mean"][name], setting["half_width"][name]
    if mean is None:
        return ("failed" if setting["failures"] else "unfinished") if is_headline else "-"
    text = number(mean) if half_width is None else with_error(mean, half_width)
    count = _count(setting, name)
    return marked(text, setting["kinds"].get(name)) + (f" (n = {count})" if count < setting["n"] else "")


def _count(setting: Mapping[str, Any], name: str) -> int:
    """How many of a setting's runs have this number."""
    return sum(value is not None for value in setting["values"][name])


def _failures(setting: Mapping[str, Any]) -> str:
    pruned = sum(failure["status"] == "pruned" for failure in setting["failures"])
    failed = len(setting["failures"]) - pruned
    return " + ".join([*([str(failed)] if failed or not pruned else []), *([f"{pruned} pruned"] if pruned else [])])


def _shortfalls(table: Mapping[str, Any]) -> list[str]:
    """Which runs are not in the means and why; runs with the same fate stand in one line."""
    fates: dict[tuple[str, str, str], list[int]] = {}
    for setting in table["settings"]:
        for failure in setting["failures"]:
            key = setting["label"], failure["status"], failure["reason"]
            fates.setdefault(key, []).append(failure["seed"])
    lines = []
    for (label, status, reason), seeds in fates.items():
        which = f"seed {seeds[0]}" if len(seeds) == 1 else f"seeds {', '.join(map(str, seeds))}"
        lines.append(f"{label}, {which} {status}: {reason}")
    waiting = [setting for setting in table["settings"] if setting["unfinished"]]
    if waiting:
        runs = sum(setting["unfinished"] for setting in waiting)
        named = ", ".join(f"{setting['unfinished']} of {setting['label']}" for setting in waiting[:MOST_NAMED])
        more = f" and {len(waiting) - MOST_NAMED} other settings" if len(waiting) > MOST_NAMED else ""
        lines.append(f"{runs} {'run is' if runs == 1 else 'runs are'} unfinished and not counted: {named}{more}.")
    return lines


def _comparison(found: Mapping[str, Any]) -> Sheet:
    rows = found["rows"]

    def column(head: str, key: str) -> Column:
        return Column(head, "", ["-" if row[key] is None else f"{row[key]:.2g}" for row in rows])

    differences = []
    for row in rows:
        value, half_width = row["difference"], row["half_width"]
        written = "-" if value is None else number(value) if half_width is None else with_error(value, half_width)
        differences.append(written)
    names = [row["metric"] + (f" ({row['of']})" if row["of"] else "") for row in rows]
    wins = [f"{row['a_wins']} of {len(row['seeds'])}" for row in rows]
    return Sheet(
        labels=names,
        columns=[
            Column("A - B", "", differences),
            Column("A wins", "", wins),
            column("paired p", "p"),
            column("Welch p", "welch_p"),
        ],
        caption=[
            f"A: {found['a_label']}",
            f"B: {found['b_label']}",
            "A - B: mean over the seeds that both have, ± the half-width of its 95 % Student interval.",
        ],
        title="comparison",
        rest="format=json",
    )


def _normalised(rows: Sequence[Mapping[str, Any]]) -> Sheet:
    data = list(rows[0]["by_data"])
    return Sheet(
        labels=[row["label"] for row in rows],
        columns=[
            Column("IQM", "↓ 0", ["failed" if row["iqm"] is None else number(row["iqm"]) for row in rows]),
            Column("n", "", [str(row["n"]) for row in rows]),
            Column("failures", "", [str(row["failures"]) for row in rows]),
            *(
                Column(name, "", ["-" if (v := row["by_data"][name]) is None else number(v) for row in rows])
                for name in data
            ),
        ],
        caption=[
            "Headlines on one scale: 0 is the perfect anchor, 1 the single Gaussian; "
            "interquartile mean over data sets and seeds, a failed run worse than all others."
        ],
        title="all data sets",
        rest="format=json",
    )


def _csv(rows: Sequence[Mapping[str, Any]]) -> str:
    names = dict.fromkeys(name for row in rows for name in row)
    out = io.StringIO()
    writer = csv.DictWriter(out, list(names), restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows({name: "" if value is None else value for name, value in row.items()} for row in rows)
    return out.getvalue()
