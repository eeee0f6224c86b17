"""`genexp train`: compose, check, train, score, show."""

import os
import signal
import sys
import time
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from genexp import config as configs
from genexp.commands.arguments import refuse_unknown_flags, take_flag, take_option
from genexp.errors import Diverged, UserError
from genexp.runs import RUN_DIR_VARIABLE, Run, new_folder, unfinished

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
    original = list(arguments)
    multirun, show = take_flag(arguments, "-m", "--multirun"), take_flag(arguments, "--cfg")
    config_dir = take_option(arguments, "--config-dir")
    refuse_unknown_flags(arguments, USAGE)
    if multirun:
        from genexp.commands.multirun import multirun as run_all

        return run_all([a for a in original if a not in ("-m", "--multirun")], arguments, config_dir)
    ticket = admit(arguments, config_dir)
    if show:
        print(OmegaConf.to_yaml(ticket.config), end="")
        return 0
    if config_dir is not None:  # the user's own models are importable from their folder's parent and from here
        sys.path[:0] = [str(Path.cwd()), str(Path(config_dir).resolve().parent)]
    return train(ticket)


@dataclass
class Ticket:
    """What to train and where."""

    config: DictConfig
    choices: dict[str, str]
    run: Run
    is_new: bool
    is_child: bool


def admit(overrides: Sequence[str], config_dir: str | None) -> Ticket:
    """Compose the config and find the run's folder; nothing is written.

    Raises:
        UserError: if the config is wrong or the run cannot be resumed.
    """
    if int(os.environ.get("LOCAL_RANK", "0")) > 0 and RUN_DIR_VARIABLE in os.environ:
        decided = Run(os.environ[RUN_DIR_VARIABLE])  # a rank that Lightning started: the first one has decided all
        return Ticket(configs.from_plain(decided.config), {}, decided, False, True)
    given = {override.split("=", 1)[0] for override in overrides} - {"resume", "run_dir", "progress"}
    composed = configs.compose_train(overrides, config_dir)
    config, choices = composed.config, composed.choices
    if config.name is None:
        experiment = choices.get("experiment", "null")
        config.name = experiment if experiment not in ("null", "None") else f"{choices['dataset']}_{choices['model']}"
    run = _run_to_resume(config, bool(given))
    if run is not None:
        if given and configs.identity(configs.to_plain(config)) != run.record["identity"]:
            raise UserError(
                f"{run.folder} was trained with another config: give resume alone, or start a new run without it."
            )
        config = configs.from_plain({**run.config, "progress": config.progress})
        return Ticket(config, choices, Run(run.folder.resolve()), False, False)
    folder = Path(config.run_dir).resolve() if config.run_dir else new_folder(configs.to_plain(config))
    if (folder / "run.json").exists():
        raise UserError(f"{folder} holds a run already: add resume=auto to go on with it, or choose another run_dir.")
    return Ticket(config, choices, Run(folder), True, False)


def _run_to_resume(config: DictConfig, settings: bool) -> Run | None:
    """The run that `resume` means, None to start anew.

    `resume=auto` is the run in run_dir, or in this folder, or the newest unfinished one (of this config, if any setting
    is given).
    """
    if config.resume is None:
        return None
    if config.resume != "auto":
        return Run.open(config.resume)
    if config.run_dir is not None:
        run = Run(config.run_dir)
        return run if (run.folder / "run.json").is_file() else None
    if (Path.cwd() / "run.json").is_file():
        return Run(Path.cwd())
    return unfinished(config.paths.output, configs.identity(configs.to_plain(config)) if settings else None)


def train(ticket: Ticket) -> int:
    """Train, score and show one run; the exit code."""
    from genexp.training import checkpoint

    if not ticket.is_child:
        print(f"genexp: {ticket.config.name}, seed {ticket.config.seed}", flush=True)

    run, config = ticket.run, ticket.config
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
    from genexp.assembly import build_session
    from genexp.trainer import make_trainer, model_size, set_threads

    run, config = ticket.run, ticket.config
    set_threads(config)
    session = build_session(config, start)
    with nullcontext() if ticket.is_child else run.locked():
        if ticket.is_new:
            run.create(configs.to_plain(config), ticket.choices)
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
