"""Write the table of conditionings into docs/conditional.md.

genexp train -m sweeps/conditionings.yaml
python benchmarks/conditional.py runs/sweeps/conditionings
"""

import argparse
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import tables
from genexp.reporting.report import build_report
from readme import fill

SHOWN = ("class_accuracy", "fd32c_class", "fd32c", "coverage", "recall")
ANCHORS = ("perfect", "copycat", "kde")


def rows(table: Mapping[str, Any]) -> list[str]:
    """One line of Markdown for each setting that has runs, then the anchors."""
    lines = [
        f"| critic | generator | seeds | {' | '.join(SHOWN)} | failures | CPU-s |",
        "|---|---|" + "---:|" * (len(SHOWN) + 3),
    ]
    for setting in table["settings"]:
        if setting["n"]:
            told = dict(re.findall(r"(\w+)_conditioning=(\w+)", setting["label"]))
            scores = " | ".join(tables.cell(setting, name) for name in SHOWN)
            parts = f"{told['critic']} | {told['generator']} | {setting['n']}"
            lines.append(f"| {parts} | {scores} | {tables.cost(setting)} |")
    for anchor in ANCHORS:
        if cells := tables.anchor_cells(table, anchor, SHOWN):
            lines.append(f"| *{anchor}* | | | {' | '.join(cells)} | | |")
    return lines


def main() -> None:
    """Read the sweep and write the block."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sweep", type=Path, help="the sweep's folder")
    report = build_report([parser.parse_args().sweep])
    (table,) = report["tables"]
    command = "python benchmarks/conditional.py runs/sweeps/conditionings"
    fill("conditional", rows(table), command, tables.provenance(report))


if __name__ == "__main__":
    main()
