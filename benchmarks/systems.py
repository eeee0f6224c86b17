"""All systems at equal compute: give each its steps, and write the tables and pictures of docs/systems.md.

    python benchmarks/systems.py budget sweeps/digits_systems.yaml
    python benchmarks/systems.py budget sweeps/mnist_systems.yaml dataset.path=/data/mnist
    genexp train -m sweeps/digits_systems.yaml launcher.jobs=2
    python benchmarks/systems.py table runs/sweeps/digits_systems
    python benchmarks/systems.py log runs/sweeps/mnist_systems

`budget` counts the floating-point operations of some steps of each recipe, forwards and backwards, of matrix products
and convolutions, and rewrites the preset's `max_steps`: every system gets as many operations as the first one. The
count is of the arithmetic alone, so that it is the same on every machine. `table` writes the block of the page that is
called like the sweep, docs/images/NAME.png, and the rows that the systems' own pages ask for. `log` writes the block
NAME_log, with a line for each run and the scores on its way, and NAME_transcript, the log of the first one.
"""

import argparse
import csv
import re
import tempfile
from collections.abc import Collection, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import yaml
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry

import tables
from genexp import config as configs
from genexp.assembly import build_session
from genexp.reporting.collect import ReportedRun, collect
from genexp.reporting.contact_sheet import contact_sheet
from genexp.reporting.numbers import number
from genexp.reporting.report import build_report
from genexp.runs import Run
from genexp.trainer import make_trainer
from readme import ROOT, fill

STEPS = 24
"""Steps that are counted, two epochs of the digits: of a system in two stages, half of them in each."""
FIRST, LAST = ("modes", "mode_kl"), ("std_ratio", "coverage", "recall", "copy_rate")
"""Columns before the headline and behind it, where the data's protocol has them."""
ANCHORS = ("perfect", "copycat", "kde", "gaussian")
POINT = re.compile(r"  - \{experiment: (\w+),((?: [\w.]+: \w+,)*) max_steps: (\d+)(, plan\.boundaries: \[\d+\])?\}")


class Operations(TorchDispatchMode):
    """Counts the floating-point operations of matrix products and convolutions below it.

    Torch's own `FlopCounterMode` also follows modules, which gradients of gradients do not survive.
    """

    total = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Do what is asked, and count it."""
        kwargs = kwargs or {}
        made = func(*args, **kwargs)
        formula = flop_registry.get(func._overloadpacket)
        if formula is not None:
            self.total += formula(*args, **kwargs, out_val=made)
        return made


def operations(overrides: Sequence[str]) -> float:
    """Floating-point operations of a step of training, on average over the first ones."""
    quiet = [f"max_steps={STEPS}", "score_every=0", "logger=none", "health=none", "progress=false"]
    config = configs.compose_train([*overrides, *quiet]).config
    with tempfile.TemporaryDirectory() as folder:
        session = build_session(config)
        run = Run(Path(folder) / "run")
        run.create(configs.to_plain(config), {})
        trainer, _ = make_trainer(session, config, run, None, lambda step: None)
        with Operations() as counter:
            trainer.fit(session.model, datamodule=session.data)
    return counter.total / STEPS


def budget(preset: Path, overrides: Sequence[str]) -> None:
    """Rewrite the steps of a preset's systems, so that all do the arithmetic of the first."""
    text = preset.read_text()
    common = {
        key: value
        for key, value in yaml.load(text, yaml.BaseLoader).items()
        if key.startswith(("network.", "dataset.", "trainer."))
    }
    settings = [*(f"{key}={value}" for key, value in common.items()), *overrides]
    total: float | None = None

    def steps_of(found: re.Match[str]) -> str:
        nonlocal total
        name, others, steps, staged = found.groups()
        own = [f"experiment={name}", *settings, *re.findall(r"[\w.]+: \w+", others)]
        own = [setting.replace(": ", "=") for setting in own]
        cost = operations([*own, *([f"plan.boundaries=[{STEPS // 2}]"] if staged else [])])
        if total is None:
            total = cost * int(steps)
        steps = round(total / cost / 20) * 20
        print(f"{name}: {cost / 1e9:.3f} GFLOP a step, {steps} steps", flush=True)
        boundary = f", plan.boundaries: [{steps // 2}]" if staged else ""
        return f"  - {{experiment: {name},{others} max_steps: {steps}{boundary}}}"

    preset.write_text(POINT.sub(steps_of, text))


def columns(headline: str, known: Collection[str]) -> list[str]:
    """The metrics to show, of those that are known."""
    return [name for name in (*FIRST, headline, *LAST) if name == headline or name in known]


def rows(report: Mapping[str, Any]) -> list[str]:
    """One line of Markdown for each system, the best first, then the anchors."""
    (table,) = report["tables"]
    shown = columns(table["headline"], {name for setting in table["settings"] for name in setting["mean"]})
    lines = [
        f"| recipe | steps | {' | '.join(shown)} | failures | CPU-s |",
        "|---|---:|" + "---:|" * (len(shown) + 2),
    ]
    for setting in table["settings"]:
        steps = report["configs"][setting["id"]]["max_steps"]
        cells = [tables.cell(setting, name) for name in shown]
        lines.append(f"| `{setting['label']}` | {steps} | {' | '.join(cells)} | {tables.cost(setting)} |")
    for anchor in ANCHORS:
        if cells := tables.anchor_cells(table, anchor, shown):
            lines.append(f"| *{anchor}* | | {' | '.join(cells)} | | |")
    return lines


def fill_pages(lines: Sequence[str]) -> None:
    """Put the rows that a page names between its markers, `<!-- systems NAME NAME -->`, where all of them are there."""
    for page in sorted((ROOT / "docs").glob("*.md")):
        text = page.read_text()
        page.write_text(
            re.sub(r"(<!-- systems ([\w ]+) -->\n).*?(<!-- /systems -->)", partial(_named, lines), text, flags=re.S)
        )


def _named(lines: Sequence[str], found: re.Match[str]) -> str:
    names = found[2].split()
    chosen = [line for line in lines if any(line.startswith(f"| `{name}` |") for name in names)]
    return "\n".join([found[1] + lines[0], lines[1], *chosen, found[3]]) if len(chosen) == len(names) else found[0]


def write(folder: Path) -> None:
    """Write a sweep's table and picture."""
    report = build_report([folder])
    (table,) = report["tables"]
    for setting in table["settings"]:  # the recipe's name says what the settings of its label would
        setting["label"] = next(run["name"] for run in report["runs"].values() if run["setting"] == setting["id"])
    contact_sheet(report).quantize(64).save(ROOT / "docs" / "images" / f"{folder.name}.png", optimize=True)
    lines = rows(report)
    command = f"python benchmarks/systems.py table runs/sweeps/{folder.name}"
    fill(folder.name, [*lines, *tables.why_failed(table)], command, tables.provenance(report))
    fill_pages(lines)


def on_the_way(run: ReportedRun) -> str:
    """The scores during a run's training, as `step: value` in the order of the steps."""
    name = f"fast/{run.headline}"
    with (run.folder / "metrics.csv").open(newline="") as file:
        rows = [row for row in csv.DictReader(file) if row.get(name)]
    return ", ".join(f"{row['step']}: {number(float(row[name]))}" for row in rows)


def write_log(folder: Path) -> None:
    """Write a line for each run of a sweep, and what the first one printed."""
    ended = [run for run in collect([folder]).runs if not run.unfinished]
    runs = sorted(ended, key=lambda run: (run.name, run.seed))
    headline = next(run.headline for run in runs if run.headline)
    shown = columns(headline, {name for run in runs for name in run.metrics})
    lines = [
        f"| recipe | seed | steps | {headline} on the way | {' | '.join(shown)} | images/s | CPU-s |",
        "|---|---:|---:|---|" + "---:|" * (len(shown) + 2),
    ]
    for run in runs:
        cells = [tables.plain(run.metrics.get(name)) if run.finished else run.status for name in shown]
        costs = [tables.plain(run.images_per_second), tables.plain(run.record.get("cpu_seconds"))]
        start = f"| `{run.name}` | {run.seed} | {run.config['max_steps']} | {on_the_way(run)} |"
        lines.append(f"{start} {' | '.join([*cells, *costs])} |")
    command = f"python benchmarks/systems.py log runs/sweeps/{folder.name}"
    minutes = sum(run.record.get("seconds") or 0.0 for run in runs) / 60
    fill(f"{folder.name}_log", lines, command, f"{len(runs)} runs, {minutes:.0f} minutes of one process in all.")
    first = (runs[0].folder / "log.txt").read_text().replace(f"{runs[0].folder}/", "").replace(f"{runs[0].folder}", ".")
    fill(f"{folder.name}_transcript", ["```", first.strip(), "```"], command, f"`log.txt` of {runs[0].name}, seed 0.")


def main() -> None:
    """Count, or write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("budget", "table", "log"))
    parser.add_argument("path", type=Path, help="a preset to give steps to, or a sweep's folder")
    parser.add_argument("overrides", nargs="*", help="for what is counted, such as dataset.path=/data/mnist")
    options = parser.parse_args()
    if options.what == "budget":
        budget(options.path, options.overrides)
    else:
        {"table": write, "log": write_log}[options.what](options.path)


if __name__ == "__main__":
    main()
