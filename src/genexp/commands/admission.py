"""What a `genexp train` command line means: a config, and the run's folder, new or to go on with."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml
from omegaconf import DictConfig, OmegaConf

from genexp import config as configs
from genexp.errors import UserError
from genexp.runs import Run, new_folder, python_path, unfinished
from genexp.storage.copies import fetched, fetched_all
from genexp.storage.places import shown
from genexp.sweeping.jobs import key_of, recorded

if TYPE_CHECKING:
    from genexp.training.meeting import Meeting

CHANGES_NO_BIT = ("inner_seconds", "inner_steps", "timeout_s")
"""Keys of `trainer` that a resumed run may change and still end with the same bits."""


@dataclass
class Ticket:
    """What to train and where.

    Attributes:
        hardware: keys of `trainer` with which a resumed run goes on in place of its own.
        meeting: where the processes of a distributed run meet.
        start: the step to go on from, in a process that was told so.
    """

    config: DictConfig
    choices: dict[str, str]
    run: Run
    python_path: list[str]
    is_new: bool
    is_child: bool
    overrides: tuple[str, ...] = ()
    config_dir: str | None = None
    hardware: dict[str, Any] = field(default_factory=dict)
    meeting: "Meeting | None" = None
    start: int = 0


def admit(overrides: Sequence[str], config_dir: str | None) -> Ticket:
    """Compose the config and find the run's folder; nothing is written.

    Raises:
        UserError: if the config is wrong or the run cannot be resumed.
    """
    hardware = [override for override in overrides if key_of(override).split(".")[0] == "trainer"]
    others = [override for override in overrides if override not in hardware]
    if len(others) == 1 and others[0].startswith("resume=") and others[0] != "resume=auto":
        named = Run.open(others[0].removeprefix("resume="))  # the folder says everything
        return _take_up(named, _with(named, hardware, config_dir))
    given = {key_of(override) for override in others} - {"resume", "run_dir", "progress"}
    if hardware and not given and (asked := configs.compose_train(others, config_dir).config).resume is not None:
        meant = _run_to_resume(asked, False)
        if meant is not None:
            return _take_up(meant, _with(meant, hardware, config_dir), asked.progress)
    composed = configs.compose_train(overrides, config_dir)
    config, choices = composed.config, composed.choices
    if config.search:
        raise UserError("A search runs many jobs: add -m.")
    config.name = composed.name
    run = _run_to_resume(config, bool(given or hardware))
    if run is not None:
        plain = configs.to_plain(config)
        if given and not _same_but_hardware(plain, run):
            raise UserError(
                f"{shown(run.folder)} was trained with another config: give resume alone, or start a new run without "
                "it."
            )
        return _take_up(run, plain["trainer"] if given else {}, config.progress)
    folder = fetched(config.run_dir or new_folder(configs.to_plain(config))).resolve()
    if (folder / "run.json").exists():
        raise UserError(
            f"{shown(folder)} holds a run already: add resume=auto to go on with it, or choose another run_dir."
        )
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


def _take_up(run: Run, trainer: dict[str, Any], progress: bool | None = None) -> Ticket:
    """Go on with a run as it was configured, but where `trainer` says otherwise; an empty one says nothing."""
    plain = run.config if progress is None else {**run.config, "progress": progress}
    before, after = ({"num_nodes": 1, **node} for node in (plain["trainer"], trainer or plain["trainer"]))
    changes = {key: value for key, value in after.items() if before.get(key) != value and key not in CHANGES_NO_BIT}
    config, folder = configs.from_plain({**plain, "trainer": after}), Run(run.folder.resolve())
    return Ticket(config, {}, folder, run.python_path, is_new=False, is_child=False, hardware=changes)


def _with(run: Run, hardware: Sequence[str], config_dir: str | None) -> dict[str, Any]:
    """The `trainer` of a run, changed by such overrides; another option of the group takes its place."""
    options = [override for override in hardware if key_of(override) == "trainer"]
    node = configs.compose_train(options, config_dir).plain["trainer"] if options else run.config["trainer"]
    words = [override.lstrip("+").removeprefix("trainer.") for override in hardware if override not in options]
    try:
        changed = OmegaConf.from_dotlist(words)
    except yaml.YAMLError as error:
        raise UserError(f"{' '.join(hardware)} cannot be read: write it as in trainer.devices=2.") from error
    return {**node, **configs.to_plain(changed)}


def _same_but_hardware(plain: dict[str, Any], run: Run) -> bool:
    """Whether a config computes what a run does, on whatever machines."""
    if configs.identity(plain) == run.record["identity"]:
        return True
    return len({configs.identity({**config, "trainer": None}) for config in (plain, run.config)}) == 1


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
        run = Run(fetched(config.run_dir))
        return run if run.exists else None
    if (Path.cwd() / "run.json").is_file():
        return Run(Path.cwd())
    return unfinished(
        fetched_all(config.paths.output), configs.identity(configs.to_plain(config)) if settings else None
    )
