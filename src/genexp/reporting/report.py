"""A report on the runs below some folders, as plain values: what every format of `genexp report` is made of."""

import json
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from statistics import fmean
from typing import Any

from genexp import config as configs
from genexp.errors import UserError
from genexp.evaluation.registry import metric_info
from genexp.reporting.aggregate import command_of, group, table_of
from genexp.reporting.collect import ReportedRun, collect, finite
from genexp.reporting.comparisons import DECISIVE, MOST_COMPARED, judgement
from genexp.reporting.figures import Album, curves, no_pictures, points_per_run
from genexp.reporting.labels import flattened
from genexp.reporting.statistics import iqm
from genexp.reporting.table import scored_line
from genexp.storage import places

BASELINE = "gaussian"
"""The anchor that reads 1 in a normalised score; the perfect one reads 0."""


def build_report(
    folders: Sequence[Path],
    *,
    metrics: Sequence[str] | None = None,
    compare: str | None = None,
    title: str | None = None,
    figures: bool = False,
) -> dict[str, Any]:
    """Read the runs below some folders and put them into tables, one for each data set.

    Arguments:
        folders: of sweeps, of runs, or of anything that holds runs.
        metrics: to show beside the headline; None for all.
        compare: two settings to compare, `A,B`: labels, parts of labels, or beginnings of hashes.
        title: None for the folders' names.
        figures: whether each run's curves and pictures are read.

    Returns:
        Plain values without NaN, as `genexp report format=json` writes them.

    Raises:
        UserError: if there is nothing to report, runs of one data set were scored differently, or a metric or a
            setting is not there.
    """
    collection = collect(folders)
    by_data, unscored = _by_data(collection.runs)
    if not by_data:
        raise UserError(f"No run in {', '.join(map(str, folders))} has a score yet: {_counts(collection.runs)}.")
    _refuse_unknown(metrics, collection.runs)
    shown = metrics if metrics is None or compare is None else [*metrics, *DECISIVE]  # a verdict needs them all
    tables = [table_of(data, runs, shown) for data, runs in sorted(by_data.items())]
    for table in tables:
        table["caption"] = "\n".join(_caption(table, by_data[table["data"]]))
    if compare is not None:
        _add_comparison(tables, compare)
    runs, notes = _runs(by_data, tables, figures)
    commits = {run.record.get("commit") for run in collection.runs}
    names = dict.fromkeys(folder.resolve().name for folder in folders)
    return {
        "title": title or ", ".join(names),
        "created": datetime.now().astimezone().isoformat(timespec="seconds"),
        "commit": commits.pop() if len(commits) == 1 else None,
        "dirs": sorted(places.shown(folder) for folder in folders),
        "notes": [*collection.notes, *unscored, *notes],
        "tables": tables,
        "normalised": normalised(tables),
        "configs": _configs(collection.runs),
        "runs": runs,
    }


def normalised(tables: Sequence[Mapping[str, Any]]) -> dict[str, Any] | None:
    """Headlines of several data sets on one scale: 0 for the perfect anchor, 1 for the single Gaussian.

    Only settings that are called the same in every table are there. The interquartile mean is over data sets and
    seeds; a failed run is worse than all others, so that with many of them there is none.

    Arguments:
        tables: of a report.
    """
    scales = {table["data"]: scale for table in tables if (scale := _scale(table)) is not None}
    if len(scales) < 2 or len(scales) < len(tables):
        return None
    named = [{setting["label"]: setting for setting in table["settings"]} for table in tables]
    rows = []
    for label in named[0]:
        if not all(label in settings for settings in named):
            continue
        by_data: dict[str, list[float | None]] = {}
        for table, settings in zip(tables, named, strict=True):
            perfect, baseline = scales[table["data"]]
            values = settings[label]["values"][table["headline"]]
            target = metric_info(table["headline"], table["fingerprint"]).better == "target"
            distances = [None if v is None else (v - perfect) / (baseline - perfect) for v in values]
            by_data[table["data"]] = [abs(d) if target and d is not None else d for d in distances]
        rows.append(_normalised_row(label, by_data))
    rows.sort(key=lambda row: (row["iqm"] is None, row["iqm"] or 0.0, row["label"]))
    return {"rows": rows} if rows else None


def _normalised_row(label: str, by_data: Mapping[str, Sequence[float | None]]) -> dict[str, Any]:
    values = [value for column in by_data.values() for value in column]
    numbers = [value for value in values if value is not None]
    failures = len(values) - len(numbers)
    trimmed = len(values) // 4  # where the mean leaves that many out, it does not matter how bad they are
    mean = iqm([*numbers, *[max(numbers)] * failures]) if numbers and failures <= trimmed else None
    means = {data: [value for value in column if value is not None] for data, column in by_data.items()}
    return {
        "label": label,
        "iqm": mean,
        "n": len(numbers),
        "failures": failures,
        "by_data": {data: fmean(column) if column else None for data, column in means.items()},
    }


def _scale(table: Mapping[str, Any]) -> tuple[float, float] | None:
    """What the perfect anchor and the single Gaussian read; None if they are missing or equal."""
    anchors = {anchor["name"]: finite(anchor["values"].get(table["headline"])) for anchor in table["anchors"]}
    perfect, baseline = anchors.get("perfect"), anchors.get(BASELINE)
    return None if perfect is None or baseline is None or perfect == baseline else (perfect, baseline)


def _by_data(runs: Sequence[ReportedRun]) -> tuple[dict[str, list[ReportedRun]], list[str]]:
    """Runs by data set, and a note on those of data sets of which no run has a score.

    A run without a score belongs to the data set of the runs with the same dataset in the config.
    """
    names: dict[str, str] = {}
    for run in runs:
        if run.fingerprint:
            names.setdefault(_dataset(run), str(run.fingerprint.get("data")))
    known: dict[str, list[ReportedRun]] = defaultdict(list)
    others: dict[str, list[ReportedRun]] = defaultdict(list)
    for run in runs:
        data = str(run.fingerprint.get("data")) if run.fingerprint else names.get(_dataset(run))
        if data is None:
            others[str((run.record.get("choices") or {}).get("dataset", "an unknown data set"))].append(run)
        else:
            known[data].append(run)
    return known, [f"{data} is not shown: none of its runs has a score ({_counts(of)})." for data, of in others.items()]


def _dataset(run: ReportedRun) -> str:
    return json.dumps(run.config.get("dataset"), sort_keys=True, default=str)


def _counts(runs: Sequence[ReportedRun]) -> str:
    return ", ".join(f"{count} {status}" for status, count in sorted(Counter(run.status for run in runs).items()))


def _refuse_unknown(wanted: Sequence[str] | None, runs: Sequence[ReportedRun]) -> None:
    known = {name for run in runs for name, value in run.metrics.items() if not isinstance(value, str)}
    for name in wanted or []:
        if name not in known:
            raise UserError(f"There is no metric {name} in these runs: they have {', '.join(sorted(known))}.")


def _caption(table: Mapping[str, Any], runs: Sequence[ReportedRun]) -> list[str]:
    """How to read a table, line by line."""
    settings = table["settings"]
    lines = [scored_line(table["fingerprint"])]
    counts = [setting["n"] for setting in settings]
    if max(counts) > 1:
        lines.append("± is the half-width of the 95 % Student interval of the mean over training seeds.")
    if 1 in counts:
        lines.append("One run says nothing about spread: settings with one have no interval and are never bold.")
    if any(any(setting["best"].values()) for setting in settings):
        lines.append("Bold: not separable from the best of the column (Welch t, Holm, level 0.05).")
    for metric in table["metrics"]:
        kinds = {setting["kinds"].get(metric["name"]) for setting in settings} - {None}
        if len(kinds) > 1:
            lines.append(f"{metric['name']}: exact values and bounds are not compared, so nothing is bold there.")
        efforts = sorted({effort for setting in settings for effort in setting["efforts"].get(metric["name"], [])})
        if len(efforts) > 1:
            lines.append(f"{metric['name']}: bounds were made with {', '.join(efforts)}, and are not compared.")
    lines += [f"The runs differ in {what}." for what in _provenance(runs)]
    if len(settings) > MOST_COMPARED:
        lines.append(f"Pairs are compared among the best {MOST_COMPARED} settings alone.")
    return lines


def _provenance(runs: Sequence[ReportedRun]) -> list[str]:
    """In what the circumstances of runs differ, as `commit (a, b)`."""
    found: dict[str, set[str]] = defaultdict(set)
    for run in runs:
        found["commit"].add(str(run.record.get("commit")))
        found["machine"].add(str(run.record.get("machine")))
        if run.row is not None:
            found["scored weights"].add(str(run.row.get("weights")))
        for package, version in (run.record.get("versions") or {}).items():
            found[f"version of {package}"].add(str(version))
    return [f"{what} ({', '.join(sorted(values))})" for what, values in found.items() if len(values) > 1]


def _add_comparison(tables: Sequence[dict[str, Any]], wanted: str) -> None:
    """Compare two settings in each table that has both.

    Raises:
        UserError: if no table has.
    """
    words = wanted.split(",")
    for table in tables:
        for i in range(1, len(words)):  # a label may hold commas
            pair = [_named(table, ",".join(part).strip()) for part in (words[:i], words[i:])]
            if pair[0] is not None and pair[1] is not None and pair[0] is not pair[1]:
                table["compare"] = judgement(pair[0], pair[1], table["headline"], table["fingerprint"])
    if not any("compare" in table for table in tables):
        known = dict.fromkeys(setting["label"] for table in tables for setting in table["settings"])
        raise UserError(f"compare={wanted} does not name two settings: give two of {'; '.join(known)}.")


def _named(table: Mapping[str, Any], name: str) -> dict[str, Any] | None:
    """The setting of that label, of which the hash begins so, or the only one whose label has these words."""
    settings: list[dict[str, Any]] = table["settings"]
    for fits in (
        lambda setting: setting["label"] == name,
        lambda setting: len(name) >= 4 and setting["id"].startswith(name),
        lambda setting: set(name.split()) <= {*setting["label"].split(), *_values(setting["label"])},
    ):
        found = [setting for setting in settings if fits(setting)]
        if name and len(found) == 1:
            return found[0]
    return None


def _values(label: str) -> list[str]:
    return [word.partition("=")[2] for word in label.split()]


def _runs(
    by_data: Mapping[str, Sequence[ReportedRun]], tables: Sequence[Mapping[str, Any]], figures: bool
) -> tuple[dict[str, Any], list[str]]:
    """Every run by its id, and notes on what is not shown."""
    shown = {_first(of_setting).id for runs in by_data.values() for of_setting in group(runs).values()}
    album = Album(len(shown))
    points = points_per_run(sum(map(len, by_data.values())))
    found = {}
    for table in tables:
        rank = {setting["id"]: place for place, setting in enumerate(table["settings"])}
        for run in sorted(by_data[table["data"]], key=lambda run: (rank[run.setting], run.seed)):
            found[run.id] = {
                "folder": places.shown(run.folder),
                "name": run.name,
                "seed": run.seed,
                "setting": run.setting,
                "status": run.status,
                "reason": run.reason,
                "step": run.record.get("step"),
                "seconds": finite(run.record.get("seconds")),
                "commit": run.record.get("commit"),
                "command": command_of(run.record),
                "curves": curves(run, points) if figures else {},
                **(album.of(run) if figures and run.id in shown else no_pictures()),
            }
    return found, album.notes()


def _first(runs: Sequence[ReportedRun]) -> ReportedRun:
    """The run of a setting whose pictures are shown: its first seed that has ended well."""
    return next((run for run in runs if run.finished), runs[0])


def _configs(runs: Sequence[ReportedRun]) -> dict[str, Any]:
    """What each setting computes, by its hash: the runs of one have the same config but for the seed."""
    known = {run.setting: run.config for run in reversed(runs) if run.config}
    return {
        setting: _computed(known[setting]) for setting in dict.fromkeys(run.setting for run in runs) if setting in known
    }


def _computed(config: Mapping[str, Any]) -> dict[str, Any]:
    """What a config says of the computation; where folders and caches are is a machine's own affair."""
    left_out = {*configs.NOT_IDENTITY, *configs.NOT_IDENTITY_ANYWHERE, "seed"}
    kept = {key: value for key, value in config.items() if key not in left_out}
    return {
        key: value
        for key, value in flattened(kept).items()
        if key.rpartition(".")[2] not in configs.NOT_IDENTITY_ANYWHERE
    }
