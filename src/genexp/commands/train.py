"""`genexp train`: compose, check, train, score, show."""

import os
import signal
import sys
import time
from contextlib import nullcontext
from typing import Any

from omegaconf import OmegaConf

from genexp import config as configs
from genexp.commands.admission import Ticket, admit
from genexp.commands.arguments import refuse_unknown_flags, take_flag, take_option
from genexp.commands.multirun import run_all
from genexp.errors import Diverged
from genexp.runs import RUN_DIR_VARIABLE, Run, make_importable

USAGE = "genexp train [key=value ...] [-m] [--config-dir DIR] [--cfg]"
HELP = f"""{USAGE}

Train a model, score it and show samples. Everything is set by Hydra overrides:

  group=option          choose an option of a group (genexp list shows them): dataset, model, network, loss, penalty,
                        constraint, plan, optimizer, schedule, ema, trainer, evaluation, logger, experiment
  group.key=value       change one value, for example optimizer.lr=1e-4 or dataset.path=...
  seed=3 batch_size=64 max_steps=20000          the run itself
  log_every= score_every= checkpoint_every=     steps between rows, fast scores, checkpoints
  resume=auto           go on with the newest unfinished run (of this config, if one is given), or start it
  resume=RUN            go on with that run
  run_dir=DIR           the run's folder; by default runs/<name>/<time>-s<seed>-<config>

  -m                    every combination of values given as a=1,2, each in a process of its own
  --config-dir DIR      a folder with your own groups, searched beside genexp's
  --cfg                 print the resolved config and stop
"""


def main(arguments: list[str]) -> int:
    """Run `genexp train`."""
    arguments = list(arguments)
    if take_flag(arguments, "-h", "--help"):
        print(HELP, end="")
        return 0
    multirun, show = take_flag(arguments, "-m", "--multirun"), take_flag(arguments, "--cfg")
    config_dir = take_option(arguments, "--config-dir")
    refuse_unknown_flags(arguments, USAGE)
    if multirun:
        return run_all(arguments, config_dir)
    ticket = admit(arguments, config_dir)
    if show:
        print(OmegaConf.to_yaml(ticket.config), end="")
        return 0
    return train(ticket)


def train(ticket: Ticket) -> int:
    """Train, score and show one run; the exit code."""
    if not ticket.is_child:
        print(f"genexp: {ticket.config.name}, seed {ticket.config.seed}", flush=True)
    from genexp.training import checkpoint  # brings torch, which takes seconds

    run, config = ticket.run, ticket.config
    if not ticket.is_new and not ticket.is_child and run.record["status"] == "complete":
        print(f"genexp: {run.folder} is complete: score it again with genexp evaluate.")
        return 0
    state, refused = checkpoint.latest(run.checkpoints) if not ticket.is_new else (None, [])
    for sentence in refused:
        print(f"genexp: {sentence}", file=sys.stderr)
    start = int(state["step"]) if state else 0
    if state is not None and not ticket.is_child:
        print(f"genexp: going on from step {start} of {run.folder}", flush=True)
    loggers: list[Any] = []
    if start < config.max_steps:
        stopped, loggers = _train_steps(ticket, state, start)
        if stopped is not None and not ticket.is_child:
            return _report_stop(run, stopped, loggers)
    if not ticket.is_child:
        _finish(run, loggers)
    return 0


def _train_steps(ticket: Ticket, state: dict[str, Any] | None, start: int) -> tuple[int | None, list[Any]]:
    """Run the steps; the signal that ended them early, or None, and the loggers, still open."""
    from genexp.assembly import Hardware, build_session
    from genexp.trainer import make_trainer, model_size, set_threads

    run, config = ticket.run, ticket.config
    make_importable(ticket.python_path)
    set_threads(Hardware.of(config.trainer, config.batch_size))
    session = build_session(config, start)
    with nullcontext() if ticket.is_child else run.locked():
        if ticket.is_new:
            run.create(configs.to_plain(config), ticket.choices, ticket.python_path)
        if not ticket.is_child:
            os.environ[RUN_DIR_VARIABLE] = str(run.folder)
            run.update(status="running", parameters=model_size(session.model))
        already, begun = run.record.get("seconds", 0.0), time.perf_counter()

        def note(step: int) -> None:
            run.update(step=step, seconds=already + time.perf_counter() - begun)

        trainer, stop = make_trainer(session, config, run, state, note)
        try:
            trainer.fit(session.model, datamodule=session.data)
        except Diverged as error:
            if not ticket.is_child:
                run.update(status="diverged", failure=str(error), step=session.regime.clock.step)
            raise
        finally:
            os.environ.pop(RUN_DIR_VARIABLE, None)
        if not ticket.is_child:
            note(session.regime.clock.step)
    stopped = None if session.regime.clock.finished else (stop.received or signal.SIGTERM)
    return stopped, trainer.loggers


def _report_stop(run: Run, number: int, loggers: list[Any]) -> int:
    from genexp.assembly import relative
    from genexp.reporting.loggers import finish

    finish(loggers)
    run.update(status="stopped")
    print(
        f"genexp: stopped at step {run.record['step']}; go on with: genexp train resume={relative(run.folder)}",
        flush=True,
    )
    return 130 if number == signal.SIGINT else 0


def _finish(run: Run, loggers: list[Any]) -> None:
    """Score the trained run and show what came of it."""
    from genexp.commands.evaluate import evaluate
    from genexp.reporting.loggers import finish

    row, picture = evaluate(run)
    finish(loggers, row["metrics"], picture)
    run.update(status="complete")
