"""Write what a preset's sweep cost, and its table, into the preset's header.

    genexp train -m sweeps/ttur.yaml launcher.jobs=2
    python benchmarks/presets.py runs/sweeps/ttur

The sweep's name is the preset's. Nobody types a number into a header: this script writes what stands between its marks.
"""

import argparse
import re
from pathlib import Path
from typing import Any

from genexp.reporting.numbers import number, with_error
from genexp.reporting.report import build_report
from readme import ROOT

BEGIN, END = "# --- what came out ---\n", "# ---\n"


def lines(report: dict[str, Any], columns: int) -> list[str]:
    """The cost, and a row for each setting."""
    (table,) = report["tables"]
    minutes = sum((setting["cpu_seconds"] or 0.0) * setting["n"] for setting in table["settings"]) / 60
    names = [metric["name"] for metric in table["metrics"]][:columns]
    aims = {metric["name"]: metric["aim"] for metric in table["metrics"]}
    rows = [["", *(f"{name} {aims[name]}".strip() for name in names), "CPU-s a run"]]
    for setting in table["settings"]:
        cells = [_cell(setting, name) for name in names]
        seconds = setting["cpu_seconds"]
        rows.append([setting["label"], *cells, "-" if seconds is None else f"{seconds:.1f}"])
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    body = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    head = (
        f"{len(report['runs'])} runs, {minutes:.0f} CPU-minutes on one x86_64 core each, at commit {report['commit']}."
    )
    return [head, "± is the half-width of the 95 % t-interval over training seeds.", "", *body]


def _cell(setting: dict[str, Any], name: str) -> str:
    mean, half = setting["mean"].get(name), setting["half_width"].get(name)
    if mean is None:
        return "failed" if setting["failures"] else "-"
    return number(mean) if half is None else with_error(mean, half)


def main() -> None:
    """Read the sweep and write the header."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sweep", type=Path, help="the sweep's folder")
    parser.add_argument("--columns", type=int, default=4)
    options = parser.parse_args()
    preset = ROOT / "sweeps" / f"{options.sweep.name}.yaml"
    found = lines(build_report([options.sweep]), options.columns)
    block = BEGIN + "".join(f"# {line}".rstrip() + "\n" for line in found) + END
    text = re.sub(re.escape(BEGIN) + ".*?" + re.escape(END), "", preset.read_text(), flags=re.S)
    comments = [i for i, line in enumerate(text.splitlines(keepends=True)) if line.startswith("#")]
    rows = text.splitlines(keepends=True)
    preset.write_text("".join([*rows[: comments[-1] + 1], block, *rows[comments[-1] + 1 :]]))
    print(preset)


if __name__ == "__main__":
    main()
