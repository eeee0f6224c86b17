"""`genexp wandb`: send offline runs to Weights & Biases, and build the dashboards of a project."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from genexp.commands.arguments import refuse_unknown_flags, run_and_settings, take_flag
from genexp.errors import UserError

USAGE = "genexp wandb sync DIR... [dry_run=true] | genexp wandb dashboard [project=genexp ...]"
HELP = f"""{USAGE}

  sync DIR...     upload the offline runs at or below these folders, the parts of a resumed run in their order;
                  what was sent before is left out
    dry_run=true    only say what would be sent

  dashboard       a workspace and a report of a project as code: fast scores over steps by setting, losses, samples,
                  the table of final scores; written as JSON files
    project=genexp  the W&B project
    entity=null     a team, or your own account; needed to save
    sweep=null      only the runs of one sweep
    headline=null   the score to rank by, such as hq or fd32c; by default a panel for each that genexp has
    out=wandb-dashboard   the folder of the files
    save=true       send both to the server as well
"""
DASHBOARD = {
    "project": "genexp",
    "entity": None,
    "sweep": None,
    "headline": None,
    "out": "wandb-dashboard",
    "save": False,
}


def main(arguments: list[str]) -> int:
    """Run `genexp wandb`."""
    arguments = list(arguments)
    if not arguments or take_flag(arguments, "-h", "--help"):
        print(HELP, end="")
        return 0
    refuse_unknown_flags(arguments, USAGE)
    action, *rest = arguments
    if action == "sync":
        return _sync(rest)
    if action == "dashboard":
        return _dashboard(rest)
    raise UserError(f"There is no genexp wandb {action}: {USAGE}")


def _sync(arguments: Sequence[str]) -> int:
    from genexp.reporting import wandb_sync
    from genexp.reporting.wandb_account import require_login, server
    from genexp.reporting.wandb_folders import is_training, runs_below, segments

    folders = [Path(argument) for argument in arguments if "=" not in argument]
    _, settings = run_and_settings([a for a in arguments if "=" in a] + ["DIR"], {"dry_run": False}, USAGE)
    if not folders:
        raise UserError(f"Give the folders whose runs are to be sent: {USAGE}")
    runs = runs_below(folders)
    busy = [run for run in runs if is_training(run)]
    found = [segment for run in runs if run not in busy for segment in segments(run)]
    waiting = [segment for segment in found if not segment.sent]
    if waiting and not settings["dry_run"]:
        require_login()
        wandb_sync.require_server(server())
    for run in busy:
        print(f"genexp: {run} is still training: sync it when it has ended.")
    print(f"genexp: {len(waiting)} offline parts of {len({s.run for s in waiting})} runs to send", end="")
    print(f", {len(found) - len(waiting)} sent before.")
    if settings["dry_run"]:
        for segment in waiting:
            print(f"  {segment.log.parent}  ->  {segment.wandb_id}")
        return 0
    failed = wandb_sync.send(waiting)
    for segment in failed:
        print(f"genexp: {segment.log.parent} was not sent: see what wandb sync said above.")
    return 1 if failed else 0


def _dashboard(arguments: Sequence[str]) -> int:
    from genexp.reporting.wandb_account import require_login

    _, settings = run_and_settings([*arguments, "PROJECT"], DASHBOARD, USAGE)
    _check(settings)
    if settings["save"]:
        require_login("or leave save=true out")
    from genexp.reporting import wandb_dashboard

    view = wandb_dashboard.View(settings["project"], settings["entity"], settings["sweep"], settings["headline"])
    for path in wandb_dashboard.write(view, Path(settings["out"])):
        print(f"genexp: wrote {path}")
    for address in wandb_dashboard.save(view) if settings["save"] else ():
        print(f"genexp: saved {address}")
    return 0


def _check(settings: dict[str, Any]) -> None:
    for key in ("entity", "sweep", "headline"):
        if settings[key] is not None:
            settings[key] = str(settings[key])
    if settings["save"] and not settings["entity"]:
        raise UserError("save=true needs to know where: give entity=YOUR_ACCOUNT or a team.")
