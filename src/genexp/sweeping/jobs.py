"""What a sweep's command line means: presets, combinations of values, and the jobs that come of them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path
from typing import Any

from genexp import config as configs
from genexp.errors import UserError
from genexp.runs import Run
from genexp.sweeping.presets import Alternatives, read_preset

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
        alternatives: a preset's axes whose points are several settings together, by name.
    """

    overrides: tuple[str, ...]
    own: tuple[str, ...]
    preset: str | None
    alternatives: Mapping[str, Alternatives] = field(default_factory=dict)

    @classmethod
    def of(cls, words: Sequence[str]) -> "Request":
        """Read presets and sort the overrides; what stands later on the line wins.

        Raises:
            UserError: if a preset is missing or damaged, or a key of the sweep itself is swept.

        Example:
            >>> Request.of(["loss=hinge,wasserstein", "seeds=3", "loss=hinge"])
            Request(overrides=('loss=hinge',), own=('seeds=3',), preset=None, alternatives={})
        """
        given: dict[str, str] = {}
        together: dict[str, Alternatives] = {}
        preset = None
        for word in words:
            if "=" not in word and word.endswith((".yaml", ".yml")):
                preset = Path(word).stem
                overrides, found = read_preset(Path(word))
                together.update(found)
            else:
                overrides = [word]
                together.pop(key_of(word), None)
            for override in overrides:
                key = key_of(override)
                given.pop(key, None)
                given[key] = configs.quoted(override)
        for name, axis in together.items():
            for key in {key_of(override) for settings in axis for override in settings} & set(given):
                raise UserError(f"{given[key]} is one of the settings that vary together under {name}: set {name}.")
        own = {key: override for key, override in given.items() if key.split(".")[0] in configs.OF_A_SWEEP}
        for override in own.values():
            if is_swept(override):
                raise UserError(f"{override} belongs to the whole sweep: give it one value.")
        jobs = tuple(override for key, override in given.items() if key not in own)
        return cls(jobs, tuple(own.values()), preset, together)

    def combinations(self) -> list[list[str]]:
        """The overrides of every job but for the seeds: each combination of the values and the alternatives."""
        axes = [[job for settings in axis for job in combinations(settings)] for axis in self.alternatives.values()]
        return [
            [*job, *(override for chosen in point for override in chosen)]
            for point in product(*axes)
            for job in combinations(self.overrides)
        ]

    @property
    def swept(self) -> list[str]:
        """The keys with several values."""
        return [*(key_of(override) for override in self.overrides if is_swept(override)), *self.alternatives]

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
