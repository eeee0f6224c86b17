"""Write the table and the pictures of a zoo's sweep into docs/zoo.md.

    genexp train -m sweeps/ring8_zoo.yaml launcher.jobs=2
    python benchmarks/zoo.py runs/sweeps/ring8_zoo

The block of the page is called like the sweep, and its pictures go to docs/images/NAME.png.
"""

import argparse
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import tables
from genexp.reporting.contact_sheet import contact_sheet
from genexp.reporting.report import build_report
from readme import ROOT, fill

ACROSS = ("penalty", "constraint")
SHOWN = {"ring8": ("modes", "hq", "mode_kl"), "grid25": ("modes", "hq", "mode_kl"), "digits": ("fd32c", "coverage")}
PARTS = {
    "zoo_f_gan": ("loss=f_gan",),
    "zoo_likelihood_ratio": ("loss=likelihood_ratio",),
    "zoo_transport": ("loss=wasserstein", "loss=quadratic_potential"),
    "zoo_relativistic": ("loss=relativistic",),
}
"""Sheets of some losses of the first zoo, for docs/losses.md."""


def rows(table: Mapping[str, Any]) -> list[str]:
    """One line of Markdown for each setting, the best first."""
    names = SHOWN[table["data"]]
    lines = [f"| loss | penalty | {' | '.join(names)} | failures | CPU-s |", "|---|---|" + "---:|" * (len(names) + 2)]
    for setting in table["settings"]:
        words = setting["label"].split(" ")
        across = [word for word in words if word.partition("=")[0] in ACROSS]
        loss = " ".join(f"`{word}`" for word in words if word not in across and word != "model=gan")
        cells = [tables.cell(setting, name) for name in names]
        lines.append(f"| {loss} | {_penalty(across)} | {' | '.join(cells)} | {tables.cost(setting)} |")
    return lines


def _penalty(words: list[str]) -> str:
    chosen = [word.partition("=")[2] for word in words if not word.endswith(("=none", "=absent", "=[]"))]
    return ", ".join(chosen) or "none"


def picture(report: Mapping[str, Any], name: str) -> None:
    """Write a sheet of samples to docs/images/NAME.png."""
    contact_sheet(report, ACROSS).quantize(48).save(ROOT / "docs" / "images" / f"{name}.png", optimize=True)


def main() -> None:
    """Read the sweep, write the block and the picture."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sweep", type=Path, help="the sweep's folder")
    options = parser.parse_args()
    report = build_report([options.sweep])
    (table,) = report["tables"]
    name = options.sweep.name
    picture(report, name)
    if name == "ring8_zoo":
        for part, losses in PARTS.items():
            chosen = [setting for setting in table["settings"] if set(losses) & set(setting["label"].split(" "))]
            picture({**report, "tables": [{**table, "settings": chosen}]}, part)
    command = f"python benchmarks/zoo.py runs/sweeps/{name}"
    fill(name, [*rows(table), *tables.why_failed(table)], command, tables.provenance(report))


if __name__ == "__main__":
    main()
