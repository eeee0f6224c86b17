"""genexp with everything on against hand-written loops, on the same networks and the same batches.

    python benchmarks/throughput.py                 all workloads
    python benchmarks/throughput.py digits --rounds 9

Three loops take turns in one process, so that the machine's drift hits them alike: a *textbook* loop (fresh fakes for
the generator, critic not frozen, torch's default optimizer), a *tuned* loop (one set of fakes, frozen critic, fused
Adam), and
`genexp train` as a user has it: progress bar, metrics.csv, W&B offline, checkpoints, EMA, step-keyed randomness.
Printed are medians over the rounds of steps per second, and of the ratios within each round.
"""

import argparse
import copy
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import Callback
from torch.nn.functional import softplus

from genexp import config as configs
from genexp.assembly import build_session
from genexp.runs import Run
from genexp.trainer import make_trainer
from readme import fill

WORKLOADS = {
    "points": ["dataset=ring8", "network=mlp", "batch_size=256"],
    "digits": ["dataset=digits", "network=dcgan", "batch_size=64"],
    "28x28": ["dataset=mnist", "network=dcgan", "batch_size=64"],
}
STEPS = {"points": 400, "digits": 200, "28x28": 20}
"""Steps of each loop in a round: a few seconds at most."""


class HandWritten:
    """A GAN's training loop as one writes it by hand.

    Arguments:
        model: the GAN whose networks are copied.
        batch: gives the real data of step k.
        tuned: share the fakes, freeze the critic in the generator's step, use fused Adam.
    """

    def __init__(self, model: Any, batch: Callable[[int], torch.Tensor], tuned: bool) -> None:
        self.generator, self.critic = copy.deepcopy(model.generator), copy.deepcopy(model.critic)
        self.latent_dim, self.batch, self.tuned = model.latent_dim, batch, tuned
        options: dict[str, Any] = {"lr": 2e-4, "betas": (0.5, 0.999)}
        if tuned:
            options["fused"] = True
        self.of_generator = torch.optim.Adam(self.generator.parameters(), **options)
        self.of_critic = torch.optim.Adam(self.critic.parameters(), **options)
        self.k = 0

    def run(self, steps: int) -> None:
        """Train for some steps."""
        for _ in range(steps):
            self.step(self.batch(self.k))
            self.k += 1

    def step(self, x: torch.Tensor) -> None:
        """One critic and one generator update."""
        fakes = self.generator(torch.randn(len(x), self.latent_dim))
        loss = softplus(-self.critic(x)).mean() + softplus(self.critic(fakes.detach())).mean()
        self.of_critic.zero_grad()
        loss.backward()
        self.of_critic.step()
        if self.tuned:
            self.critic.requires_grad_(False)
        else:
            fakes = self.generator(torch.randn(len(x), self.latent_dim))
        loss = softplus(-self.critic(fakes)).mean()
        self.of_generator.zero_grad()
        loss.backward()
        self.of_generator.step()
        if self.tuned:
            self.critic.requires_grad_(True)


class TakeTurns(Callback):
    """Hands the processor to the other loops after each round of genexp's steps, and times everybody."""

    def __init__(self, others: dict[str, HandWritten], steps: int) -> None:
        self.others, self.steps = others, steps
        self.seconds: dict[str, list[float]] = {name: [] for name in (*others, "genexp")}
        self._since = 0.0

    def on_train_start(self, trainer: Any, pl_module: Any) -> None:
        """Make the inner loop hand over at the end of each round."""
        pl_module.regime.clock.watch([self.steps])
        self._since = time.perf_counter()

    def on_train_batch_end(self, trainer: Any, pl_module: Any, *_: Any) -> None:
        """Let the others run when a round is over."""
        if pl_module.regime.clock.step % self.steps:
            return
        self.seconds["genexp"].append(time.perf_counter() - self._since)
        for name, loop in self.others.items():
            started = time.perf_counter()
            loop.run(self.steps)
            self.seconds[name].append(time.perf_counter() - started)
        self._since = time.perf_counter()


def measure(name: str, overrides: list[str], rounds: int, folder: Path) -> TakeTurns:
    """Run one workload; the first round warms up and is left out."""
    steps = STEPS[name]
    every = [f"max_steps={steps * (rounds + 1)}", "score_every=0", f"checkpoint_every={max(5 * steps, 500)}"]
    config = configs.compose_train([*overrides, *every, f"name=throughput-{name}"]).config
    session = build_session(config)
    run = Run(folder / name)
    run.create(configs.to_plain(config), {})
    dataset = session.data.train_dataloader().dataset
    others = {
        label: HandWritten(session.model, lambda k: dataset[k]["x"], tuned)
        for label, tuned in (("textbook", False), ("tuned", True))
    }
    turns = TakeTurns(others, steps)
    trainer, _ = make_trainer(session, config, run, None, lambda step: None)
    trainer.callbacks.append(turns)
    trainer.fit(session.model, datamodule=session.data)
    return turns


def report(name: str, turns: TakeTurns) -> str:
    """Print the medians of the rounds after the first; the README's row."""
    seconds = {label: values[1:] for label, values in turns.seconds.items()}
    rates = {label: turns.steps / statistics.median(values) for label, values in seconds.items()}
    print(f"\n{name}: {len(seconds['genexp'])} rounds of {turns.steps} steps, {torch.get_num_threads()} threads")
    for label, rate in rates.items():
        ratios = [ratio(seconds, other, label) for other in ("textbook", "tuned")]
        print(f"  {label:9} {rate:8.1f} steps/s   {ratios[0]:5.2f} x textbook   {ratios[1]:5.2f} x tuned")
    cells = [f"{rates[label]:.1f}" for label in ("textbook", "tuned", "genexp")]
    cells += [f"{ratio(seconds, other, 'genexp'):.2f}" for other in ("textbook", "tuned")]
    return f"| {name} | {' | '.join(cells)} |"


def ratio(seconds: dict[str, list[float]], other: str, label: str) -> float:
    """How many times as fast as `other` a loop is: the median over the rounds."""
    return statistics.median(a / b for a, b in zip(seconds[other], seconds[label], strict=True))


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("workloads", nargs="*", default=list(WORKLOADS))
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument(
        "--mnist", default=os.environ.get("GENEXP_MNIST", "ylecun/mnist"), help="MNIST: hub id or folder"
    )
    parser.add_argument("--threads", type=int, default=None, help="threads of all three loops")
    parser.add_argument("--write", action="store_true", help="write the table into the README")
    arguments = parser.parse_args()
    if arguments.threads:
        torch.set_num_threads(arguments.threads)
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for name in arguments.workloads or WORKLOADS:
            extra = [f"dataset.path={arguments.mnist}"] if name == "28x28" else []
            rows.append(report(name, measure(name, [*WORKLOADS[name], *extra], arguments.rounds, Path(folder))))
    if arguments.write:
        head = "| workload | textbook loop, steps/s | tuned loop | genexp | genexp / textbook | genexp / tuned |"
        remark = f"{torch.get_num_threads()} threads, three loops in turns, medians of {arguments.rounds} rounds."
        fill(
            "throughput", [head, "|---|---|---|---|---|---|", *rows], "python benchmarks/throughput.py --write", remark
        )


if __name__ == "__main__":
    main()
