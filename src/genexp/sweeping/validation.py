"""The validation scores that a run wrote while it trained: what settings are chosen by.

They stand in `metrics.csv` as `fast/<metric>` and never touch the split that tables report.
"""

import math

from genexp.errors import UserError
from genexp.evaluation.registry import canonical, metric_info, place
from genexp.runs import Run
from genexp.training.metrics_file import MetricsFile

PREFIX = "fast/"
RANKING = ("fd#c", "hq", "energy")
"""What ranks on images, on points with known modes and on other points."""


def ranking_metric(columns: list[str], wanted: str | None = None) -> str | None:
    """The metric to compare runs by.

    Arguments:
        columns: those of `metrics.csv`.
        wanted: the one that a person asks for, with or without `fast/`; None for the data set's own.

    Returns:
        Its name without `fast/`; None if nothing has been scored yet.

    Raises:
        UserError: if the runs do not have the one that is wanted, or it has no direction.

    Example:
        >>> ranking_metric(["step", "loss/critic", "fast/modes", "fast/hq"])
        'hq'
    """
    names = sorted((name.removeprefix(PREFIX) for name in columns if name.startswith(PREFIX)), key=place)
    names = [name for name in names if metric_info(name).better != "none"]
    if not names:
        return None
    if wanted is not None:
        wanted = wanted.removeprefix(PREFIX)
        if wanted not in names:
            raise UserError(f"The runs have no validation score {wanted}: choose one of {', '.join(names)}.")
        return wanted
    own = [name for metric in RANKING for name in names if canonical(name) == metric]
    return [*own, *names][0]


class Curve:
    """One run's validation scores, read again only when the file has changed.

    Arguments:
        run: the run, whether it has begun or not.
    """

    def __init__(self, run: Run) -> None:
        self._path = run.folder / "metrics.csv"
        self._seen: tuple[int, int] | None = None
        self._rows: list[dict[str, str]] = []

    @property
    def columns(self) -> list[str]:
        """The columns of `metrics.csv`; none if it is not there."""
        rows = self._read()
        return list(rows[0]) if rows else []

    def scores(self, metric: str) -> list[tuple[int, float]]:
        """Each step that was scored and its score, which may be NaN."""
        values = ((row["step"], row.get(PREFIX + metric)) for row in self._read())
        return [(int(step), float(value)) for step, value in values if value]

    def last(self, metric: str) -> float | None:
        """The newest score; None if there is none or it is not finite."""
        scores = self.scores(metric)
        return scores[-1][1] if scores and math.isfinite(scores[-1][1]) else None

    def _read(self) -> list[dict[str, str]]:
        try:
            now = self._path.stat()
        except FileNotFoundError:
            self._seen, self._rows = None, []
            return []
        if self._seen != (now.st_mtime_ns, now.st_size):
            self._seen, self._rows = (now.st_mtime_ns, now.st_size), MetricsFile(self._path).rows()
        return self._rows
