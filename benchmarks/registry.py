"""How the commands that read many runs grow with their number: a finished sweep of up to 10,000 jobs.

    python benchmarks/registry.py                 100, 1,000 and 10,000 runs; print the table
    python benchmarks/registry.py --write         and put it into docs/cluster.md
    python benchmarks/registry.py --runs 100      other numbers

One job is trained. The others get their folders as a sweep prepares them, and the files of the trained one with other
scores. Each command is then timed in a process of its own, Python's start included.
"""

import argparse
import csv
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from genexp.commands.multirun import jobs as combinations
from genexp.runs import Run
from genexp.sweeping.folder import SweepFolder
from readme import fill

LOSSES = ("hinge", "non_saturating", "wasserstein", "least_squares")
SEEDS = 5
TINY = ["experiment=ring8_gan", "max_steps=300", "log_every=10", "score_every=100", "checkpoint_every=150"]
TINY += ["evaluation.n=1000", "evaluation.draws=2", "logger=none", "progress=false", "trainer.accelerator=cpu"]
COPIED = ("metrics.csv", "timings.csv", "anchors.json", "log.txt", "checkpoints", "samples")
LOOK_UP = "import sys; from genexp.commands.admission import admit; admit(sys.argv[1:], None)"


def words(count: int) -> list[str]:
    """The overrides of a sweep with so many jobs: four losses, learning rates, five seeds."""
    rates = ",".join(f"{1e-5 * (i + 1):g}" for i in range(count // (len(LOSSES) * SEEDS)))
    return [*TINY, f"loss={','.join(LOSSES)}", f"optimizer.lr={rates}", "sweep=registry", f"seeds={SEEDS}"]


def make_runs(output: Path, count: int) -> SweepFolder:
    """A finished sweep below `output`, and a run beside it that was stopped."""
    environment = {**os.environ, "GENEXP_OUTPUT": str(output), "OMP_NUM_THREADS": "1"}
    train = [sys.executable, "-m", "genexp", "train", *TINY, "loss=hinge", "optimizer.lr=1e-5"]
    subprocess.run([*train, "run_dir=" + str(output / "single")], env=environment, check=True, stdout=subprocess.PIPE)
    trained = Run(output / "single")
    folder = SweepFolder(output / "sweeps" / "registry")
    os.fsync = lambda file: None  # what is made up need not outlast a power cut
    chosen = [[word for word in job if not word.startswith("seeds=")] for job in combinations(words(count))]
    made = random.Random(0)
    for job in folder.jobs(chosen, SEEDS, None):
        folder.prepare(job)
        finish(job.run, trained, made)
    trained.update(status="stopped", sweep=None)
    return folder


def finish(run: Run, trained: Run, made: random.Random) -> None:
    """Give a prepared job the files of a trained one, with scores of its own."""
    for name in COPIED:
        source = trained.folder / name
        if source.is_dir():
            shutil.copytree(source, run.folder / name, copy_function=os.link)  # one content, as many files
        elif source.is_file():
            shutil.copy(source, run.folder / name)
    factor = made.lognormvariate(0.0, 0.2)
    with open(run.folder / "metrics.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    with open(run.folder / "metrics.csv", "w", newline="") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        for row in rows:
            writer.writerow({key: factor * float(v) if v and "/" in key else v for key, v in row.items()})
    record, row = run.record, trained.scores()[-1]
    metrics = {key: factor * value if isinstance(value, float) else value for key, value in row["metrics"].items()}
    row |= {"run": run.folder.name, "setting": record["setting"], "seed": record["seed"], "metrics": metrics}
    (run.folder / "scores.jsonl").write_text(json.dumps(row) + "\n")
    kept = {key: trained.record[key] for key in ("step", "seconds", "cpu_seconds", "parameters")}
    run.update(status="complete", **kept)


def commands(folder: SweepFolder, count: int) -> dict[str, list[str]]:
    """What is timed."""
    genexp, page = [sys.executable, "-m", "genexp"], folder.path.parent / "report"
    report = [*genexp, "report", str(folder.path)]
    return {
        "`train -m`: the whole sweep again": [*genexp, "train", "-m", *words(count)],
        "`train resume=auto`: which run it is": [sys.executable, "-c", LOOK_UP, "resume=auto"],
        "`list runs`": [*genexp, "list", "runs"],
        "`best`": [*genexp, "best", str(folder.path)],
        "`report`": report,
        "`report format=json`": [*report, "format=json", f"out={page}.json"],
        "`report format=html`": [*report, "format=html", f"out={page}.html"],
    }


def timed(command: list[str], output: Path) -> tuple[float, float, float]:
    """Wall seconds of a command, its seconds of processor time, and its memory at its largest in MB.

    Raises:
        RuntimeError: if it fails.
    """
    environment = {**os.environ, "GENEXP_OUTPUT": str(output), "OMP_NUM_THREADS": "1", "COLUMNS": "160"}
    begun = time.perf_counter()
    process = subprocess.Popen(command, cwd=output, env=environment, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    if status != 0:
        raise RuntimeError(f"{' '.join(command[:6])} ... has failed")
    return time.perf_counter() - begun, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1e3


def measure(count: int, repeats: int) -> dict[str, float]:
    """The median seconds of each command, and the size of the page."""
    found: dict[str, float] = {}
    largest = 0.0
    with tempfile.TemporaryDirectory() as name:
        output = Path(name)
        folder = make_runs(output, count)
        print(f"{count} runs are there", flush=True)
        for what, command in commands(folder, count).items():
            times = sorted(timed(command, output) for _ in range(repeats))
            found[what], cpu, memory = times[len(times) // 2]
            largest = max(largest, memory)
            print(f"{count:>6} runs  {what:<40} {found[what]:6.1f} s  {cpu:6.1f} s CPU  {memory:5.0f} MB", flush=True)
        found["memory of the largest of them, MB"] = largest
        found["size of the page, MB"] = (folder.path.parent / "report.html").stat().st_size / 1e6
    return found


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, nargs="+", default=[100, 1000, 10000])
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--write", action="store_true")
    arguments = parser.parse_args()
    found = {count: measure(count, arguments.repeats) for count in arguments.runs}
    lines = [f"| seconds | {' | '.join(f'{count:,} runs' for count in found)} |", "|---|" + "---:|" * len(found)]
    for what in next(iter(found.values())):
        lines.append(f"| {what} | {' | '.join(f'{values[what]:.1f}' for values in found.values())} |")
    print("\n".join(lines))
    if arguments.write:
        remark = (
            f"a finished sweep of four losses, learning rates and {SEEDS} seeds, on a local disk; "
            f"medians of {arguments.repeats}, Python's start included."
        )
        fill("registry", lines, "python benchmarks/registry.py --write", remark)


if __name__ == "__main__":
    main()
