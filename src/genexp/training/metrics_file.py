"""`metrics.csv`: one row for each log tick, the source of truth of a run's curves."""

import csv
import os
from pathlib import Path


class MetricsFile:
    """A CSV file that grows by rows and, rarely, by columns.

    A row is flushed when it is written, so that a killed process loses nothing. On resuming, the rows after the
    checkpoint's step are dropped: the resumed run writes them again.

    Arguments:
        path: the file; an existing one is continued.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.columns: list[str] = ["step", "images"]
        if path.is_file():
            with open(path, newline="") as file:
                self.columns = next(csv.reader(file), self.columns)

    def append(self, row: dict[str, float]) -> None:
        """Add a row; new names become new columns."""
        new = sorted(set(row) - set(self.columns))
        if new:
            self._rewrite(self.rows(), [*self.columns, *new])
        fresh = not self.path.is_file()
        with open(self.path, "a", newline="") as file:
            writer = csv.DictWriter(file, self.columns)
            if fresh:
                writer.writeheader()
            writer.writerow({name: _text(value) for name, value in row.items()})

    def truncate(self, step: int) -> None:
        """Drop the rows after `step`."""
        if self.path.is_file():
            self._rewrite([row for row in self.rows() if int(row["step"]) <= step], self.columns)

    def rows(self) -> list[dict[str, str]]:
        """All rows as text; a half-written last line is left out."""
        if not self.path.is_file():
            return []
        with open(self.path, newline="") as file:
            text = file.read()
        whole = text[: text.rfind("\n") + 1]
        return list(csv.DictReader(whole.splitlines()))

    def _rewrite(self, rows: list[dict[str, str]], columns: list[str]) -> None:
        self.columns = columns
        temporary = self.path.with_name(f".{self.path.name}.{os.getpid()}.part")
        with open(temporary, "w", newline="") as file:
            writer = csv.DictWriter(file, columns, restval="")
            writer.writeheader()
            writer.writerows(rows)
        os.replace(temporary, self.path)


def _text(value: float) -> str:
    """A number that reads back to the same bits."""
    value = float(value)
    return repr(int(value)) if value.is_integer() and abs(value) < 2**53 else repr(value)
