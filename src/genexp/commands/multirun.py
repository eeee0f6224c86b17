"""`genexp train -m`: every combination of values, each in a process of its own.

A fresh process for each job: nothing leaks from one to the next (random state, W&B run, process groups), and a job may
itself start the ranks of a distributed run.
"""

import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from types import FrameType

from genexp.commands.admission import admit
from genexp.errors import UserError

RANK_VARIABLES = ("LOCAL_RANK", "NODE_RANK", "GROUP_RANK", "RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")


def jobs(overrides: Sequence[str]) -> list[list[str]]:
    """The override list of each job, in Hydra's sweep syntax (`a=1,2`, `seed=range(5)`, `choice(...)`).

    Raises:
        UserError: if an override does not parse.

    Example:
        >>> jobs(["loss=hinge", "seed=range(2)"])
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


def run_all(overrides: list[str], config_dir: str | None) -> int:
    """Check every job, then run them one after another; 0 if all of them went well, else 1."""
    if any(override.startswith("run_dir=") for override in overrides):
        raise UserError("Each job of a sweep has a folder of its own: leave run_dir out, or set paths.output.")
    extra = [] if config_dir is None else ["--config-dir", config_dir]
    todo = jobs(overrides)
    for job in todo:  # a misspelt key in the last job fails before the first one trains
        admit(job, config_dir)
    environment = {key: value for key, value in os.environ.items() if key not in RANK_VARIABLES}
    failed = []
    for number, job in enumerate(todo, 1):
        print(f"genexp: job {number} of {len(todo)}: {' '.join(job)}", flush=True)
        command = [sys.executable, "-m", "genexp", "train", *job, *extra]
        code = _wait(subprocess.Popen(command, env=environment))
        if code:
            failed.append((job, code))
    for job, code in failed:
        print(f"genexp: failed with exit code {code}: {' '.join(job)}", file=sys.stderr)
    return 1 if failed else 0


def _wait(process: subprocess.Popen[bytes]) -> int:
    """The job's exit code; a signal to the sweep lets the job save before the sweep ends."""

    def forward(number: int, frame: FrameType | None) -> None:
        if number == signal.SIGTERM:  # Ctrl-C reaches the job by itself
            process.terminate()
        sys.exit(process.wait() or 128 + number)

    previous = {number: signal.signal(number, forward) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        return process.wait()
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
