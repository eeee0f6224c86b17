"""Sending offline segments to the W&B server with W&B's own `wandb sync`."""

import os
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Sequence

from genexp.errors import UserError
from genexp.reporting.wandb_folders import Segment, cut_torn_end, is_empty

PATIENCE = 10.0
"""Seconds to wait for the server's first answer."""
OF_A_RUN = ("WANDB_MODE", "WANDB_SILENT", "WANDB_RUN_ID", "WANDB_RESUME", "WANDB_SWEEP_ID")
"""Variables with which `wandb sync` would believe to be a run itself."""


def require_server(address: str) -> None:
    """Refuse to start without a server: `wandb sync` marks what it could not send as sent.

    Arguments:
        address: where the server is; any answer will do.

    Raises:
        UserError: if nothing answers.
    """
    try:
        urllib.request.urlopen(address, timeout=PATIENCE).close()
    except urllib.error.HTTPError:
        return  # it refuses the page, but it is there
    except (OSError, ValueError) as error:
        reason = getattr(error, "reason", None) or error
        raise UserError(f"The W&B server {address} does not answer ({reason}): check the network.") from error


def send(waiting: Sequence[Segment]) -> list[Segment]:
    """Upload segments; those that W&B did not mark as sent.

    All go in one call: W&B sends the segments of one run one after the other, oldest first, and lets each go on where
    the run's history ends on the server.
    """
    for segment in waiting:
        cut_torn_end(segment.log)
        if is_empty(segment.log):
            segment.mark.touch()  # W&B would stop at it
    full = [segment for segment in waiting if not segment.sent]
    if not full:
        return []
    command = [sys.executable, "-m", "wandb", "sync", *(str(segment.log) for segment in full)]
    environment = {key: value for key, value in os.environ.items() if key not in OF_A_RUN}
    subprocess.run(command, env=environment, check=False)
    return [segment for segment in full if not segment.sent]
