"""Where outputs are: addresses such as `s3://bucket/runs`, and the folders of this machine that stand for them.

The folder says its address: `<cache>/genexp-remote/work/s3/bucket/runs/x` is `s3://bucket/runs/x`. A process that is
given the folder alone, such as a sweep's job, therefore knows where the run belongs.
"""

import os
import re
from pathlib import Path
from typing import Any

from genexp import config as configs
from genexp.errors import UserError

REMOTE = "genexp-remote"
WORK, COPIES = "work", "copies"
"""Folders in which runs are trained, and copies for reading, which hold only what was asked for."""
ADDRESS = re.compile(r"([a-z][a-z0-9+.-]*)://(.+)")


def is_address(place: Path | str) -> bool:
    """Whether a place is in a store and not a folder of this machine.

    Example:
        >>> is_address("s3://bucket/runs"), is_address("runs")
        (True, False)
    """
    return isinstance(place, str) and "://" in place


def folder_of(place: Path | str, kind: str = WORK) -> Path:
    """The folder of this machine that stands for a place; of a folder it is itself.

    Arguments:
        place: a folder or an address.
        kind: `work`, or `copies` for what is only read.

    Raises:
        UserError: if the address is not of the form `protocol://bucket/path`.
    """
    if not is_address(place):
        return Path(place)
    match = ADDRESS.fullmatch(str(place).rstrip("/"))
    parts = [] if match is None else match[2].strip("/").split("/")
    if match is None or not set(parts).isdisjoint(("", ".", "..")):
        raise UserError(f"{place} is not an address: give one such as s3://bucket/runs.")
    return (Path(configs.own_cache()) / REMOTE / kind / match[1]).joinpath(*parts).absolute()


def address_of(folder: Path | str) -> str | None:
    """The address that a folder stands for; None for an ordinary folder.

    Example:
        >>> address_of("/cache/genexp-remote/work/s3/bucket/runs/x")
        's3://bucket/runs/x'
    """
    parts = Path(os.path.abspath(folder)).parts
    if REMOTE not in parts[:-3]:
        return None
    _, protocol, *rest = parts[parts.index(REMOTE) + 1 :]
    return f"{protocol}://{'/' * (protocol in ('file', 'local'))}{'/'.join(rest)}"


def shown(path: Path | str) -> str:
    """A path as a person at the prompt would write it: the address, or relative to the current folder."""
    if is_address(path):
        return str(path)
    if (address := address_of(path)) is not None:
        return address
    path = Path(path)
    return str(path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path)


def with_own_cache(plain: dict[str, Any]) -> dict[str, Any]:
    """A config from another machine, with this one's folder for caches where it has not got that one's.

    Arguments:
        plain: a resolved config.
    """
    there = (plain.get("paths") or {}).get("cache")
    if there is None or Path(there).is_dir():
        return plain
    replaced: dict[str, Any] = _replaced(plain, there, configs.own_cache())
    return replaced


def _replaced(value: Any, old: str, new: str) -> Any:
    if isinstance(value, dict):
        return {key: _replaced(item, old, new) for key, item in value.items()}
    if isinstance(value, list):
        return [_replaced(item, old, new) for item in value]
    return new if value == old else value
