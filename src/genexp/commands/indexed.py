"""`genexp train -m ... --index N`: the job of that number, for the arrays of a scheduler; `--jobs` lists them."""

from collections.abc import Iterator

from genexp.commands.multirun import Asked
from genexp.errors import Diverged, UserError
from genexp.runs import Run
from genexp.storage.copies import fetched, share
from genexp.storage.places import shown
from genexp.sweeping.grid import DONE
from genexp.sweeping.jobs import Job


def listed(words: list[str], config_dir: str | None) -> Iterator[str]:
    """One line for each job of a sweep: its number from 0 on, and what a person gives to get it.

    Every job is composed, so that a mistake in any of them shows; nothing is written.

    Raises:
        UserError: if a job does not compose, or two of them are the same run.
    """
    seen: dict[str, int] = {}
    asked = Asked.of(words, config_dir)
    for number, job in enumerate(_all(asked)):
        first = seen.setdefault(job.run.folder.name, number)
        if first != number:
            raise UserError(f"The jobs {first} and {number} are the same run: leave out the value that stands twice.")
        yield f"{number} {job.label}"


def prepared(words: list[str], index: str, config_dir: str | None) -> tuple[Run, int | None]:
    """Make the folder of one job, as the whole sweep would.

    The job is found from its number alone: the others are not composed.

    Arguments:
        words: the command line of the sweep.
        index: the job's number, from 0 on, in the order of `listed`.
        config_dir: the user's own groups.

    Returns:
        The run, and the exit code if there is nothing to do any more.

    Raises:
        UserError: if there is no such job.
    """
    asked = Asked.of(words, config_dir)
    grid, seeds = _grid(asked)
    total = len(grid) * seeds
    if not index.isdecimal() or int(index) >= total:
        raise UserError(f"There is no job {index}: the sweep has {total}, so give --index 0 to {total - 1}.")
    row, offset = divmod(int(index), seeds)
    job = asked.folder.jobs([grid[row]], asked.settings.config.seeds, config_dir)[offset]
    fetched(job.run.folder)
    asked.folder.note_call(asked.command("--index", index), total)
    share(asked.folder.path)
    asked.folder.prepare(job)
    print(f"genexp: sweep {asked.folder.name}: job {index} of {total}: {job.label}", flush=True)
    status = job.run.record["status"]
    if status not in DONE:
        return job.run, None
    print(f"genexp: {shown(job.run.folder)} is {status} already.", flush=True)
    return job.run, 0 if status == "complete" else Diverged.exit_code


def _grid(asked: Asked) -> tuple[list[list[str]], int]:
    """The sweep's combinations, and how many seeds each of them has.

    Raises:
        UserError: if the jobs are chosen by a search.
    """
    if asked.settings.config.search:
        raise UserError("A search chooses its jobs one after another: --index and --jobs need search=none.")
    return asked.request.combinations(), asked.settings.config.seeds or 1


def _all(asked: Asked) -> Iterator[Job]:
    for overrides in _grid(asked)[0]:
        yield from asked.folder.jobs([overrides], asked.settings.config.seeds, asked.config_dir)
