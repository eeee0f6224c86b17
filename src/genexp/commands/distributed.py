"""`genexp train` in several processes: the first decides, writes and speaks, the others do what it tells them."""

import os
import sys
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

from genexp import config as configs
from genexp.commands.admission import Ticket
from genexp.errors import UserError
from genexp.locks import release_all
from genexp.ranks import Place
from genexp.runs import Run

if TYPE_CHECKING:
    from genexp.assembly import Hardware
    from genexp.training.meeting import Meeting


def hardware_of(ticket: Ticket) -> "Hardware":
    """The `trainer` group of a run, checked.

    Raises:
        UserError: if it cannot work.
    """
    from genexp.assembly import Hardware

    return Hardware.of(ticket.config.trainer, ticket.config.batch_size)


def train_together(place: Place, decide: Callable[[], Ticket], train: Callable[[Ticket], int]) -> int:
    """Train as one of several processes; the exit code.

    Arguments:
        place: which one this is.
        decide: finds the run and its folder; called in the first process alone.
        train: trains what a ticket says.

    Raises:
        UserError: if the run cannot begin or has ended too early, in the process that tells it to a person.
    """
    os.environ.setdefault("TORCH_CPP_LOG_LEVEL", "ERROR")  # its warnings of broken connections say less than genexp
    from genexp.training.meeting import Meeting

    meeting = Meeting(place)
    try:
        if place.first:
            ticket = decide()
            hardware = hardware_of(ticket)
            place.check(hardware.devices, hardware.num_nodes)
        else:
            ticket = _heard(meeting)
        return train(replace(ticket, meeting=meeting))
    except BaseException as error:
        told = meeting.explain(error)
        if told is error and not isinstance(error, UserError):
            raise  # its traceback says more
        if meeting.speaks(told):
            raise told from None
        return int(getattr(told, "exit_code", 1))
    finally:
        meeting.close()


def tell(ticket: Ticket, start: int) -> None:
    """Tell the other processes what to train, from step `start` on."""
    if ticket.meeting is None or not ticket.meeting.place.first:
        return
    hardware = hardware_of(ticket)
    ticket.meeting.tell(
        {
            "config": configs.to_plain(ticket.config),
            "folder": str(ticket.run.folder),
            "python_path": ticket.python_path,
            "start": start,
            "words": sys.argv[1:],
        },
        [f"{node}.{local}" for node in range(hardware.num_nodes) for local in range(hardware.devices)],
        hardware.timeout_s,
    )


def _heard(meeting: "Meeting") -> Ticket:
    told = meeting.hear()
    if told["words"] != sys.argv[1:]:
        raise UserError(
            f"This process was started with genexp {' '.join(sys.argv[1:])}, the first with "
            f"{' '.join(told['words'])}: give all machines the same line"
        )
    config, run = configs.from_plain(told["config"]), Run(told["folder"])
    return Ticket(config, {}, run, told["python_path"], is_new=False, is_child=True, start=told["start"])


def wait_for_all(ticket: Ticket) -> None:
    """Go on when the processes of all machines have built what they train: what fails in one is written in none.

    Those that genexp itself starts come later, when Lightning starts them.

    Raises:
        UserError: if another process has failed.
    """
    if ticket.meeting is not None:
        keys = ticket.meeting.expected
        alone = ticket.meeting.place.starts_others
        ticket.meeting.meet("session", [key for key in keys if key.endswith(".0")] if alone else keys)


def watch_over(ticket: Ticket) -> None:
    """Let the meeting say what to do when a process is lost, and put it into the run's record."""
    if ticket.meeting is None:
        return
    from genexp.training.meeting import print_sentence

    def record(error: UserError) -> None:
        print_sentence(error)
        if not ticket.is_child:
            ticket.run.update(status="failed", failure=str(error))
            release_all()

    ticket.meeting.advice = lambda: _advice(ticket)
    ticket.meeting.last_words = record


def _advice(ticket: Ticket) -> str:
    from genexp.storage.places import shown
    from genexp.training import checkpoint

    saved = checkpoint.saved(ticket.run.checkpoints)
    if not saved:
        return ": there is no checkpoint yet, so start the run again"
    again = f"genexp train resume={shown(ticket.run.folder)}"
    one = f", on one machine with {again} trainer.num_nodes=1" if hardware_of(ticket).num_nodes > 1 else ""
    return f": the run is saved up to step {checkpoint.step_of(saved[0])}; go on with {again}{one}"


def note_hardware(ticket: Ticket, start: int) -> None:
    """Record in `run.json`, and say, that a run goes on with another `trainer` than it was made with."""
    if not ticket.hardware:
        return
    run = ticket.run
    run.update(hardware=[*run.record.get("hardware", []), {"step": start, **ticket.hardware}])
    print(
        f"genexp: with {' '.join(f'trainer.{key}={value}' for key, value in ticket.hardware.items())} the run is from "
        f"step {start} on statistically the same, not to the bit.",
        flush=True,
    )
