"""Two settings beside each other: pairs over the seeds that both have, tests, and what may be said of them."""

from collections.abc import Mapping, Sequence
from typing import Any

from genexp.evaluation.registry import MetricInfo, metric_info
from genexp.reporting.numbers import number
from genexp.reporting.statistics import paired_t, t_interval, welch_t

ALPHA = 0.05
MOST_COPIES = 0.02
"""An interval of `copy_rate` that exceeds this is taken for memory of the training set."""
GUARDS = ("coverage", "recall")
DECISIVE = (*GUARDS, "copy_rate")
"""What a verdict on two settings reads beside the headline."""
"""Metrics that a better setting must not pay with."""
MOST_COMPARED = 30
"""So many of a table's settings, the best ones, are compared with each other."""


def all_pairs(settings: Sequence[Mapping[str, Any]], info: MetricInfo) -> list[dict[str, Any]]:
    """The comparisons of all pairs of settings in one metric.

    Arguments:
        settings: of a table, the best first.
        info: the metric.
    """
    compared = settings[:MOST_COMPARED]
    return [compare(a, b, info) for i, a in enumerate(compared) for b in compared[i + 1 :]]


def compare(a: Mapping[str, Any], b: Mapping[str, Any], info: MetricInfo) -> dict[str, Any]:
    """Compare two settings in one metric.

    Of a metric that has a target, distances to it are compared: `of` says so.

    Arguments:
        a: a setting of a table.
        b: another.
        info: the metric.

    Returns:
        The shared seeds, the mean of a - b over them with the half-width of its interval and the paired p-value, the
        p-value of Welch's test over all runs of both, and how often a won; None where there are too few runs.
    """
    first, second = by_seed(a, info), by_seed(b, info)
    seeds = sorted(first.keys() & second.keys())
    pairs = [(first[seed], second[seed]) for seed in seeds]
    difference: float | None = None
    half_width: float | None = None
    p: float | None = None
    if len(pairs) > 1:
        difference, half_width, p = paired_t([x for x, _ in pairs], [y for _, y in pairs])
    elif pairs:
        difference = pairs[0][0] - pairs[0][1]
    testable = len(first) > 1 and len(second) > 1
    higher = info.better == "higher"
    return {
        "metric": info.name,
        "a": a["id"],
        "b": b["id"],
        "of": f"distance to {info.null:g}" if info.better == "target" and info.null is not None else None,
        "seeds": seeds,
        "difference": difference,
        "half_width": half_width,
        "p": p,
        "welch_p": welch_t(list(first.values()), list(second.values())) if testable else None,
        "a_wins": sum(x > y if higher else x < y for x, y in pairs),
    }


def by_seed(setting: Mapping[str, Any], info: MetricInfo) -> dict[int, float]:
    """The values of a metric that are numbers, by training seed; distances to the target where there is one."""
    values = zip(setting["seeds"], setting["values"].get(info.name, []), strict=False)
    target = info.better == "target"
    return {seed: info.loss(value) if target else value for seed, value in values if value is not None}


def judgement(
    a: Mapping[str, Any], b: Mapping[str, Any], headline: str, fingerprint: Mapping[str, Any]
) -> dict[str, Any]:
    """A pair in every metric that decides, and one sentence.

    a is better than b if the headline is significantly better by Welch's test, neither coverage nor recall is
    significantly worse, and the interval of the copy rate does not exceed 0.02; or the other way round. Otherwise the
    two are not separable at this budget.

    Arguments:
        a: a setting of a table.
        b: another.
        headline: the metric that ranks.
        fingerprint: the table's.
    """
    names = [name for name in (headline, *DECISIVE) if name in a["values"] and name in b["values"]]
    rows = [compare(a, b, metric_info(name, fingerprint)) for name in dict.fromkeys(names)]
    return {
        "a": a["id"],
        "b": b["id"],
        "a_label": a["label"],
        "b_label": b["label"],
        "rows": rows,
        "sentence": _sentence(a, b, rows, metric_info(headline, fingerprint)),
    }


def _sentence(a: Mapping[str, Any], b: Mapping[str, Any], rows: Sequence[dict[str, Any]], info: MetricInfo) -> str:
    head = rows[0]
    if head["welch_p"] is None:
        return "Not separable at this budget: a test needs at least two finished runs of each."
    p = f"Welch p = {head['welch_p']:.2g}"
    if head["welch_p"] >= ALPHA:
        return f"Not separable at this budget: {info.name} does not differ significantly ({p})."
    better, worse = (a, b) if _mean_loss(a, info) < _mean_loss(b, info) else (b, a)
    objections = _objections(better, worse, rows)
    if objections:
        return (
            f"Not separable at this budget: {better['label']} has the better {info.name} ({p}), "
            f"but {' and '.join(objections)}."
        )
    means = f"{number(better['mean'][info.name])} against {number(worse['mean'][info.name])}"
    failed = len(better["failures"])
    caution = f" It failed in {failed} of {failed + better['n']} runs, which this does not count." if failed else ""
    return f"{better['label']} is better than {worse['label']}: {info.name} {means} ({p}).{caution}"


def _objections(better: Mapping[str, Any], worse: Mapping[str, Any], rows: Sequence[dict[str, Any]]) -> list[str]:
    found = []
    for row in rows[1:]:
        name = row["metric"]
        significant = row["welch_p"] is not None and row["welch_p"] < ALPHA
        if name in GUARDS and significant and better["mean"][name] < worse["mean"][name]:
            found.append(f"its {name} is significantly worse (Welch p = {row['welch_p']:.2g})")
        if name == "copy_rate":
            values = [value for value in better["values"][name] if value is not None]
            if len(values) > 1 and sum(t_interval(values)) > MOST_COPIES:
                found.append(f"the interval of its copy_rate exceeds {MOST_COPIES}")
    return found


def _mean_loss(setting: Mapping[str, Any], info: MetricInfo) -> float:
    losses = [info.loss(value) for value in setting["values"][info.name] if value is not None]
    return sum(losses) / len(losses)
