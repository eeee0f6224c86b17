"""One table of a report: the runs of one data set, grouped by setting, with intervals over the training seeds."""

import shlex
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from statistics import fmean
from typing import Any

from genexp.errors import UserError
from genexp.evaluation.anchors import ANCHORS
from genexp.evaluation.registry import MetricInfo, metric_info
from genexp.evaluation.scores import fingerprint_difference, finite_or_none, read_scores
from genexp.reporting.collect import ReportedRun, finite
from genexp.reporting.comparisons import all_pairs
from genexp.reporting.labels import Described, flattened, labels
from genexp.reporting.statistics import best_of_k_weights, not_separable_from_best, t_interval
from genexp.reporting.table import metrics_in_order

OWN_COLUMNS = ("params", "train_s")
"""Costs that a score repeats from the run's record; a table has columns of its own for them."""
EFFORTS = ("samples", "steps")
"""What a bound of the likelihood is the tighter for, in columns such as `bpd_samples`."""
MOST_BUDGETS = 200
"""So many points of the curve of budgets are worked out."""


def table_of(data: str, runs: Sequence[ReportedRun], wanted: Sequence[str] | None) -> dict[str, Any]:
    """The table of one data set.

    Arguments:
        data: its name.
        runs: its runs, at least one of them with a score.
        wanted: metrics to show beside the headline; None for all.

    Raises:
        UserError: if runs were scored differently, or a metric is unknown.
    """
    fingerprint = _common_fingerprint(data, runs)
    headline = str(fingerprint["headline"])
    infos = [metric_info(name, fingerprint) for name in _metric_names(runs, headline, wanted)]
    settings = _settings(runs, infos)
    return {
        "data": data,
        "headline": headline,
        "fingerprint": fingerprint,
        "caption": "",
        "metrics": [
            {"name": i.name, "better": i.better, "null": i.null, "aim": i.aim, "meaning": i.meaning} for i in infos
        ],
        "anchors": _anchors(runs, fingerprint, infos),
        "settings": settings,
        "comparisons": all_pairs(settings, infos[0]),
        "budget": _budget(runs, infos[0]),
    }


def group(runs: Sequence[ReportedRun]) -> dict[str, list[ReportedRun]]:
    """Runs by setting, in the order of their seeds."""
    settings: dict[str, list[ReportedRun]] = defaultdict(list)
    for run in sorted(runs, key=lambda run: (run.setting, run.seed)):
        settings[run.setting].append(run)
    return settings


def command_of(record: Mapping[str, Any], seeds: Sequence[int] | None = None) -> str:
    """What a person types to get a run again, or all seeds of its setting; empty for runs that did not record it.

    Arguments:
        record: of the run.
        seeds: of all runs of the setting; None for this run alone.
    """
    overrides = record.get("overrides")
    if not isinstance(overrides, list) or not overrides:
        return ""
    words = [str(word) for word in overrides]
    if seeds is not None:
        words = [word for word in words if not word.startswith("seed=")]
        in_a_row = list(seeds) == list(range(seeds[0], seeds[0] + len(seeds)))
        first = [f"seed={seeds[0]}"] if seeds[0] else []
        words += [*first, f"seeds={len(seeds)}"] if in_a_row else ["-m", f"seed={','.join(map(str, seeds))}"]
    own = record.get("config_dir")
    words += ["--config-dir", str(own)] if own else []
    return shlex.join(["genexp", "train", *words])


def described(run: ReportedRun) -> Described:
    """What a label of a run's setting may be made of."""
    overrides = run.record.get("overrides")
    choices = {str(key): str(value) for key, value in (run.record.get("choices") or {}).items()}
    return Described(
        run.setting, run.name, choices, overrides if isinstance(overrides, list) else [], flattened(run.config)
    )


def _common_fingerprint(data: str, runs: Sequence[ReportedRun]) -> dict[str, Any]:
    scored = [run for run in runs if run.fingerprint]
    first = scored[0]
    for run in scored[1:]:
        difference = fingerprint_difference(first.fingerprint, run.fingerprint)
        if difference is not None:
            raise UserError(
                f"{first.id} and {run.id} on {data} were scored differently ({difference}): "
                "for one table, evaluate them again with the same protocol, or give folders that agree."
            )
    if not first.headline:
        raise UserError(f"The score of {first.id} names no headline: evaluate it again with genexp evaluate.")
    return first.fingerprint


def _metric_names(runs: Sequence[ReportedRun], headline: str, wanted: Sequence[str] | None) -> list[str]:
    given = [name for run in runs for name, value in run.metrics.items() if isinstance(value, float)]
    known = [name for name in metrics_in_order([headline, *given], headline) if name not in OWN_COLUMNS]
    if wanted is None:
        return known
    return [headline, *(name for name in dict.fromkeys(wanted) if name in known and name != headline)]


def _anchors(
    runs: Sequence[ReportedRun], fingerprint: Mapping[str, Any], infos: Sequence[MetricInfo]
) -> list[dict[str, Any]]:
    """The anchor rows that were scored like the runs: of the first run whose anchors have most of the columns."""
    read = [found for run in runs if (found := read_scores(run.folder / "anchors.json"))]
    alike = [
        found
        for found in read
        if all(fingerprint_difference(row.fingerprint, fingerprint) is None for row in found.values())
    ]
    if not alike:
        return []
    found = max(alike, key=lambda rows: sum(i.name in row.metrics for row in rows.values() for i in infos))
    names = sorted(found, key=lambda name: (ANCHORS.index(name) if name in ANCHORS else len(ANCHORS), name))
    return [
        {"name": name, "values": {i.name: finite_or_none(found[name].metrics.get(i.name)) for i in infos}}
        for name in names
    ]


def _settings(runs: Sequence[ReportedRun], infos: Sequence[MetricInfo]) -> list[dict[str, Any]]:
    """The settings, the best mean of the headline first; those without a number last."""
    groups = list(group(runs).values())
    named = labels([described(of_setting[0]) for of_setting in groups])
    settings = [_setting(label, members, infos) for label, members in zip(named, groups, strict=True)]
    for info in infos:
        for setting, best in zip(settings, _best(settings, info), strict=True):
            setting["best"][info.name] = best
    head = infos[0]

    def rank(setting: Mapping[str, Any]) -> tuple[bool, float, int, str]:
        losses = [head.loss(value) for value in setting["values"][head.name] if value is not None]
        return not losses, fmean(losses) if losses else 0.0, len(setting["failures"]), setting["label"]

    return sorted(settings, key=rank)


def _setting(label: str, runs: Sequence[ReportedRun], infos: Sequence[MetricInfo]) -> dict[str, Any]:
    ended = [run for run in runs if not run.unfinished]
    good = [run for run in ended if run.finished]
    values = {i.name: [finite(run.metrics.get(i.name)) if run.finished else None for run in ended] for i in infos}
    means, half_widths = {}, {}
    for name, column in values.items():
        numbers = [value for value in column if value is not None]
        mean, half_width = t_interval(numbers) if numbers else (None, None)
        means[name], half_widths[name] = mean, half_width if len(numbers) > 1 else None
    kinds = {i.name: kind for i in infos if (kind := _kind(good, i.name)) is not None}
    return {
        "id": runs[0].setting,
        "label": label,
        "command": command_of(runs[0].record, [run.seed for run in runs]),
        "seeds": [run.seed for run in ended],
        "n": len(good),
        "failures": [
            {"seed": run.seed, "status": run.status, "reason": run.reason, "run": run.id}
            for run in ended
            if not run.finished
        ],
        "unfinished": len(runs) - len(ended),
        "values": values,
        "mean": means,
        "half_width": half_widths,
        "best": {},
        "kinds": kinds,
        "efforts": {i.name: effort for i in infos if (effort := _effort(good, i.name))},
        "bpd_kind": kinds.get("bpd"),
        "seconds": _mean([finite(run.record.get("seconds")) for run in good]),
        "cpu_seconds": _mean([finite(run.record.get("cpu_seconds")) for run in good]),
        "images_per_second": _mean([run.images_per_second for run in good]),
        "parameters": next((total for run in runs if (total := _parameters(run)) is not None), None),
        "runs": [run.id for run in ended],
    }


def _kind(runs: Sequence[ReportedRun], name: str) -> str | None:
    """Which kind of number a metric is, such as `exact` or `lower bound`; None where there is no such difference."""
    kinds = {str(kind) for run in runs if (kind := run.metrics.get(f"{name}_kind")) not in (None, "none")}
    return " and ".join(sorted(kinds)) or None


def _effort(runs: Sequence[ReportedRun], name: str) -> list[str]:
    """With how many samples or steps a bound of a metric was made, as `samples=16`, without repeats."""
    given = {f"{what}={run.metrics[f'{name}_{what}']:g}" for run in runs for what in EFFORTS if _known(run, name, what)}
    return sorted(given)


def _known(run: ReportedRun, name: str, what: str) -> bool:
    return isinstance(run.metrics.get(f"{name}_{what}"), float)


def _parameters(run: ReportedRun) -> int | None:
    parameters = run.record.get("parameters")
    total = parameters.get("total") if isinstance(parameters, dict) else None
    return int(total) if isinstance(total, (int, float)) else None


def _mean(values: Sequence[float | None]) -> float | None:
    numbers = [value for value in values if value is not None]
    return fmean(numbers) if numbers else None


def _best(settings: Sequence[Mapping[str, Any]], info: MetricInfo) -> list[bool]:
    """Which settings cannot be told from the best; none where there is no better, or where bounds meet exact values.

    A setting of which a finished run has no such number is not compared: what is missing is no advantage.
    """
    measured = [setting for setting in settings if setting["mean"][info.name] is not None]
    kinds = {setting["kinds"].get(info.name) for setting in measured}
    efforts = {effort for setting in measured for effort in setting["efforts"].get(info.name, [])}
    if info.better == "none" or len(kinds) > 1 or any(_differ(efforts, what) for what in EFFORTS):
        return [False] * len(settings)
    losses = [[info.loss(value) for value in setting["values"][info.name] if value is not None] for setting in settings]
    return not_separable_from_best(
        [column if len(column) == setting["n"] else [] for column, setting in zip(losses, settings, strict=True)]
    )


def _differ(efforts: Collection[str], what: str) -> bool:
    return sum(effort.startswith(f"{what}=") for effort in efforts) > 1


def _budget(runs: Sequence[ReportedRun], info: MetricInfo) -> dict[str, Any]:
    """What the best of k runs is expected to read, were they drawn at random from all that have ended.

    A run that failed costs its time and counts as the worst number that there is.
    """
    ended = [run for run in runs if not run.unfinished]
    numbers = sorted((run.metrics[info.name] for run in ended if run.finished), key=info.loss)
    failures = len(ended) - len(numbers)
    if not numbers:
        return {"metric": info.name, "failures": failures, "points": []}
    ordered = [*numbers, *numbers[-1:] * failures]
    n = len(ordered)
    cost = _mean([finite(run.record.get("cpu_seconds")) for run in ended])
    every = sorted({round(1 + i * (n - 1) / max(1, min(n, MOST_BUDGETS) - 1)) for i in range(min(n, MOST_BUDGETS))})
    points = [
        {
            "k": k,
            "expected": float(best_of_k_weights(n, k) @ ordered),
            "cpu_seconds": None if cost is None else k * cost,
        }
        for k in every
    ]
    return {"metric": info.name, "failures": failures, "points": points}
