"""The settings of a sweep in the order of their validation scores.

A setting is everything in a config but the seed. It is judged by the mean over its seeds of the last score that the
training wrote, and not at all if one of its seeds came to nothing: the mean of those that went well would flatter it.
"""

import math
import shlex
import sys
from collections import Counter, defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from genexp.errors import UserError
from genexp.evaluation.registry import metric_info
from genexp.runs import Run, all_runs
from genexp.sweeping.validation import Curve, ranking_metric
from genexp.yaml_blocks import load_mapping

RECORDED, CONFIGURED = {"choices", "setting", "seed", "status"}, {"dataset", "evaluation"}
"""What a run has to say to be compared, in `run.json` and in `config.yaml`."""
WHERE = ("cache_dir", "num_workers")
"""Keys of a data set and of its evaluation that change no score."""


@dataclass(frozen=True)
class Setting:
    """One setting whose seeds are complete.

    Attributes:
        label: the overrides that not all settings share.
        seeds: of its complete runs.
        scores: theirs, in the same order.
        command: what gets these runs again.
    """

    label: str
    seeds: list[int]
    scores: list[float]
    command: str


@dataclass(frozen=True)
class Ranking:
    """The settings on one data set.

    Attributes:
        data: its option.
        metric: what they are compared by.
        aim: which way is better, as `↓ 0`.
        settings: the best first.
        left_out: how many settings are not compared, and why.
    """

    data: str
    metric: str
    aim: str
    settings: list[Setting]
    left_out: list[str]


@dataclass(frozen=True)
class _Member:
    run: Run
    record: dict[str, Any]
    config: dict[str, Any]
    curve: Curve


def ranked(folder: Path, wanted: str | None = None) -> list[Ranking]:
    """Rank the settings of the runs below `folder`, each data set by itself.

    Arguments:
        folder: of a sweep.
        wanted: the metric; None for the data set's own.

    Raises:
        UserError: if there is nothing to compare, or scores were made in different ways.
    """
    data_sets: dict[str, list[_Member]] = defaultdict(list)
    for run in all_runs(folder):
        record, config = run.record, load_mapping(run.folder / "config.yaml")
        if not (record.keys() >= RECORDED and config.keys() >= CONFIGURED):
            print(f"genexp: {run.folder} is damaged and left out", file=sys.stderr)
            continue
        data_sets[str(record["choices"].get("dataset", ""))].append(_Member(run, record, config, Curve(run)))
    found = [_rank(data, members, wanted) for data, members in data_sets.items()]
    rankings = [ranking for ranking in found if ranking is not None]
    if not rankings:
        raise UserError(f"{folder} has no complete run with a validation score: wait for one, or check score_every.")
    return rankings


def _rank(data: str, members: list[_Member], wanted: str | None) -> Ranking | None:
    protocols = {_protocol(member) for member in members}
    if len(protocols) > 1:
        raise UserError(f"The runs on {data} were scored in {len(protocols)} ways: compare those of one way only.")
    scored = next((member.curve.columns for member in members if ranking_metric(member.curve.columns)), [])
    metric = ranking_metric(scored, wanted)
    if metric is None:
        return None
    settings: dict[str, list[_Member]] = defaultdict(list)
    for member in sorted(members, key=lambda member: int(member.record["seed"])):
        settings[member.record["setting"]].append(member)
    shared = _shared(list(settings.values()))
    complete: list[Setting] = []
    out: Counter[str] = Counter()
    for runs in settings.values():
        reason = _reason_to_leave_out(runs, metric)
        if reason is None:
            complete.append(_setting(runs, metric, shared))
        else:
            out[reason] += 1
    if not complete:
        return None
    info = metric_info(metric)
    complete.sort(key=lambda setting: math.fsum(map(info.loss, setting.scores)) / len(setting.scores))
    return Ranking(data, metric, info.aim, complete, [f"{n} {reason}" for reason, n in out.items()])


def _reason_to_leave_out(runs: list[_Member], metric: str) -> str | None:
    statuses = [member.record["status"] for member in runs]
    for status in ("diverged", "failed", "pruned"):
        if status in statuses:
            return status if len(runs) == 1 else f"with a seed that {'was ' * (status == 'pruned')}{status}"
    if any(status != "complete" for status in statuses):
        return "not finished"
    return "whose last score is not a number" if any(member.curve.last(metric) is None for member in runs) else None


def _setting(runs: list[_Member], metric: str, shared: set[str]) -> Setting:
    overrides = _overrides(runs[0])
    seeds = [int(member.record["seed"]) for member in runs]
    label = " ".join(word for word in overrides if word not in shared) or str(runs[0].record["name"])
    scores = [float(member.curve.last(metric) or 0.0) for member in runs]
    return Setting(label, seeds, scores, _command(runs[0], overrides, seeds))


def _command(member: _Member, overrides: list[str], seeds: list[int]) -> str:
    words = ["genexp", "train", *overrides, f"seed={seeds[0]}"]
    if len(seeds) > 1 and seeds == list(range(seeds[0], seeds[0] + len(seeds))):
        words.append(f"seeds={len(seeds)}")
    elif len(seeds) > 1:
        words[2:2] = ["-m"]
        words[-1] = f"seed={','.join(map(str, seeds))}"
    where = member.record.get("config_dir")
    return shlex.join([*words, *(["--config-dir", where] if where else [])])


def _overrides(member: _Member) -> list[str]:
    """What a person gave, without the seed."""
    return [word for word in member.record.get("overrides") or [] if word.split("=")[0].lstrip("+") != "seed"]


def _shared(settings: list[list[_Member]]) -> set[str]:
    """The overrides that every setting has."""
    words = [set(_overrides(runs[0])) for runs in settings]
    return set.intersection(*words) if len(words) > 1 else set()


def _protocol(member: _Member) -> str:
    """What makes two scores comparable: the data and how they are evaluated, but not where anything is kept."""
    parts = (member.config["dataset"], member.config["evaluation"])
    return repr([sorted((key, str(value)) for key, value in part.items() if key not in WHERE) for part in parts])
