"""What a `genexp train` command line means: a config, and the run's folder, new or to go on with."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from omegaconf import DictConfig

from genexp import config as configs
from genexp.errors import UserError
from genexp.runs import RUN_DIR_VARIABLE, Run, new_folder, python_path, unfinished
from genexp.sweeping.jobs import recorded


@dataclass
class Ticket:
    """What to train and where."""

    config: DictConfig
    choices: dict[str, str]
    run: Run
    python_path: list[str]
    is_new: bool
    is_child: bool
    overrides: tuple[str, ...] = ()
    config_dir: str | None = None


def admit(overrides: Sequence[str], config_dir: str | None) -> Ticket:
    """Compose the config and find the run's folder; nothing is written.

    Raises:
        UserError: if the config is wrong or the run cannot be resumed.
    """
    if int(os.environ.get("LOCAL_RANK", "0")) > 0 and RUN_DIR_VARIABLE in os.environ:
        decided = Run(os.environ[RUN_DIR_VARIABLE])  # a rank that Lightning started: the first one has decided all
        return Ticket(configs.from_plain(decided.config), {}, decided, decided.python_path, False, True)
    if int(os.environ.get("WORLD_SIZE", "1")) > 1:
        raise UserError("genexp starts the processes of a distributed run itself: give trainer=ddp trainer.devices=2.")
    if len(overrides) == 1 and overrides[0].startswith("resume=") and overrides[0] != "resume=auto":
        return _take_up(Run.open(overrides[0].removeprefix("resume=")))  # the folder says everything
    given = {override.split("=", 1)[0] for override in overrides} - {"resume", "run_dir", "progress"}
    composed = configs.compose_train(overrides, config_dir)
    config, choices = composed.config, composed.choices
    if config.search:
        raise UserError("A search runs many jobs: add -m.")
    config.name = composed.name
    run = _run_to_resume(config, bool(given))
    if run is not None:
        if given and configs.identity(configs.to_plain(config)) != run.record["identity"]:
            raise UserError(
                f"{run.folder} was trained with another config: give resume alone, or start a new run without it."
            )
        return _take_up(run, config.progress)
    folder = Path(config.run_dir).resolve() if config.run_dir else new_folder(configs.to_plain(config))
    if (folder / "run.json").exists():
        raise UserError(f"{folder} holds a run already: add resume=auto to go on with it, or choose another run_dir.")
    return Ticket(
        config,
        choices,
        Run(folder),
        python_path(config_dir),
        is_new=True,
        is_child=False,
        overrides=recorded(overrides, config.seed),
        config_dir=str(Path(config_dir).resolve()) if config_dir else None,
    )


def _take_up(run: Run, progress: bool | None = None) -> Ticket:
    """Go on with a run as it was configured."""
    plain = run.config if progress is None else {**run.config, "progress": progress}
    folder = Run(run.folder.resolve())
    return Ticket(configs.from_plain(plain), {}, folder, run.python_path, is_new=False, is_child=False)


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
