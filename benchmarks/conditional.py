"""Write the table of conditionings into docs/conditional.md.

genexp train -m sweeps/conditionings.yaml
python benchmarks/conditional.py runs/sweeps/conditionings
"""

import argparse
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from genexp.reporting.numbers import number, with_error
from genexp.reporting.report import build_report
from readme import fill

SHOWN = ("class_accuracy", "fd32c_class", "fd32c", "coverage", "recall")
ANCHORS = ("perfect", "copycat", "kde")


def cells(mean: Mapping[str, Any], half_width: Mapping[str, Any]) -> str:
    """One cell for each metric."""
    return " | ".join(
        "-"
        if mean.get(name) is None
        else number(mean[name])
        if half_width.get(name) is None
        else with_error(mean[name], half_width[name])
        for name in SHOWN
    )


def rows(table: Mapping[str, Any]) -> list[str]:
    """One line of Markdown for each setting that has runs, then the anchors."""
    lines = [
        f"| critic | generator | seeds | {' | '.join(SHOWN)} | CPU-s |",
        "|---|---|" + "---:|" * (len(SHOWN) + 2),
    ]
    for setting in table["settings"]:
        if setting["n"]:
            told = dict(re.findall(r"(\w+)_conditioning=(\w+)", setting["label"]))
            scores = cells(setting["mean"], setting["half_width"])
            parts = f"{told['critic']} | {told['generator']} | {setting['n']}"
            lines.append(f"| {parts} | {scores} | {number(setting['cpu_seconds'])} |")
    values = {anchor["name"]: anchor["values"] for anchor in table["anchors"]}
    return lines + [f"| *{name}* | | | {cells(values[name], {})} | |" for name in ANCHORS if name in values]


def main() -> None:
    """Read the sweep and write the block."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sweep", type=Path, help="the sweep's folder")
    report = build_report([parser.parse_args().sweep])
    (table,) = report["tables"]
    remark = (
        f"means over training seeds with the half-widths of their 95 % t-intervals, of runs at commit "
        f"{report['commit']}."
    )
    fill("conditional", rows(table), "python benchmarks/conditional.py runs/sweeps/conditionings", remark)


if __name__ == "__main__":
    main()
