"""The exit code of a command that was asked to stop, has saved, and is not at its end.

A scheduler that starts a job again when it fails takes 0 for the end. It says by GENEXP_STOP_CODE how a job that it
has to start again ends, such as 143: what a shell reports of a process that SIGTERM ended.
"""

import os
import signal

from genexp.errors import UserError

STOP_CODE_VARIABLE = "GENEXP_STOP_CODE"
"""The exit code after SIGTERM; 0 without it. The jobs of a sweep begin without it: the sweep's own command tells."""


def stop_code(received: int) -> int:
    """The exit code after a signal.

    Arguments:
        received: SIGINT or SIGTERM.

    Returns:
        130 after SIGINT; after SIGTERM what GENEXP_STOP_CODE says, else 0.

    Raises:
        UserError: if GENEXP_STOP_CODE is not an exit code.
    """
    text = os.environ.get(STOP_CODE_VARIABLE) or "0"
    if not text.isdecimal() or int(text) > 255:
        raise UserError(f"{STOP_CODE_VARIABLE}={text} is not an exit code: give a whole number from 0 to 255.")
    return 130 if received == signal.SIGINT else int(text)
