"""What a page shows of a run beside numbers: its curves, thinned, and its pictures, made small."""

import base64
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from genexp.reporting.collect import ReportedRun, finite
from genexp.training.metrics_file import MetricsFile

SHOWN = ("fast/", "loss/")
"""Columns of `metrics.csv` that become curves."""
MOST_POINTS = 200
FEWEST_POINTS = 10
POINTS_OF_ALL = 20_000
"""So many points of all runs together, so that a page of many runs stays small."""
DIGITS = 5
MOST_STEPS = 12
PICTURES_OF_ALL = 160
"""So many pictures of steps in a page; each costs about 10 ms and some kB."""
MOST_RUNS = 100
"""So many runs have pictures in a page; nobody looks at more."""
SMALL = 12_000
"""A picture of fewer bytes is embedded as it is."""
SIDE = 320
"""Larger pictures are made this small, in pixels."""
BYTES_OF_ALL = 10_000_000
"""So many bytes of pictures in a page; base64 makes them a third more."""


def curves(run: ReportedRun, most: int = MOST_POINTS) -> dict[str, list[float | None]]:
    """The fast scores and the losses against the steps; rows with a score are kept before others.

    Arguments:
        run: the run.
        most: points at most.
    """
    try:
        rows = MetricsFile(run.folder / "metrics.csv").rows()
        columns = [name for name in (rows[0] if rows else {}) if name and name.startswith(SHOWN)]
        scored = [i for i, row in enumerate(rows) if any(row[name] for name in columns if name.startswith("fast/"))]
        kept = set(_evenly(scored, most // 2 if len(rows) > most else len(rows)))
        others = [i for i in range(len(rows)) if i not in kept]
        chosen = [rows[i] for i in sorted(kept | set(_evenly(others, most - len(kept))))]
        found: dict[str, list[float | None]] = {"step": [int(row["step"]) for row in chosen]}
        for name in columns:
            found[name] = [_rounded(row.get(name)) for row in chosen]
        return {name: column for name, column in found.items() if any(value is not None for value in column)}
    except (OSError, ValueError, KeyError, UnicodeDecodeError):
        return {}


def points_per_run(runs: int) -> int:
    """How many points of each curve are kept in a page of so many runs."""
    return max(FEWEST_POINTS, min(MOST_POINTS, POINTS_OF_ALL // max(1, runs)))


class Album:
    """Pictures of some runs, at most so many and so large; who asks first is shown.

    Arguments:
        runs: how many runs will be asked for.
    """

    def __init__(self, runs: int) -> None:
        self.steps = max(3, min(MOST_STEPS, PICTURES_OF_ALL // max(1, runs)))
        self.room = BYTES_OF_ALL
        self.shown = self.left_out = 0

    def of(self, run: ReportedRun) -> dict[str, Any]:
        """`pictures` (step and src), `final` and `nearest` of a run, as a report has them."""
        samples = run.folder / "samples"
        final = sorted(samples.glob("final-*.png"))  # ema before raw
        steps = _steps(samples)
        if self.shown == MOST_RUNS:
            self.left_out += len(steps) + len(final)
            return no_pictures()
        self.shown += 1
        chosen = _evenly(sorted(steps), self.steps)
        self.left_out += len(steps) - len(chosen)
        return {
            "final": self._source(final[0]) if final else None,
            "nearest": self._source(samples / "nearest.png"),
            "pictures": [{"step": step, "src": src} for step in chosen if (src := self._source(steps[step]))],
        }

    def _source(self, path: Path) -> str | None:
        """A PNG as a data URI; None if there is none, it is damaged, or the page is full."""
        if not path.is_file():
            return None
        png = _small(path)
        if png is None or len(png) > self.room:
            self.left_out += 1
            return None
        self.room -= len(png)
        return f"data:image/png;base64,{base64.b64encode(png).decode()}"

    def notes(self) -> list[str]:
        """What is not shown."""
        if not self.left_out:
            return []
        return [f"{self.left_out} pictures are left out so that the page stays small: they are in the runs' samples/."]


def no_pictures() -> dict[str, Any]:
    """What a run has whose pictures are not shown."""
    return {"final": None, "nearest": None, "pictures": []}


def _steps(samples: Path) -> Mapping[int, Path]:
    found = {}
    for path in samples.glob("step-*.png"):
        number = path.stem.removeprefix("step-")
        if number.isdigit():
            found[int(number)] = path
    return found


def _small(path: Path) -> bytes | None:
    """A picture with few colours and few pixels; as it is where it is small already."""
    from PIL import Image

    try:
        content = path.read_bytes()
        if len(content) <= SMALL:
            return content if content.startswith(b"\x89PNG") else None
        image = Image.open(io.BytesIO(content)).convert("RGB")
        if (factor := max(image.size) / SIDE) > 1.0:
            image = image.resize((round(image.width / factor), round(image.height / factor)), Image.Resampling.BOX)
        out = io.BytesIO()
        image.quantize(32, method=Image.Quantize.FASTOCTREE, dither=Image.Dither.NONE).save(out, "PNG")
        return min(out.getvalue(), content, key=len)
    except (OSError, ValueError, SyntaxError):
        return None


def _evenly(items: Sequence[int], most: int) -> list[int]:
    """At most so many items, evenly spread, the first and the last among them."""
    if len(items) <= most:
        return list(items)
    if most < 2:
        return list(items[len(items) - max(0, most) :])
    return [items[i] for i in sorted({round(k * (len(items) - 1) / (most - 1)) for k in range(most)})]


def _rounded(text: str | None) -> float | None:
    """A number with few digits; None for an empty cell, NaN and infinity."""
    try:
        value = finite(float(text)) if text else None
    except ValueError:
        return None
    return None if value is None else float(f"{value:.{DIGITS}g}")
