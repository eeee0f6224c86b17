"""Objects below an address, through fsspec: `s3://` with s3fs, and whatever else fsspec knows.

Credentials and the endpoint come from the environment, as the protocol's own library reads them (`AWS_ENDPOINT_URL`,
`AWS_ACCESS_KEY_ID`, ...). A put is atomic: a reader sees the whole old object or the whole new one.
"""

import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import Any

from genexp.errors import UserError

SETTINGS: dict[str, dict[str, Any]] = {
    "s3": {"config_kwargs": {"connect_timeout": 5, "read_timeout": 60, "retries": {"max_attempts": 1}}},
    "file": {"auto_mkdir": True},
}
EXTRAS = {"s3": "s3", "s3a": "s3"}
"""Protocols and the extra of genexp that installs what they need."""
CLOCK = ".genexp-clock"
CONFLICT = "ConditionalRequestConflict"


class Unreachable(UserError):
    """The store does not take or give what it is asked for."""


class Gone(Unreachable):
    """An object that was listed is no longer there."""


@dataclass(frozen=True)
class Entry:
    """An object.

    Attributes:
        size: bytes.
        version: changes when the content does.
        modified: seconds since 1970 by the store's clock.
    """

    size: int
    version: str
    modified: float


class Store:
    """The objects below one address, named by the rest of their path.

    Arguments:
        address: such as `s3://bucket/runs`.

    Raises:
        UserError: if the protocol is unknown or its package is not installed.

    Example:
        >>> store = Store("memory://example")
        >>> store.create("a", b"1"), store.create("a", b"2"), store.read("a")
        (True, False, b'1')
    """

    def __init__(self, address: str) -> None:
        from fsspec.core import url_to_fs

        self.address = address.rstrip("/")
        protocol = self.address.partition("://")[0]
        try:
            self._files, self._root = url_to_fs(self.address, use_listings_cache=False, **SETTINGS.get(protocol, {}))
        except ImportError as error:
            extra = EXTRAS.get(protocol)
            advice = f"pip install 'genexp[{extra}]'" if extra else f"install the package for it ({error})"
            raise UserError(f"{address} needs a package that is not installed: {advice}.") from error
        except ValueError as error:
            raise UserError(f"{address} cannot be used: {str(error).splitlines()[0]}.") from error

    def below(self, name: str) -> "Store":
        """The objects below one name."""
        return Store(f"{self.address}/{name}")

    def listing(self) -> dict[str, Entry]:
        """All objects.

        Raises:
            Unreachable: if the store does not answer, or there is no such bucket.
        """
        with self._told():
            self._files.invalidate_cache()
            found = self._files.find(self._root, detail=True)
        start = len(self._root.rstrip("/")) + 1
        return {path[start:]: _entry(info) for path, info in sorted(found.items()) if len(path) > start}

    def read(self, name: str) -> bytes | None:
        """An object's content; None if there is none.

        Raises:
            Unreachable: if the store does not answer.
        """
        try:
            with self._told(missing_is_told=False):
                return bytes(self._files.cat_file(self._path(name)))
        except FileNotFoundError:
            return None

    def write(self, name: str, content: bytes) -> None:
        """Put an object in the place of what is there.

        Raises:
            Unreachable: if the store does not take it.
        """
        with self._told():
            self._files.pipe_file(self._path(name), content)

    def create(self, name: str, content: bytes) -> bool:
        """Put an object where there is none; False if there is one. Of several that try, one gets True.

        Raises:
            Unreachable: if the store does not take it.
        """
        try:
            with self._told():
                self._create(self._path(name), content)
        except FileExistsError:
            return False
        except Unreachable as error:
            if CONFLICT in str(error):  # S3's answer to one of two at the same moment
                return False
            raise
        return True

    def upload(self, files: Mapping[str, Path]) -> None:
        """Put files side by side; it returns when the last one has arrived.

        Raises:
            Unreachable: if the store does not take them.
            FileNotFoundError: if a file is gone.
        """
        for path in files.values():
            path.stat()
        if not files:
            return
        try:
            with self._told():
                self._files.put([str(path) for path in files.values()], [self._path(name) for name in files])
        except Unreachable:
            for path in files.values():
                path.stat()  # gone while it was sent
            raise

    def download(self, files: Mapping[str, Path]) -> None:
        """Get objects side by side, each into a file whose folder exists.

        Raises:
            Gone: if one of them is no longer there.
            Unreachable: if the store does not give them.
        """
        if not files:
            return
        try:
            with self._told(missing_is_told=False):
                self._files.get([self._path(name) for name in files], [str(path) for path in files.values()])
        except FileNotFoundError as error:
            raise Gone(f"{self.address} cannot be used: {_reason(error)}: it was deleted meanwhile.") from error

    def remove(self, names: Iterable[str]) -> None:
        """Delete objects; those that are gone already do not matter.

        Raises:
            Unreachable: if the store does not answer.
        """
        for name in names:
            try:
                with self._told(missing_is_told=False):
                    self._files.rm_file(self._path(name))
            except FileNotFoundError:
                continue

    def now(self) -> float:
        """The time by the clock that stamps the objects, in seconds since 1970; it is asked once.

        Raises:
            Unreachable: if the store does not answer.
        """
        return time.time() + self._offset

    @cached_property
    def _offset(self) -> float:
        self.write(CLOCK, b"")
        with self._told():
            modified = _entry(self._files.info(self._path(CLOCK))).modified
        return modified - time.time()

    def _create(self, path: str, content: bytes) -> None:
        from fsspec import AbstractFileSystem

        own = type(self._files).pipe_file is not AbstractFileSystem.pipe_file
        if own or self._files.async_impl:
            self._files.pipe_file(path, content, mode="create")  # a conditional put
            return
        with self._files.open(path, "xb") as file:  # fsspec's own way looks first and then writes
            file.write(content)

    def _path(self, name: str) -> str:
        return f"{self._root.rstrip('/')}/{name}"

    @contextmanager
    def _told(self, missing_is_told: bool = True) -> Iterator[None]:
        """What goes wrong in the store as one sentence."""
        try:
            yield
        except FileExistsError:
            raise
        except FileNotFoundError as error:
            if not missing_is_told:
                raise
            raise Unreachable(f"{self.address} cannot be used: {_reason(error)}: check the bucket's name.") from error
        except PermissionError as error:
            raise Unreachable(
                f"{self.address} cannot be used: {_reason(error)}: check the credentials in the environment."
            ) from error
        except Exception as error:  # every protocol's library has exceptions of its own
            raise Unreachable(
                f"{self.address} cannot be used: {_reason(error)}: check the network, the endpoint and the credentials."
            ) from error


def _entry(info: Mapping[str, Any]) -> Entry:
    stamp = next((info[key] for key in ("LastModified", "mtime", "updated", "created") if info.get(key)), 0.0)
    if isinstance(stamp, str):
        stamp = datetime.fromisoformat(stamp)
    modified = stamp.timestamp() if isinstance(stamp, datetime) else float(stamp)
    size = int(info.get("size") or 0)
    return Entry(size, str(info.get("ETag") or info.get("etag") or f"{size}-{modified!r}"), modified)


def _reason(error: BaseException) -> str:
    line = next((line for line in str(error).splitlines() if line.strip()), type(error).__name__)
    return line.strip().rstrip(".")
