"""The one exception that a person is meant to read."""


class UserError(Exception):
    """Something that the user can mend: one sentence that says what to change.

    The command line prints the sentence without a traceback and exits with code 2.
    """

    exit_code = 2


class Diverged(UserError):
    """A loss became NaN or infinite: recorded as the failure of that run, exit code 3."""

    exit_code = 3


class Unhealthy(Diverged):
    """An alarm of the health monitor ended the run: recorded as its failure, exit code 3."""


class Busy(UserError):
    """Another process works in this folder: exit code 4."""

    exit_code = 4


class Lost(UserError):
    """Another process of a distributed run is gone: the run goes on from its checkpoint, exit code 5."""

    exit_code = 5


class Undelivered(UserError):
    """The store did not take all of a run's output, which is whole on this machine: exit code 6."""

    exit_code = 6
