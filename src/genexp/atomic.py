"""Files that appear whole or not at all, whoever looks at them and from which host.

A file is written beside its place, made durable and renamed. Its temporary name, `.part-<random>-<name>`, is no other
process's on any host.
"""

import errno
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from uuid import uuid4

from genexp.locks import guard

PREFIX = ".part-"
READS = 5
"""Attempts to read a file that is replaced each time."""
ABANDONED_SECONDS = 3600.0
"""Nobody writes one file for so long, nor do the clocks of hosts differ by as much."""


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A place to write what becomes `path` when the block ends; after an exception there is no trace of it.

    Arguments:
        path: the file, in a folder that exists.

    Raises:
        Busy: if this process has lost the lock of a folder above to another one.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     with replacing(Path(folder) / "a.txt") as temporary:
        ...         _ = temporary.write_text("whole")
        ...     [(path.name, path.read_text()) for path in Path(folder).iterdir()]
        [('a.txt', 'whole')]
    """
    temporary = path.with_name(f"{PREFIX}{uuid4().hex[:12]}-{path.name}")
    try:
        yield temporary
        with open(temporary, "rb+") as file:
            os.fsync(file.fileno())
        guard(path)  # as late as can be
        os.replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def write_text(path: Path, text: str) -> None:
    """Write a text file, UTF-8 and with the line ends as they are."""
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8", newline="")


def read_text(path: Path) -> str:
    """The text of a file that other hosts may be replacing.

    On NFS whoever reads the old file at that moment is told that it is stale; the new one is there then.
    """
    for _ in range(READS - 1):
        try:
            return path.read_text(encoding="utf-8")
        except OSError as error:
            if error.errno != errno.ESTALE:
                raise
    return path.read_text(encoding="utf-8")


def write_bytes(path: Path, content: bytes) -> None:
    """Write a binary file."""
    with replacing(path) as temporary:
        temporary.write_bytes(content)


def sync_folder(folder: Path) -> None:
    """Make renames in a folder durable, where the file system can."""
    with suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def remove_abandoned(folder: Path, seconds: float = ABANDONED_SECONDS) -> None:
    """Remove what killed processes left half-written.

    Arguments:
        folder: where; it need not exist.
        seconds: how old it must be; 0 where nobody else can be writing.
    """
    for path in folder.glob(f"{PREFIX}*"):
        with suppress(OSError):
            if time.time() - path.stat().st_mtime >= seconds:
                path.unlink()
