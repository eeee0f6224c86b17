"""`genexp train -m`: every combination of values, or a search among them, each job in a process of its own."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from genexp import config as configs
from genexp.config import Composed
from genexp.errors import UserError
from genexp.exit_codes import stop_code
from genexp.storage.copies import deliver, fetched_all, share
from genexp.storage.places import folder_of, is_address, shown
from genexp.sweeping.display import display_for
from genexp.sweeping.folder import SweepFolder
from genexp.sweeping.grid import Grid
from genexp.sweeping.jobs import Job, Request, key_of
from genexp.sweeping.launchers import Launcher
from genexp.sweeping.scheduler import Outcome, Source, Stop, run_jobs

BAD = ("diverged", "failed")


def asks_for_several(overrides: Sequence[str]) -> bool:
    """Whether a command line without -m means several runs, by `seeds=5`.

    Raises:
        UserError: if it names a preset.
    """
    for override in overrides:
        if "=" not in override and override.endswith((".yaml", ".yml")):
            raise UserError(f"{override} is a sweep's preset: add -m.")
    return any(key_of(override) == "seeds" and override.split("=")[-1] not in ("null", "") for override in overrides)


def jobs(overrides: Sequence[str]) -> list[list[str]]:
    """The override list of each combination, the sweep's own keys in each of them.

    Raises:
        UserError: if an override does not parse.

    Example:
        >>> jobs(["loss=hinge", "seed=range(2)"])
        [['loss=hinge', 'seed=0'], ['loss=hinge', 'seed=1']]
    """
    request = Request.of(overrides)
    return [[*job, *request.own] for job in request.combinations()]


@dataclass(frozen=True)
class Asked:
    """What a sweep's command line asks for.

    Attributes:
        words: the command line behind `genexp train -m`.
        config_dir: the folder of the user's own groups.
        request: the words, sorted.
        settings: the config of the first job, with the sweep's own keys.
        folder: the sweep's folder.
    """

    words: tuple[str, ...]
    config_dir: str | None
    request: Request
    settings: Composed
    folder: SweepFolder

    @classmethod
    def of(cls, words: Sequence[str], config_dir: str | None) -> "Asked":
        """Read a command line; nothing is written.

        Raises:
            UserError: if it names a run's own folder or two kinds of seeds, or does not compose.
        """
        request = Request.of(words)
        for key in map(key_of, request.overrides):
            if key in ("run_dir", "resume"):
                raise UserError(f"Each job of a sweep has a folder of its own: leave {key} out, or set paths.output.")
        if "seed" in request.swept and any(key_of(override) == "seeds" for override in request.own):
            raise UserError("seeds=N counts on from one seed: give seeds or several values of seed, not both.")
        first = request.fixed if request.searches else request.combinations()[0]
        settings = configs.compose_train([*first, *request.own], config_dir)
        folder = SweepFolder(folder_of(settings.config.paths.output) / "sweeps" / _name(request, settings))
        return cls(tuple(words), config_dir, request, settings, folder)

    def command(self, *flags: str) -> list[str]:
        """The command as it was given."""
        extra = ["--config-dir", self.config_dir] if self.config_dir else []
        return ["genexp", "train", "-m", *self.words, *extra, *flags]


def run_all(words: list[str], config_dir: str | None) -> int:
    """Check every job, then run those that are not done; 0 if all of them are complete, else 1."""
    asked = Asked.of(words, config_dir)
    folder, config = asked.folder, asked.settings.config
    launcher = configs.build(config.launcher, "launcher")
    source: Source
    if launcher.outlives and is_address(str(config.paths.output)):
        raise UserError("launcher=submitit needs a folder that all nodes see: set paths.output to one.")
    fetched_all(folder.path)
    if config.search:
        if is_address(str(config.paths.output)):
            raise UserError(
                "A search keeps its journal in a file that all of its processes write: set paths.output to a folder."
            )
        from genexp.sweeping.search import search_source

        source, total = search_source(folder, asked.request, asked.settings.plain, config_dir)
    else:
        todo = folder.jobs(asked.request.combinations(), config.seeds, config_dir)
        source, total = Grid(folder, todo), len(todo)
    folder.note_call(asked.command(), total or 0)
    share(folder.path)
    return _run(folder, source, launcher, total, bool(config.progress))


def _name(request: Request, settings: Composed) -> str:
    """The sweep's name: the one given, the preset's, or the base name and the keys that vary."""
    if settings.config.sweep is not None:
        name = str(settings.config.sweep)
        if Path(name).name != name or name.startswith("."):
            raise UserError(
                f"sweep={name} is not a name: give a word without slashes; paths.output says where it goes."
            )
        return name
    if request.preset is not None:
        return request.preset
    return "-".join([settings.name, *(key for key in request.swept if key != "seed")])


def _run(folder: SweepFolder, source: Source, launcher: Launcher, total: int | None, progress: bool) -> int:
    skipped = len(source.skipped) if isinstance(source, Grid) else 0
    print(f"genexp: sweep {folder.name}: {'a search' if total is None else f'{total} jobs'}", end="")
    print(f", {skipped} of them done before" if skipped else "", flush=True)
    display = display_for(total, skipped, progress)
    with Stop() as stop:
        try:
            ended = run_jobs(source, launcher, display, stop)
        finally:
            display.close()
    if isinstance(source, Grid):
        ended += [(job, _before(job)) for job in source.skipped]  # some of them busy at first, in another process
    code = _tell(folder, ended)
    deliver(job.run for job, _ in ended)
    if not isinstance(source, Grid):
        print(f"genexp: see the winner with: genexp best {shown(folder.path)}", flush=True)
    if stop.received is not None:
        print("genexp: stopped; go on with the same command.", flush=True)
        return stop_code(stop.received)
    return code


def _before(job: Job) -> Outcome:
    record = job.run.record
    return Outcome(record["status"], record.get("failure"))


def _tell(folder: SweepFolder, ended: Sequence[tuple[Job, Outcome]]) -> int:
    """Print what became of the jobs; 1 if one of them came to nothing."""
    last = {job.run.folder: (job, outcome) for job, outcome in ended}.values()
    counts = Counter(outcome.status for _, outcome in last)
    print(
        f"genexp: {', '.join(f'{n} {status}' for status, n in sorted(counts.items())) or 'nothing to do'}", flush=True
    )
    for job, outcome in last:
        if outcome.status in BAD:
            print(
                f"genexp: {outcome.status}: {job.label}\n        {outcome.reason} ({job.run.folder.name})", flush=True
            )
    print(f"genexp: see the table with: genexp report {shown(folder.path)}", flush=True)
    return 1 if any(outcome.status not in ("complete", "pruned") for _, outcome in last) else 0
