"""Write the table and the pictures of a zoo's sweep into docs/zoo.md.

    genexp train -m sweeps/ring8_zoo.yaml launcher.jobs=2
    python benchmarks/zoo.py runs/sweeps/ring8_zoo

The block of the page is called like the sweep, and its pictures go to docs/images/NAME.png.
"""

import argparse
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from genexp.reporting.contact_sheet import contact_sheet
from genexp.reporting.numbers import number, with_error
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
FLOOR = "perfect"
"""The anchor whose value is subtracted from a divergence that is not zero for perfect samples."""


def rows(table: Mapping[str, Any]) -> list[str]:
    """One line of Markdown for each setting, the best first."""
    names = SHOWN[table["data"]]
    floors = {a["name"]: a["values"] for a in table["anchors"]}.get(FLOOR, {})
    heads = [f"{name} - floor" if name == "mode_kl" else name for name in names]
    lines = [f"| loss | penalty | {' | '.join(heads)} | failures | CPU-s |", "|---|---|" + "---:|" * (len(names) + 2)]
    for setting in table["settings"]:
        words = setting["label"].split(" ")
        across = [word for word in words if word.partition("=")[0] in ACROSS]
        loss = " ".join(f"`{word}`" for word in words if word not in across and word != "model=gan")
        cells = [_cell(setting, name, floors) for name in names]
        seconds = setting["cpu_seconds"]
        cost = "-" if seconds is None else number(seconds)
        failed = f"{len(setting['failures'])} of {setting['n'] + len(setting['failures'])}"
        lines.append(f"| {loss} | {_penalty(across)} | {' | '.join(cells)} | {failed} | {cost} |")
    return lines


def _penalty(words: list[str]) -> str:
    chosen = [word.partition("=")[2] for word in words if not word.endswith(("=none", "=absent", "=[]"))]
    return ", ".join(chosen) or "none"


def _cell(setting: Mapping[str, Any], name: str, floors: Mapping[str, Any]) -> str:
    mean, half_width = setting["mean"].get(name), setting["half_width"].get(name)
    if mean is None:
        return "-"
    if name == "mode_kl":
        mean -= floors.get(name) or 0.0
    text = number(mean) if half_width is None else with_error(mean, half_width)
    return f"**{text}**" if setting["best"][name] else text


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
    minutes = sum(run["seconds"] or 0.0 for run in report["runs"].values()) / 60
    unfinished = sum(setting["unfinished"] for setting in table["settings"])
    remark = (
        f"{len(report['runs'])} runs of commit {report['commit']}, {minutes:.0f} minutes of one process in all"
        + (f", {unfinished} of them unfinished" if unfinished else "")
        + ". Means over training seeds with the half-widths of their 95 % t-intervals; "
        + "bold: not separable from the best of the column."
    )
    reasons = dict.fromkeys(failure["reason"] for setting in table["settings"] for failure in setting["failures"])
    refused = ["", "Why runs failed:", "", *(f"- {reason}" for reason in reasons)] if reasons else []
    fill(name, [*rows(table), *refused], f"python benchmarks/zoo.py runs/sweeps/{name}", remark)


if __name__ == "__main__":
    main()
