"""What a search is told: the `search` group, and the space on the command line.

optuna is imported when a search begins, not before: it is an extra.
"""

from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any

from genexp import config as configs
from genexp.errors import UserError
from genexp.evaluation.registry import metric_info
from genexp.sweeping.folder import SweepFolder
from genexp.sweeping.jobs import Request

if TYPE_CHECKING:
    from genexp.sweeping.trials import Search

SAMPLERS = ("tpe", "cmaes", "random")
PRUNERS = ("median", "none")


@dataclass(frozen=True)
class SearchSettings:
    """How points are chosen, how trials are compared, and when it is enough.

    Attributes:
        trials: how many in all, over all processes and calls; None if the processor time alone decides.
        cpu_seconds: no trial begins once the trials have used so many; None for no limit.
        metric: a fast score of `metrics.csv`; None for the one that ranks on the data set.
        sampler: `tpe`, `cmaes` or `random`.
        pruner: `median` or `none`.
        startup_trials: so many are drawn at random and never pruned.
        warmup_steps: nothing is pruned before this training step.
        seed: of the points.

    Raises:
        UserError: if a value is out of range, or the packages for it are missing.
    """

    trials: int | None = 30
    cpu_seconds: float | None = None
    metric: str | None = None
    sampler: str = "tpe"
    pruner: str = "median"
    startup_trials: int = 8
    warmup_steps: int = 0
    seed: int = 0

    def __post_init__(self) -> None:
        if self.sampler not in SAMPLERS:
            raise UserError(f"search.sampler={self.sampler} is not known: give one of {', '.join(SAMPLERS)}.")
        if self.pruner not in PRUNERS:
            raise UserError(f"search.pruner={self.pruner} is not known: give one of {', '.join(PRUNERS)}.")
        for name, least in (("trials", 1), ("startup_trials", 0), ("warmup_steps", 0), ("seed", 0)):
            value = getattr(self, name)
            if name == "trials" and value is None:
                continue
            if not isinstance(value, int) or isinstance(value, bool) or value < least:
                raise UserError(f"search.{name}={value} is out of range: give a whole number of at least {least}.")
        seconds = self.cpu_seconds
        if seconds is not None and (not isinstance(seconds, int | float) or isinstance(seconds, bool) or seconds <= 0):
            raise UserError(f"search.cpu_seconds={seconds} is out of range: give seconds above 0, or null.")
        if self.trials is None and seconds is None:
            raise UserError("A search without search.trials and search.cpu_seconds never ends: give one of them.")
        if self.metric is not None and metric_info(str(self.metric).removeprefix("fast/")).better == "none":
            raise UserError(f"search.metric={self.metric} has no better and worse: give one such as coverage.")
        _require("optuna", "genexp searches with optuna")
        if self.sampler == "cmaes":
            _require("cmaes", "search.sampler=cmaes needs cmaes")


def search_source(
    folder: SweepFolder, request: Request, plain: dict[str, Any], config_dir: str | None
) -> tuple["Search", int | None]:
    """The search that a command line asks for, and its number of trials if that is given.

    Arguments:
        folder: the sweep's folder.
        request: the words of the command line.
        plain: the config of the words that have one value.
        config_dir: the user's own groups.

    Raises:
        UserError: if the space or a setting is wrong, or the folder holds another search.
    """
    settings: SearchSettings = configs.build(plain["search"], "search")  # says so if optuna is missing
    from genexp.sweeping.space import Space
    from genexp.sweeping.trials import Search

    for name in request.alternatives:
        raise UserError(f"A search varies one setting at a time: give {name} values in place of a list of mappings.")
    space = Space.of(request.overrides)
    for key in space.axes:
        if key == "seed":
            raise UserError("A search does not choose the luckiest seed: give seeds=3 for the mean over three.")
        if key.split(".")[0] in ("dataset", "evaluation"):
            raise UserError(f"Scores of different {key} do not compare: search with each one by itself.")
    probes = configs.compose_seeds(space.probes(), None, config_dir)
    for probe in (one for (one,) in probes):
        if not 0 < probe.config.score_every <= probe.config.max_steps:
            raise UserError("A search goes by the scores during training: give a score_every of 1 to max_steps.")
    seeds = range(plain["seed"], plain["seed"] + (plain["seeds"] or 1))
    question = configs.identity(probes[0][0].plain, with_seed=False)
    return Search(folder, space, settings, seeds, config_dir, question), settings.trials


def _require(package: str, why: str) -> None:
    try:
        import_module(package)
    except ImportError as error:
        raise UserError(f"{why}, which is not installed: pip install 'genexp[optuna]'.") from error
