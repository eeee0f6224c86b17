"""Where images come from: parquet files, folders of image files, the Hugging Face hub.

A source gives encoded images and labels, a block at a time, and knows what identifies its content.
"""

import os
import re
import urllib.error
import urllib.request
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from genexp.data.cache import files_sha256
from genexp.errors import UserError

BLOCK = 2048
"""Images that are read at once."""

ROLES = {
    **dict.fromkeys(("train", "training"), "train"),
    **dict.fromkeys(("test", "testing"), "test"),
    **dict.fromkeys(("validation", "valid", "val", "dev"), "validation"),
}
SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".gif", ".tif", ".tiff", ".ppm", ".pgm")

Block = tuple[list[bytes], list[int]]
"""Encoded images and their labels."""


@dataclass(frozen=True)
class Columns:
    """Which columns of a table hold what.

    Attributes:
        image: the images' column; None guesses `image` or `img`.
        label: the labels' column; None guesses `label`.
        labelled: whether labels are read at all.
    """

    image: str | None = None
    label: str | None = None
    labelled: bool = True

    def find(self, available: Sequence[str]) -> tuple[str, str | None]:
        """The two columns among those of a table.

        Raises:
            UserError: if one is missing.
        """
        image = self._find("image", self.image, ("image", "img"), available)
        return image, self._find("label", self.label, ("label",), available) if self.labelled else None

    def _find(self, what: str, stated: str | None, guesses: Sequence[str], available: Sequence[str]) -> str:
        for name in (stated,) if stated is not None else guesses:
            if name in available:
                return name
        hint = " or dataset.num_classes=0" if what == "label" else ""
        raise UserError(
            f"The data have no column {stated or guesses[0]}: "
            f"set dataset.{what}_column to one of {', '.join(available)}{hint}."
        )


class Source(ABC):
    """A train split, and a test split if the source has one.

    A validation split stands in for a missing test split and is left alone otherwise.
    """

    sizes: dict[str, int]
    """Images in `train` and, if there is one, `test`."""

    @abstractmethod
    def identity(self, cache_dir: Path | None) -> str:
        """What decides the content; expensive answers are remembered in `cache_dir`."""

    @abstractmethod
    def blocks(self, split: str) -> Iterator[Block]:
        """The images of a split, in a fixed order."""


def open_source(path: str | None, columns: Columns, revision: str | None = None) -> Source:
    """The source that `path` means: a parquet file, a folder of parquet or image files, or a hub id.

    Raises:
        UserError: if there is nothing there, or the hub cannot be reached.
    """
    if path is None:
        raise UserError("dataset.path is not set: give a folder of images or parquet files, or a hub id.")
    local = Path(path).expanduser()
    if local.is_file() and local.suffix == ".parquet":
        return ParquetFiles([local], local.parent, columns)
    if local.is_dir():
        files = _walk(local)
        if parquet := [file for file in files if file.suffix == ".parquet"]:
            return ParquetFiles(parquet, local, columns)
        if images := [file for file in files if file.suffix.lower() in SUFFIXES]:
            return ImageFiles(images, local, columns.labelled)
        raise UserError(f"{path} holds neither parquet nor image files: set dataset.path to a folder that does.")
    if re.fullmatch(r"\w[\w.-]*/\w[\w.-]*", path) and not local.exists():
        return HubImages(path, columns, revision)
    raise UserError(f"There are no data at {path}: set dataset.path to a folder of images or parquet files.")


class ParquetFiles(Source):
    """Parquet files in the hub's layout: the split's name is a word of each file's name or folder.

    Arguments:
        files: the files, sorted.
        root: the folder that was given.
        columns: which columns hold what.
    """

    def __init__(self, files: Sequence[Path], root: Path, columns: Columns) -> None:
        from pyarrow import ArrowInvalid, parquet  # comes with `datasets`, which takes longer to import

        self.files = _by_split([(_role(file.relative_to(root)), file) for file in files])
        self._columns: dict[Path, list[str]] = {}
        self.sizes = {}
        for split, paths in self.files.items():
            self.sizes[split] = 0
            for path in paths:
                try:
                    table = parquet.ParquetFile(path)
                except (ArrowInvalid, OSError) as error:
                    raise UserError(f"{path} is not a whole parquet file: fetch it again ({error}).") from error
                image, label = columns.find(table.schema_arrow.names)
                self._columns[path] = [image] if label is None else [image, label]
                self.sizes[split] += table.metadata.num_rows

    def identity(self, cache_dir: Path | None) -> str:
        """The content of the files and the columns."""
        files = [(split, path) for split, paths in self.files.items() for path in paths]
        return f"parquet {files_sha256(files, cache_dir)} {sorted({str(c) for c in self._columns.values()})}"

    def blocks(self, split: str) -> Iterator[Block]:
        """The rows of all files of a split."""
        from pyarrow import parquet

        for path in self.files[split]:
            columns = self._columns[path]
            for batch in parquet.ParquetFile(path).iter_batches(BLOCK, columns=columns):
                labels = batch.column(columns[1]).to_pylist() if len(columns) > 1 else [0] * batch.num_rows
                yield [_encoded(value) for value in batch.column(columns[0]).to_pylist()], labels


class ImageFiles(Source):
    """A folder of image files: `*.png`, `class/*.png`, or either below `train` and `test`.

    Arguments:
        files: the files, sorted.
        root: the folder that was given.
        labelled: take the names of the folders as classes, sorted.
    """

    def __init__(self, files: Sequence[Path], root: Path, labelled: bool) -> None:
        with_roles = [(ROLES.get(file.relative_to(root).parts[0].lower(), ""), file) for file in files]
        self.files = _by_split(with_roles)
        self.sizes = {split: len(paths) for split, paths in self.files.items()}
        tops = {file: root / file.relative_to(root).parts[0] if role else root for role, file in with_roles}
        folders = {file: (*file.relative_to(top).parts[:-1], "")[0] for file, top in tops.items()}
        self.labels = dict.fromkeys(files, 0)
        if labelled:
            if "" in folders.values():
                raise UserError(
                    f"{root} has images that lie in no folder of a class: sort them into folders or set "
                    "dataset.num_classes=0."
                )
            names = sorted(set(folders.values()))
            self.labels = {file: names.index(folder) for file, folder in folders.items()}

    def identity(self, cache_dir: Path | None) -> str:
        """The content of the files and their classes."""
        files = [(f"{split} {self.labels[path]}", path) for split, paths in self.files.items() for path in paths]
        return f"files {files_sha256(files, cache_dir)}"

    def blocks(self, split: str) -> Iterator[Block]:
        """The files in the order of their names."""
        paths = self.files[split]
        for start in range(0, len(paths), BLOCK):
            block = paths[start : start + BLOCK]
            yield [path.read_bytes() for path in block], [self.labels[path] for path in block]


class HubImages(Source):
    """A data set of the Hugging Face hub, read with `datasets`.

    What was prepared from it is kept under its id and revision, and does not follow later changes on the hub.

    Arguments:
        name: the hub id.
        columns: which columns hold what.
        revision: a commit or tag; None takes what is newest.
    """

    def __init__(self, name: str, columns: Columns, revision: str | None) -> None:
        self.name, self.columns, self.revision = name, columns, revision
        self._tables: dict[str, Any] | None = None

    def identity(self, cache_dir: Path | None) -> str:
        """The id, the revision and the columns: prepared images are found again without the network."""
        return f"hub {self.name} {self.revision} {self.columns}"

    @property
    def sizes(self) -> dict[str, int]:  # type: ignore[override]
        """Images in each split; the first access fetches the data."""
        return {split: len(table) for split, table in self._read().items()}

    def blocks(self, split: str) -> Iterator[Block]:
        """The rows in the hub's order."""
        import datasets

        table = self._read()[split]
        image, label = self.columns.find(table.column_names)
        table = table.cast_column(image, datasets.Image(decode=False))
        for rows in table.select_columns([image] if label is None else [image, label]).iter(BLOCK):
            yield [_encoded(value) for value in rows[image]], rows[label] if label else [0] * len(rows[image])

    def _read(self) -> dict[str, Any]:
        if self._tables is None:
            advice = f"{self.name} is no folder here, and %s: set dataset.path to a local copy."
            offline = os.environ.get("HF_HUB_OFFLINE", "0").upper() in ("1", "TRUE", "YES", "ON")
            if not offline and not hub_answers():  # `datasets` itself would retry for half a minute
                raise UserError(advice % "the Hugging Face hub cannot be reached")
            import datasets

            try:
                tables = datasets.load_dataset(self.name, revision=self.revision)
            except (OSError, ValueError, datasets.exceptions.DatasetsError) as error:
                reason = (str(error).splitlines() or [type(error).__name__])[0].rstrip(".")
                raise UserError(advice % f"the Hugging Face hub says: {reason}") from error
            by_split = _by_split([(_role(Path(name)), name) for name in tables])
            self._tables = {
                split: datasets.concatenate_datasets([tables[n] for n in names]) for split, names in by_split.items()
            }
        return self._tables


def hub_answers(seconds: float = 5.0) -> bool:
    """Whether the hub can be reached at all."""
    endpoint = os.environ.get("HF_ENDPOINT", "https://huggingface.co")
    try:
        urllib.request.urlopen(urllib.request.Request(endpoint, method="HEAD"), timeout=seconds).close()
    except urllib.error.HTTPError:
        return True  # it answered
    except (OSError, ValueError):
        return False
    return True


def _encoded(value: Any) -> bytes:
    """The bytes of a cell: the hub's struct of bytes and path, or bytes alone; nothing if there are none."""
    content = value.get("bytes") if isinstance(value, dict) else value
    return content if isinstance(content, bytes) else b""


def _walk(root: Path) -> list[Path]:
    """All files below a folder that are not hidden, sorted by their path's parts."""
    found = []
    for folder, folders, names in os.walk(root, followlinks=True):
        folders[:] = [name for name in folders if not name.startswith(".")]
        found += [Path(folder) / name for name in names if not name.startswith(".")]
    return sorted(found, key=lambda path: path.relative_to(root).parts)


def _role(path: Path) -> str:
    """The split that a word of a file's name means, or of the nearest folder above it; nothing if none does."""
    for part in reversed(path.parts):
        for word in re.split(r"[^a-z]+", part.lower()):
            if word in ROLES:
                return ROLES[word]
    return ""


def _by_split(items: Sequence[tuple[str, Any]]) -> dict[str, list[Any]]:
    """Items by split, `train` first: files without a role are `train`, and without any all are."""
    groups: dict[str, list[Any]] = {}
    for role, item in items:
        groups.setdefault(role or "train", []).append(item)
    if "train" not in groups:
        return {"train": [item for _, item in items]}
    test = groups.get("test") or groups.get("validation")
    return {"train": groups["train"], "test": test} if test else {"train": groups["train"]}
