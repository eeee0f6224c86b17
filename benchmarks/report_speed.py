"""Time `genexp report` on many finished runs, start-up included.

python benchmarks/report_speed.py            200 runs of 40 settings on two data sets
python benchmarks/report_speed.py --write    and put the table into docs/sweeps.md
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from readme import ROOT, fill

sys.path.insert(0, str(ROOT))
from tests.reporting.synthetic_runs import write_curves, write_pictures, write_run

SEEDS = 5
LOSSES = ("hinge", "wasserstein", "saturating", "least")
FORMATS = ("terminal", "markdown", "csv", "latex", "json", "html")


def make_runs(folder: Path, count: int) -> None:
    """Runs with curves of 200 rows and twelve pictures, as a sweep of losses and learning rates leaves them."""
    rng = np.random.default_rng(0)
    for i in range(count):
        setting, seed = divmod(i, SEEDS)
        data, rest = ("digits", "ring8")[setting % 2], setting // 2
        loss, lr = LOSSES[rest % len(LOSSES)], 1e-4 * (1 + rest // len(LOSSES))
        metrics = {"fd32c": 1.0 + rng.random(), "coverage": rng.random(), "recall": rng.random(), "copy_rate": 0.01}
        if data == "ring8":
            metrics = {"hq": rng.random(), "modes": 8.0, "mode_kl": rng.random()}
        made = write_run(folder, metrics, loss=loss, seed=seed, data=data, lr=lr)
        write_curves(made, next(iter(metrics)))
        write_pictures(made)


def seconds(folder: Path, form: str) -> float:
    """Wall time of the command in a process of its own."""
    begun = time.perf_counter()
    command = [sys.executable, "-m", "genexp", "report", str(folder), f"format={form}", *out_of(folder, form)]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, env={**os.environ, "COLUMNS": "120"})
    return time.perf_counter() - begun


def out_of(folder: Path, form: str) -> list[str]:
    """Where a format goes."""
    return [] if form == "terminal" else [f"out={folder.parent / f'report.{form}'}"]


def main() -> None:
    """Make the runs, time each format three times, take the median."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=200)
    parser.add_argument("--write", action="store_true", help="put the table into docs/sweeps.md")
    options = parser.parse_args()
    lines = ["| format | seconds | size |", "|---|---:|---:|"]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "runs"
        make_runs(folder, options.runs)
        for form in FORMATS:
            median = sorted(seconds(folder, form) for _ in range(3))[1]
            written = folder.parent / f"report.{form}"
            size = f"{written.stat().st_size / 1e6:.1f} MB" if written.is_file() else ""
            lines.append(f"| `{form}` | {median:.1f} | {size} |")
            print(lines[-1], flush=True)
    if options.write:
        remark = (
            f"`genexp report` on {options.runs} finished runs ({SEEDS} seeds of each setting, curves of 200 rows, "
            "twelve pictures each), the median of three, Python's start included."
        )
        fill("report-speed", lines, "python benchmarks/report_speed.py --write", remark)


if __name__ == "__main__":
    main()
