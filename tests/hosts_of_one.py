"""One machine as several hosts: what Python reads when it starts, and the variables that make it do so."""

import os
from pathlib import Path

CUSTOMS = Path(__file__).parent / "host_customs"


def on_host(name: str | None, flock: bool = True, seconds: float | None = None) -> dict[str, str]:
    """The variables of processes on a host of that name, and of all that they start.

    Arguments:
        name: None for this one.
        flock: whether the system's locks do anything.
        seconds: how long leases last.
    """
    paths = [str(CUSTOMS), *filter(None, [os.environ.get("PYTHONPATH")])]
    variables = {"PYTHONPATH": os.pathsep.join(paths), "TEST_FLOCK": str(int(flock))}
    if name is not None:
        variables["TEST_HOST"] = name
    if seconds is not None:
        variables["GENEXP_LEASE_SECONDS"] = str(seconds)
    return variables
