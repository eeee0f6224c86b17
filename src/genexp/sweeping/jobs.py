"""What a sweep's command line means: presets, combinations of values, and the jobs that come of them."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from genexp import config as configs
from genexp.errors import UserError
from genexp.runs import Run

NOT_RECORDED = (*configs.OF_A_SWEEP, "resume", "run_dir", "progress")
"""Keys that nobody has to give again to get the same run."""


@dataclass(frozen=True)
class Job:
    """One run of a sweep.

    Attributes:
        run: its folder, named by the hash of its config and its seed.
        overrides: what a person gives after `genexp train` to get this run, the seed included.
        plain: the resolved config.
        choices: the option chosen for each group.
        config_dir: the folder of the user's own groups.
    """

    run: Run
    overrides: tuple[str, ...]
    plain: dict[str, Any]
    choices: dict[str, str]
    config_dir: str | None = None

    @property
    def label(self) -> str:
        """The job as a person would ask for it."""
        return " ".join(self.overrides)


@dataclass(frozen=True)
class Request:
    """The words of a sweep's command line, sorted.

    Attributes:
        overrides: those of the jobs, in Hydra's sweep syntax.
        own: those of the sweep itself: `seeds`, `sweep`, `launcher`, `search`.
        preset: the name of the file that some of them came from.
    """

    overrides: tuple[str, ...]
    own: tuple[str, ...]
    preset: str | None

    @classmethod
    def of(cls, words: Sequence[str]) -> "Request":
        """Read presets and sort the overrides; what stands later on the line wins.

        Raises:
            UserError: if a preset is missing or damaged, or a key of the sweep itself is swept.

        Example:
            >>> Request.of(["loss=hinge,wasserstein", "seeds=3", "loss=hinge"])
            Request(overrides=('loss=hinge',), own=('seeds=3',), preset=None)
        """
        given: dict[str, str] = {}
        preset = None
        for word in words:
            is_file = "=" not in word and word.endswith((".yaml", ".yml"))
            if is_file:
                preset = Path(word).stem
            for override in read_preset(Path(word)) if is_file else [word]:
                key = key_of(override)
                given.pop(key, None)
                given[key] = configs.quoted(override)
        own = {key: override for key, override in given.items() if key.split(".")[0] in configs.OF_A_SWEEP}
        for override in own.values():
            if is_swept(override):
                raise UserError(f"{override} belongs to the whole sweep: give it one value.")
        return cls(tuple(override for key, override in given.items() if key not in own), tuple(own.values()), preset)

    @property
    def swept(self) -> list[str]:
        """The keys with several values."""
        return [key_of(override) for override in self.overrides if is_swept(override)]

    @property
    def fixed(self) -> list[str]:
        """The jobs' overrides that have one value."""
        return [override for override in self.overrides if not is_swept(override)]

    @property
    def searches(self) -> bool:
        """Whether the jobs are chosen by a search, so that ranges need not be lists."""
        return any(key_of(override) == "search" and not override.endswith("=none") for override in self.own)


def key_of(override: str) -> str:
    """The key of an override, without Hydra's signs for adding and deleting."""
    return override.split("=", 1)[0].lstrip("+~").split("@")[0]


def read_preset(path: Path) -> list[str]:
    """The overrides in a file: a mapping from keys to values in Hydra's sweep syntax.

    Where there is no such file, genexp's own of that name is meant, so that the presets can be used everywhere.

    Raises:
        UserError: if the file is missing or holds anything else.
    """
    own = configs.conf_dir().parent / "sweeps" / path.name  # in a checkout as in a wheel
    if not path.is_file() and path in (Path("sweeps") / path.name, Path(path.name)):
        path = own
    if not path.is_file():
        raise UserError(f"There is no preset {path}: give the path of a YAML file with one override in each line.")
    try:
        content = yaml.load(path.read_text(), Loader=yaml.BaseLoader)  # everything as it is written; Hydra reads it
    except yaml.YAMLError as error:
        raise UserError(f"{path} does not parse: {str(error).splitlines()[0]}.") from error
    if not isinstance(content, dict):
        raise UserError(f"{path} is not a preset: it must hold lines such as loss: hinge,wasserstein.")
    return [f"{key}={_value(value, f'{path}: {key}')}" for key, value in content.items()]


def _value(value: Any, where: str) -> str:
    if isinstance(value, list):
        return f"[{','.join(_value(item, where) for item in value)}]"
    if not isinstance(value, str):
        raise UserError(f"{where} holds a mapping: write its keys with dots, such as optimizer.lr: 1e-3,1e-4.")
    return value


def combinations(overrides: Sequence[str]) -> list[list[str]]:
    """Every combination of the values, in Hydra's sweep syntax (`a=1,2`, `seed=range(5)`, `choice(...)`).

    Raises:
        UserError: if an override does not parse.

    Example:
        >>> combinations(["loss=hinge", "seed=range(2)"])
        [['loss=hinge', 'seed=0'], ['loss=hinge', 'seed=1']]
    """
    from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
    from hydra.core.override_parser.overrides_parser import OverridesParser
    from hydra.errors import HydraException

    try:
        parsed = OverridesParser.create().parse_overrides(list(overrides))
        batches = BasicSweeper.split_arguments(parsed, max_batch_size=None)
    except HydraException as error:
        raise UserError(f"The sweep does not parse: {str(error).splitlines()[0]}.") from error
    return [list(job) for batch in batches for job in batch]


def is_swept(override: str) -> bool:
    """Whether an override has several values.

    Raises:
        UserError: if it does not parse.
    """
    from hydra.core.override_parser.overrides_parser import OverridesParser
    from hydra.errors import HydraException

    try:
        return bool(OverridesParser.create().parse_override(override).is_sweep_override())
    except HydraException as error:
        raise UserError(f"{override} does not parse: {str(error).splitlines()[0]}.") from error


def recorded(overrides: Sequence[str], seed: int) -> tuple[str, ...]:
    """The overrides that get the same run again, with its seed."""
    kept = [o for o in overrides if key_of(o).split(".")[0] not in NOT_RECORDED and key_of(o) != "seed"]
    return (*kept, f"seed={seed}")
