"""Kill a sweep with all of its processes at random moments until it is through, and compare it with one left alone.

    python benchmarks/kill_sweep.py            eight short jobs
    python benchmarks/kill_sweep.py --write    and put the log into docs/sweeps.md

What must be the same: every score of every job (all but the seconds), every byte of metrics.csv, and all tensors of the
last checkpoint, whose sha256 is in its name.
"""

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from genexp.runs import Run
from readme import ROOT, fill

SWEEP = [
    *("experiment=ring8_gan", "loss=non_saturating,hinge", "penalty=gp,r1", "seeds=2", "sweep=killed"),
    *("max_steps=400", "score_every=200", "checkpoint_every=100", "logger=none", "progress=false", "launcher.jobs=2"),
]
COSTS = ("train_s", "sample_s")
"""Columns of a score that differ from day to day."""


def start(output: Path) -> subprocess.Popen[bytes]:
    """The sweep in a session of its own, so that a signal can reach all of its processes at once."""
    environment = {**os.environ, "GENEXP_OUTPUT": str(output), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "genexp", "train", "-m", *SWEEP]
    return subprocess.Popen(command, cwd=ROOT, env=environment, start_new_session=True, stdout=subprocess.DEVNULL)


def runs(output: Path) -> dict[str, Run]:
    """The jobs that there are, by their folder's name."""
    return {path.parent.name: Run(path.parent) for path in sorted(output.glob("sweeps/killed/*/run.json"))}


def statuses(output: Path) -> str:
    """How many jobs are where."""
    found = [run.record["status"] for run in runs(output).values()]
    return ", ".join(f"{found.count(status)} {status}" for status in sorted(set(found))) or "nothing"


def outcome(run: Run) -> dict[str, Any]:
    """All that a job computed: scores, rows of metrics and the hash of the last checkpoint."""
    rows = run.scores()
    scores = [{k: v for k, v in row["metrics"].items() if k not in COSTS} for row in rows]
    checkpoints = sorted(path.name for path in run.checkpoints.glob("*.ckpt"))
    return {"scores": scores, "metrics": (run.folder / "metrics.csv").read_text(), "checkpoint": checkpoints[-1]}


def main() -> None:
    """Run both and compare."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=0, help="of the moments at which the sweep is killed")
    parser.add_argument("--write", action="store_true")
    arguments = parser.parse_args()
    dice, log = random.Random(arguments.seed), []

    def say(line: str) -> None:
        print(line, flush=True)
        log.append(line)

    with tempfile.TemporaryDirectory() as folder:
        calm, killed = Path(folder) / "calm", Path(folder) / "killed"
        begun = time.monotonic()
        start(calm).wait()
        whole = time.monotonic() - begun
        say(f"left alone: {statuses(calm)} in {whole:.0f} s")
        call = 0
        while True:
            call += 1
            process = start(killed)
            wait = dice.uniform(0.2, 0.4) * whole
            try:
                process.wait(wait)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
                say(f"call {call}: SIGKILL to all processes after {wait:.1f} s: {statuses(killed)}")
                continue
            say(f"call {call}: ended by itself with exit code {process.returncode}: {statuses(killed)}")
            break
        one, other = ({name: outcome(run) for name, run in runs(output).items()} for output in (calm, killed))
        same = sum(one[name] == other.get(name) for name in one)
        once = sum(len(result["scores"]) == 1 for result in other.values())
        say(f"{same} of {len(one)} jobs have the same scores, metrics.csv and checkpoint, to the bit")
        say(f"{once} of {len(other)} jobs were finished and scored exactly once")
        print(json.dumps({"same": same, "once": once, "jobs": len(one)}))
    if arguments.write:
        fill("kill", ["```", *log, "```"], "python benchmarks/kill_sweep.py --write", "two jobs at a time.")
    sys.exit(0 if same == once == len(one) == len(other) else 1)


if __name__ == "__main__":
    main()
