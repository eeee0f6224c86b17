"""`metrics.csv`: one row for each log tick, the source of truth of a run's curves."""

import csv
import io
from pathlib import Path

from genexp import atomic
from genexp.locks import guard


class MetricsFile:
    """A CSV file that grows by rows and, rarely, by columns.

    One process writes it, the one that holds the run. A row reaches the system in one piece when it is written, so that
    a killed process loses nothing; a reader passes over what is not whole. On resuming, the rows after the checkpoint's
    step are dropped: the resumed run writes them again.

    Arguments:
        path: the file; an existing one is continued.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.columns: list[str] = ["step", "images"]
        if header := self._whole_lines()[:1]:
            self.columns = next(csv.reader(header))

    def append(self, row: dict[str, float]) -> None:
        """Add a row; new names become new columns.

        Raises:
            Busy: if another process has taken the run over.
        """
        new = sorted(set(row) - set(self.columns))
        if new:
            self._rewrite(self.rows(), [*self.columns, *new])
        guard(self.path)
        text = io.StringIO(newline="")
        writer = csv.DictWriter(text, self.columns)
        if not self.path.is_file():
            writer.writeheader()
        writer.writerow({name: _text(value) for name, value in row.items()})
        with open(self.path, "a", newline="") as file:
            file.write(text.getvalue())

    def truncate(self, step: int) -> None:
        """Drop the rows after `step`."""
        if self.path.is_file():
            self._rewrite([row for row in self.rows() if int(row["step"]) <= step], self.columns)

    def rows(self) -> list[dict[str, str]]:
        """All rows as text, without what a process left half-written or a host that crashed filled with zeros."""
        found = csv.DictReader(self._whole_lines())
        return [row for row in found if None not in row and None not in row.values() and row["step"].isdigit()]

    def _whole_lines(self) -> list[str]:
        if not self.path.is_file():
            return []
        with open(self.path, newline="", errors="replace") as file:
            text = file.read()
        return text[: text.rfind("\n") + 1].splitlines()

    def _rewrite(self, rows: list[dict[str, str]], columns: list[str]) -> None:
        self.columns = columns
        text = io.StringIO(newline="")
        writer = csv.DictWriter(text, columns, restval="")
        writer.writeheader()
        writer.writerows(rows)
        atomic.write_text(self.path, text.getvalue())


def _text(value: float) -> str:
    """A number that reads back to the same bits."""
    value = float(value)
    return repr(int(value)) if value.is_integer() and abs(value) < 2**53 else repr(value)
