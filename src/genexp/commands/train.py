"""`genexp train`: compose, check, train, score, show."""

import os
import signal
import sys
import time
from typing import TYPE_CHECKING, Any

from omegaconf import OmegaConf

from genexp import config as configs
from genexp.commands import indexed
from genexp.commands.admission import Ticket, admit
from genexp.commands.arguments import refuse_unknown_flags, take_flag, take_option
from genexp.commands.distributed import (
    hardware_of,
    note_hardware,
    tell,
    train_together,
    wait_for_all,
    watch_over,
)
from genexp.commands.multirun import asks_for_several, run_all
from genexp.errors import Diverged, UserError
from genexp.exit_codes import stop_code
from genexp.ranks import here
from genexp.runs import Run, make_importable
from genexp.storage.places import shown

if TYPE_CHECKING:
    from genexp.assembly import Session
    from genexp.data.module import DataModule
    from genexp.evaluation.protocol import Protocol

USAGE = "genexp train [key=value ...] [-m [--index N | --jobs]] [--config-dir DIR] [--cfg]"
HELP = f"""{USAGE}

Train a model, score it and show samples. Everything is set by Hydra overrides:

  group=option          choose an option of a group (genexp list shows them): dataset, model, network, loss, penalty,
                        constraint, augment, plan, optimizer, schedule, ema, trainer, evaluation, logger, experiment
  group.key=value       change one value, for example optimizer.lr=1e-4 or dataset.path=...
  seed=3 batch_size=64 max_steps=20000          the run itself
  log_every= score_every= checkpoint_every=     steps between rows, fast scores, checkpoints
  resume=auto           go on with the newest unfinished run (of this config, if one is given), or start it
  resume=RUN            go on with that run
  run_dir=DIR           the run's folder; by default runs/<name>/<time>-s<seed>-<config>

  -m                    every combination of values given as a=1,2, each in a process of its own. The same command again
                        skips what is done, goes on with what was cut off, and runs what is missing
  -m FILE.yaml          the same with the overrides in a file, such as those in sweeps/
  seeds=5               five runs of each combination, with seed, seed + 1, ...; works without -m too
  sweep=NAME            the sweep's name; its folder is runs/sweeps/NAME
  launcher=local        local | joblib | submitit: where jobs run; launcher.jobs=2 for two at a time
  search=none           none | random | optuna: try values from ranges in place of every combination
  --index N             with -m: train the job of that number, from 0 on, in this process: for a scheduler's arrays
  --jobs                with -m: list the jobs with their numbers and stop
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
    index, jobs = take_option(arguments, "--index"), take_flag(arguments, "--jobs")
    refuse_unknown_flags(arguments, USAGE)
    stop_code(signal.SIGTERM)  # what is no exit code is refused before anything is trained
    if multirun or (asks_for_several(arguments) and not show):
        return _train_several(arguments, index, jobs, config_dir)
    if jobs or index is not None:
        raise UserError("--index and --jobs are about the jobs of a sweep: add -m.")
    if here().several and not show:
        return train_together(here(), lambda: admit(arguments, config_dir), train)
    ticket = admit(arguments, config_dir)
    if show:
        print(OmegaConf.to_yaml(ticket.config), end="")
        return 0
    return _train_here(ticket)


def _train_here(ticket: Ticket) -> int:
    """Train in this process, and in others that it starts if the run is distributed."""
    if hardware_of(ticket).processes == 1:
        return train(ticket)
    return train_together(here(), lambda: ticket, train)


def _train_several(words: list[str], index: str | None, jobs: bool, config_dir: str | None) -> int:
    """A sweep: list its jobs, train one of them here, or run them all."""
    if here().several:
        raise UserError("A sweep starts the processes of its jobs itself: give its command once, in one process.")
    if jobs:
        for line in indexed.listed(words, config_dir):
            print(line)
        return 0
    if index is None:
        return run_all(words, config_dir)
    run, code = indexed.prepared(words, index, config_dir)
    if code is not None:
        return code
    resume = f"resume={run.folder}"
    sys.argv[1:] = ["train", resume]  # with which Lightning starts the other ranks
    return _train_here(admit([resume], None))


def train(ticket: Ticket) -> int:
    """Train, score and show one run; the exit code.

    The run is held from the first step to the score, so that two processes never do the same work.
    """
    run = ticket.run
    if ticket.is_child:  # the first process holds the lock, keeps the record and has the checkpoint
        stopped, _ = _fit(ticket, _session(ticket, ticket.start), None)
        return 0 if stopped is None else stop_code(stopped)
    print(f"genexp: {ticket.config.name}, seed {ticket.config.seed}", flush=True)
    if ticket.is_new:
        session = _session(ticket, 0)  # what cannot work is refused before there is a folder
        with run.claimed():
            run.create(
                configs.to_plain(ticket.config),
                ticket.choices,
                ticket.python_path,
                overrides=ticket.overrides,
                config_dir=ticket.config_dir,
            )
            return _recorded(ticket, session)
    with run.claimed():
        if run.record["status"] == "complete":  # read under the lock: another process may just have ended it
            print(f"genexp: {shown(run.folder)} is complete: score it again with genexp evaluate.")
            return 0
        return _recorded(ticket, None)


def _recorded(ticket: Ticket, session: "Session | None") -> int:
    """Train and score; what goes wrong is the run's record."""
    run = ticket.run
    run.update(status="running", **({"failure": None} if "failure" in run.record else {}))
    try:
        return _train_and_score(ticket, session)
    except Diverged as error:
        run.update(status="diverged", failure=str(error))
        raise
    except Exception as error:
        first = next((line.strip() for line in str(error).splitlines() if line.strip()), "no message")
        sentence = str(error) if isinstance(error, UserError) else f"{type(error).__name__}: {first}"
        run.update(status="failed", failure=sentence)
        raise


def _train_and_score(ticket: Ticket, session: "Session | None") -> int:
    run, config = ticket.run, ticket.config
    state, start = _newest(run)
    if state is not None:
        print(f"genexp: going on from step {start} of {shown(run.folder)}", flush=True)
    note_hardware(ticket, start)
    loggers: list[Any] = []
    prepared = None
    if start < config.max_steps:
        session = session or _session(ticket, start)
        stopped, loggers = _fit(ticket, session, state)
        if stopped is not None:
            return _report_stop(run, stopped, loggers)
        prepared = session.data, session.protocol
    else:  # it was cut off while it was scored: its loggers still lack the score
        _prepare_process(ticket)
        loggers = configs.build(config.logger, "logger")(run, configs.to_plain(config))
    _finish(run, loggers, prepared)
    return 0


def _newest(run: Run) -> tuple[dict[str, Any] | None, int]:
    """The newest whole checkpoint, if there is one, and its step."""
    from genexp.training import checkpoint  # brings torch, which takes seconds

    state, refused = checkpoint.latest(run.checkpoints)
    for sentence in refused:
        print(f"genexp: {sentence}", file=sys.stderr)
    return state, int(state["step"]) if state else 0


def _prepare_process(ticket: Ticket) -> None:
    from genexp.trainer import set_threads

    make_importable(ticket.python_path)
    set_threads(hardware_of(ticket))


def _session(ticket: Ticket, start: int) -> "Session":
    from genexp.assembly import build_session

    _prepare_process(ticket)
    tell(ticket, start)
    session = build_session(ticket.config, start)
    wait_for_all(ticket)
    return session


def _fit(ticket: Ticket, session: "Session", state: dict[str, Any] | None) -> tuple[int | None, list[Any]]:
    """Run the steps; the signal that ended them early, or None, and the loggers, still open."""
    from genexp.reporting.loggers import finish
    from genexp.trainer import make_trainer, model_size
    from genexp.training.strategy import dissolve

    run, first = ticket.run, not ticket.is_child
    if first:
        run.update(parameters=model_size(session.model))
    watch_over(ticket)
    record = run.record if first else {}
    seconds = record.get("seconds", 0.0) - time.perf_counter()
    cpu_seconds = record.get("cpu_seconds", 0.0) - _cpu_seconds()

    def note(step: int) -> None:
        run.update(step=step, seconds=seconds + time.perf_counter(), cpu_seconds=cpu_seconds + _cpu_seconds())

    trainer, stop = make_trainer(session, ticket.config, run, state, note, ticket.meeting)
    try:
        trainer.fit(session.model, datamodule=session.data)
    except Exception as error:
        reason = ticket.meeting.explain(error) if ticket.meeting else error
        if first:
            note(session.regime.clock.step)
            finish(trainer.loggers, exit_code=1)
        if reason is error:
            raise
        raise reason from error
    dissolve()
    if ticket.meeting:
        ticket.meeting.close()
    if first:
        note(session.regime.clock.step)
    stopped = None if session.regime.clock.finished else (stop.received or signal.SIGTERM)
    return stopped, trainer.loggers


def _cpu_seconds() -> float:
    """What this process and its ended children have used of the processors, user and system."""
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system


def _report_stop(run: Run, number: int, loggers: list[Any]) -> int:
    from genexp.reporting.loggers import finish

    finish(loggers)
    run.update(status="stopped")
    print(
        f"genexp: stopped at step {run.record['step']}; go on with: genexp train resume={shown(run.folder)}",
        flush=True,
    )
    return stop_code(number)


def _finish(run: Run, loggers: list[Any], prepared: "tuple[DataModule, Protocol] | None") -> None:
    """Score the trained run, once, and show what came of it."""
    from genexp.commands.evaluate import evaluate
    from genexp.reporting.loggers import finish
    from genexp.training import checkpoint

    row = None
    if run.scores():  # of a process that was killed between its score and its last word
        state, _ = checkpoint.latest(run.checkpoints)
        row = run.final_score(state["step"], "ema" if state["ema"] else "raw") if state else None
    if row is None:
        try:
            row, picture = evaluate(run, prepared=prepared)
        except Exception:
            finish(loggers, exit_code=1)
            raise
    else:
        picture = run.samples / f"final-{row['weights']}.png"
    finish(loggers, row, picture)
    run.update(status="complete")
