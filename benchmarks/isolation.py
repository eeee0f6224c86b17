"""What a process of its own costs a job: a sweep against the same runs one after another in one process.

    python benchmarks/isolation.py            print the table
    python benchmarks/isolation.py --write    and put it into docs/sweeps.md

Three ways to train and score the same short runs, in turns: `genexp train -m` (each job forked from a server that has
imported the stack), a loop in one process that shares everything, and a fresh interpreter for each run. The wall time
of each is from the start of the command to its end, imports and the server's start included. The machine should have
nothing else to do.
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time

from readme import ROOT, fill

RUN = ["experiment=ring8_gan", "max_steps=300", "score_every=100", "checkpoint_every=100"]
RUN += ["logger=none", "progress=false", "trainer.accelerator=cpu"]
LOOP = """
import sys
from genexp.commands.train import main
for seed in range({n}):
    assert main([*sys.argv[1:], f"seed={{seed}}"]) == 0
"""


def timed(commands: list[list[str]]) -> float:
    """Wall seconds of commands, one after another, that write where nothing was before."""
    begun = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        for command in commands:
            environment = {**os.environ, "GENEXP_OUTPUT": folder, "OMP_NUM_THREADS": "1"}
            subprocess.run(command, cwd=ROOT, env=environment, check=True, stdout=subprocess.DEVNULL)
        return time.perf_counter() - begun


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--jobs", type=int, default=12)
    parser.add_argument("--fresh", type=int, default=4, help="runs in fresh interpreters, of which each takes seconds")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--write", action="store_true")
    arguments = parser.parse_args()
    n, fresh = arguments.jobs, arguments.fresh
    genexp = [sys.executable, "-m", "genexp", "train"]
    ways = {
        "a sweep: `genexp train -m`": (n, [[*genexp, "-m", *RUN, f"seeds={n}"]]),
        "by hand, in one process": (n, [[sys.executable, "-c", LOOP.format(n=n), *RUN]]),
        "a fresh interpreter each": (fresh, [[*genexp, *RUN, f"seed={seed}"] for seed in range(fresh)]),
    }
    timed([[*genexp, *RUN]])  # the reference generators are scored once, and files are in memory
    seconds: dict[str, list[float]] = {way: [] for way in ways}
    for repeat in range(arguments.repeats):
        for way, (count, commands) in list(ways.items())[:: 1 if repeat % 2 == 0 else -1]:
            seconds[way].append(timed(commands) / count)
            print(f"{way:<28} {seconds[way][-1]:6.2f} s a job", flush=True)
    base = seconds["by hand, in one process"]
    lines = ["| way | seconds a job | over one process |", "|---|---|---|"]
    for way, values in seconds.items():
        over = statistics.median(value - other for value, other in zip(values, base, strict=True))
        shown = "" if values is base else f"{over:+.2f}"
        lines.append(f"| {way} | {statistics.median(values):.2f} | {shown} |")
    print("\n".join(lines))
    if arguments.write:
        remark = (
            f"{n} runs of ring8_gan with 300 steps and their score, one at a time, imports included; "
            f"medians of {arguments.repeats} rounds in turns."
        )
        fill("isolation", lines, "python benchmarks/isolation.py --write", remark)


if __name__ == "__main__":
    main()
