"""Write the table of healthy trainings in docs/health.md: how far each stays from the alarms, and the monitor's cost.

    python benchmarks/health.py

Each setting is trained in this process, without scores. The extremes are those that the alarms look at: over windows
of as many steps as the default alarms take. The cost is that of a row's signs, the median of many, over that of the
steps between two rows, in turns.
"""

import csv
import statistics
import tempfile
import time
from pathlib import Path

import torch

from genexp import config as configs
from genexp.assembly import build_session
from genexp.runs import Run
from genexp.trainer import make_trainer, set_threads
from genexp.training.health import signs
from readme import fill

COMMAND = "python benchmarks/health.py"
QUIET = ["logger=none", "score_every=0", "progress=false", "checkpoint_every=1000000", "trainer.accelerator=cpu"]
SETTINGS = [
    ("experiment=ring8_gan", [0, 1], 3000),
    ("experiment=ring8_gan penalty=none", [2], 2000),
    ("experiment=ring8_gan loss=hinge", [3], 2000),
    ("experiment=ring8_gan loss=least_squares", [4], 2000),
    ("experiment=ring8_gan loss=relativistic", [5], 2000),
    ("experiment=ring8_gan loss=wasserstein penalty=gp", [6], 2000),
    ("experiment=ring8_gan dataset=grid25", [7], 2000),
    ("experiment=digits_dcgan", [0, 1], 2000),
    ("experiment=digits_dcgan loss=hinge", [2], 1500),
]
STEPS = {"separation": 1000, "diversity": 1000}
"""How far the alarms that look at a sign go back."""


def session_of(words: list[str]):
    config = configs.compose_train([*words, *QUIET, "name=x"]).config
    session = build_session(config)
    set_threads(session.hardware)
    return config, session


def train(words: list[str], folder: Path) -> tuple[list[dict[str, float]], list[dict]]:
    """The rows' signs and the alarms of a training."""
    config, session = session_of(words)
    run = Run(folder)
    run.create(configs.to_plain(config), {})
    trainer, _ = make_trainer(session, config, run, None, lambda step: None)
    trainer.fit(session.model, datamodule=session.data)
    with open(folder / "metrics.csv") as file:
        rows = [{k.removeprefix("health/"): float(v) for k, v in row.items() if v} for row in csv.DictReader(file)]
    return rows, run.record["alarms"]


def windows(rows: list[dict[str, float]], name: str) -> list[list[float]]:
    """The values of a sign in all windows of as many steps as its alarm looks at, or in the whole of a shorter run."""
    values = [row[name] for row in rows]
    length = min(len(rows), 1 + STEPS[name] // int(rows[1]["step"] - rows[0]["step"]))
    return [values[i : i + length] for i in range(len(values) - length + 1)]


def overhead(words: list[str], every: int = 50, turns: int = 7) -> float:
    """Seconds of a row's signs over seconds of the steps between two rows, the median of turns."""
    _, session = session_of(words)
    model, share = session.model, []
    model.configure_optimizers()
    session.regime.ema.attach({name: getattr(model, name) for name in model.averaged})
    batches = session.data.batches_from(0)
    for turn in range(turns):
        started = time.perf_counter()
        for _ in range(every):
            model.step(next(batches))
        between = time.perf_counter()
        found = signs(model.seen, model.players())
        torch.stack([value.double() for value in found.values()]).tolist()
        if turn:
            share.append((time.perf_counter() - between) / (between - started))
    return statistics.median(share)


def main() -> None:
    lines = [
        "| training | seeds | steps | alarms | separation | gap | diversity | least gradient | cost |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for setting, seeds, steps in SETTINGS:
        words = setting.split()
        every, alarms = [], 0
        with tempfile.TemporaryDirectory() as temporary:
            for seed in seeds:
                rows, raised = train([*words, f"seed={seed}", f"max_steps={steps}"], Path(temporary) / str(seed))
                every.append(rows)
                alarms += len(raised)
        separation = max(min(window) for rows in every for window in windows(rows, "separation"))
        diversity = min(max(window) for rows in every for window in windows(rows, "diversity"))
        gap = max(statistics.median(row["gap"] for row in rows) for rows in every)
        gradient = min(row["gradient_generator"] for rows in every for row in rows)
        numbers = [f"{separation:.3f}", f"{gap:.1f}", f"{diversity:.2f}", f"{gradient:.1e}", f"{overhead(words):.2%}"]
        shown = ", ".join(map(str, seeds))
        lines.append(f"| `{setting}` | {shown} | {steps:,} | {alarms} | {' | '.join(numbers)} |")
        print(lines[-1], flush=True)
    fill("health", lines, COMMAND, "one CPU core for each training; a row every 50 steps.")


if __name__ == "__main__":
    main()
