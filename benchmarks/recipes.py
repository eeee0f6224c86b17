"""Run the recipes over several seeds and write their scores, times and pictures into the README.

    python benchmarks/recipes.py                      all recipes, five seeds each
    python benchmarks/recipes.py --seeds 2 ring8_gan  some of them
    python benchmarks/recipes.py --write-only         the tables from the runs that are there

Nobody types a number into the README: this script writes what stands between its markers, with commit and cost.
"""

import argparse
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

from genexp.reporting.statistics import t_interval
from genexp.runs import Run
from readme import ROOT, fill

RUNS = ROOT / "runs" / "recipes"
RECIPES = {
    "digits_dcgan": ("fd32c", "coverage", "recall", "copy_rate"),
    "digits_vae": ("fd32c", "coverage", "recall", "copy_rate", "bpd"),
    "ring8_gan": ("modes", "hq", "std_ratio"),
}


def train(recipe: str, seed: int) -> Run:
    """Train one seed of a recipe, or take up what is there."""
    folder = RUNS / f"{recipe}-s{seed}"
    if not folder.is_dir() or Run(folder).record["status"] != "complete":
        command = [sys.executable, "-m", "genexp", "train", f"experiment={recipe}", f"seed={seed}"]
        quiet = ["progress=false", f"run_dir={folder}", "resume=auto"]
        subprocess.run([*command, *quiet], check=True, cwd=ROOT, stdout=subprocess.DEVNULL)
    return Run(folder)


def interval(values: list[float]) -> str:
    """Mean and half-width of the 95 % t-interval over seeds."""
    mean, half = t_interval(values)
    return f"{mean:.3f} ± {half:.3f}"


def row(recipe: str, runs: list[Run]) -> tuple[str, list[dict[str, Any]]]:
    """A line of the table and the scores behind it."""
    scores = [run.scores()[-1] for run in runs]
    values = {metric: [float(score["metrics"][metric]) for score in scores] for metric in RECIPES[recipe]}
    cells = [f"{metric} {interval(of_seeds)}" for metric, of_seeds in values.items()]
    seconds = interval([run.record["seconds"] for run in runs])
    return f"| `{recipe}` | {len(runs)} | {', '.join(cells)} | {seconds} |", scores


def main() -> None:
    """Run and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("recipes", nargs="*", default=list(RECIPES))
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--jobs", type=int, default=1, help="runs side by side")
    parser.add_argument("--write-only", action="store_true")
    arguments = parser.parse_args()
    table = []
    for recipe in arguments.recipes or RECIPES:
        if arguments.write_only:
            runs = [Run(path.parent) for path in sorted(RUNS.glob(f"{recipe}-s*/run.json"))]
        else:
            with ThreadPoolExecutor(arguments.jobs) as pool:
                runs = list(pool.map(partial(train, recipe), range(arguments.seeds)))
        line, _ = row(recipe, runs)
        print(line)
        table.append(line)
        images = ROOT / "docs" / "images"
        images.mkdir(parents=True, exist_ok=True)
        shutil.copy(runs[0].samples / "final-ema.png", images / f"{recipe}.png")
    remark = (
        "mean ± half-width of the 95 % t-interval over training seeds; averaged weights, held-out reference; "
        f"{arguments.jobs} at a time, one thread each."
    )
    head = ["| recipe | seeds | scores | seconds |", "|---|---|---|---|"]
    fill("recipes", [*head, *table], f"python benchmarks/recipes.py --seeds {arguments.seeds}", remark)


if __name__ == "__main__":
    main()
