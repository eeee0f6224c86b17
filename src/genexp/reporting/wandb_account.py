"""Whether W&B knows who you are: looked up on this machine, never on the network."""

import netrc
import os
from pathlib import Path
from urllib.parse import urlsplit

from genexp.errors import UserError


def server() -> str:
    """The address of the W&B server, from the environment or W&B's settings files."""
    import wandb

    return str(wandb.setup().settings.base_url)


def logged_in() -> bool:
    """Whether a key is there: in the environment, or for the server in the file that `wandb login` writes."""
    if os.environ.get("WANDB_API_KEY") or os.environ.get("WANDB_IDENTITY_TOKEN_FILE"):
        return True
    path = Path(os.environ.get("NETRC") or "~/.netrc").expanduser()
    try:
        entry = netrc.netrc(path).authenticators(urlsplit(server()).netloc)
    except (OSError, netrc.NetrcParseError):
        return False
    return bool(entry and entry[2])


def require_login(otherwise: str = "") -> None:
    """Refuse to go on without a key.

    Arguments:
        otherwise: what else could be done, as the end of the sentence.

    Raises:
        UserError: if nobody is logged in.
    """
    if not logged_in():
        choice = f", {otherwise}" if otherwise else ""
        raise UserError(f"W&B does not know you: run wandb login or set WANDB_API_KEY{choice}.")
