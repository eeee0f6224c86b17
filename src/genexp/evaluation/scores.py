"""A score: numbers, their errors, and the fingerprint that says what they may be compared with."""

import dataclasses
import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from genexp import atomic


@dataclass
class Scores:
    """What the scorer says of one generator.

    Attributes:
        metrics: each a mean over the draws; None where a number is not defined or not finite.
        errors: standard errors of some of them: from a jackknife over the samples for the headline, from the
            scatter of the draws for the others.
        fingerprint: everything that the numbers depend on apart from the samples.
        failure: why there are no numbers; None if there are.
        seconds: wall time of the scoring.
    """

    metrics: dict[str, float | None]
    errors: dict[str, float] = field(default_factory=dict)
    fingerprint: dict[str, Any] = field(default_factory=dict)
    failure: str | None = None
    seconds: float = 0.0

    def with_columns(self, **columns: float | None) -> "Scores":
        """The same score with more numbers, for instance `bpd`, `params` or `train_s`."""
        return dataclasses.replace(self, metrics={**self.metrics, **columns})

    def to_json(self) -> dict[str, Any]:
        """Plain values for standard JSON, which has no NaN: numbers that are not finite become None."""
        plain = dataclasses.asdict(self)
        return {**plain, "metrics": {name: finite_or_none(value) for name, value in self.metrics.items()}}

    @classmethod
    def from_json(cls, row: Mapping[str, Any]) -> "Scores":
        """The score in a row that `to_json` wrote, perhaps among keys of others.

        Raises:
            ValueError: if there are no metrics in it.
        """
        if not isinstance(row.get("metrics"), dict):
            raise ValueError("not a score: it has no metrics")
        known = {item.name for item in dataclasses.fields(cls)}
        return cls(**{name: value for name, value in row.items() if name in known})


def fingerprint_id(fingerprint: Mapping[str, Any]) -> str:
    """A short hash of a fingerprint, 12 hex digits: equal fingerprints and only those have equal hashes."""
    canonical = json.dumps(fingerprint, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()[:12]


def fingerprint_difference(a: Mapping[str, Any], b: Mapping[str, Any]) -> str | None:
    """What two fingerprints differ in, as `draws: 4 and 2`; None if they are equal."""
    absent = "nothing"
    different = [key for key in sorted({*a, *b}) if a.get(key, absent) != b.get(key, absent)]
    if not different:
        return None
    return ", ".join(f"{key}: {a.get(key, absent)} and {b.get(key, absent)}" for key in different)


def finite_or_none(value: Any) -> Any:
    """None for NaN and infinity; anything else as it is."""
    return None if isinstance(value, float) and not math.isfinite(value) else value


def read_scores(path: Path | None) -> dict[str, Scores] | None:
    """Named scores from a JSON file; None if there is no file or it is damaged."""
    if path is None or not path.is_file():
        return None
    try:
        return {name: Scores.from_json(row) for name, row in json.loads(path.read_text()).items()}
    except (ValueError, TypeError, AttributeError):
        return None


def write_scores(scores: Mapping[str, Scores], path: Path | None) -> None:
    """Write named scores to a JSON file, atomically; None writes nothing."""
    if path is None:
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    rows = {name: row.to_json() for name, row in scores.items()}
    atomic.write_text(path, json.dumps(rows, indent=1, allow_nan=False) + "\n")
