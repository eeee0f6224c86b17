"""Encoded images to uint8 arrays of one shape: decoded, cropped and resized once, and kept in the cache."""

import hashlib
import io
import json
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageOps
from torch import Tensor

from genexp.data.cache import ensure_folder
from genexp.data.module import digest
from genexp.data.sources import Source
from genexp.errors import UserError

VERSION = 1
"""Raised when the same image and settings give other pixels: what was prepared before is not read again."""

Pixels = NDArray[np.uint8]


@dataclass(frozen=True)
class Prepared:
    """Images of all splits, one after another, in the order of `sizes`.

    Attributes:
        pixels: uint8 (N, C, S, S).
        labels: long (N,).
        sizes: images in `train` and, if there is one, `test`.
        sha256: of pixels and labels.
    """

    pixels: Tensor
    labels: Tensor
    sizes: dict[str, int]
    sha256: str


def decode(encoded: bytes, size: int, channels: int) -> Pixels:
    """An image as (C, S, S): turned upright, cropped to the square in its middle, resized with antialiasing.

    Arguments:
        encoded: a file's content.
        size: S; an image of that size keeps its pixels.
        channels: 1 for grey, 3 for colour; transparency is laid on white.

    Raises:
        ValueError: if it is no image, or has more than 8 bits per channel.
    """
    try:
        with Image.open(io.BytesIO(encoded)) as file:
            image: Image.Image = ImageOps.exif_transpose(file)
            image.load()
    except (OSError, SyntaxError, Image.DecompressionBombError) as error:
        raise ValueError(str(error)) from error
    if image.mode.startswith(("I", "F")):
        raise ValueError("it has more than 8 bits per channel")
    if image.has_transparency_data:
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image.convert("RGBA"))
    image = image.convert("L" if channels == 1 else "RGB")
    side = min(image.size)
    left, top = (image.width - side) // 2, (image.height - side) // 2
    if image.size != (side, side):
        image = image.crop((left, top, left + side, top + side))
    if side != size:
        image = image.resize((size, size), Image.Resampling.LANCZOS)
    array = np.asarray(image)  # (S, S) or (S, S, 3)
    return array[None] if channels == 1 else array.transpose(2, 0, 1)


def prepare(source: Source, name: str, size: int, channels: int, cache_dir: Path | None) -> Prepared:
    """The images of a source, from the cache if they were prepared before.

    Arguments:
        source: where they come from.
        name: the data set's name, for people who look into the cache.
        size: side of the square images.
        channels: 1 or 3.
        cache_dir: where they are kept, keyed by content and settings; None prepares in memory.

    Raises:
        UserError: if an image cannot be read, or what is in the cache is damaged.
    """
    if cache_dir is None:
        sizes = source.sizes
        pixels = np.empty((sum(sizes.values()), channels, size, size), dtype=np.uint8)
        labels = _fill(source, name, pixels)
        return Prepared(torch.from_numpy(pixels), labels, sizes, digest(torch.from_numpy(pixels), labels))
    settings = {"source": source.identity(cache_dir), "size": size, "channels": channels, "version": VERSION}
    key = hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()[:16]
    safe_name = "".join(c if c.isalnum() or c in "._-" else "_" for c in name)
    folder = cache_dir / "images" / f"{safe_name}-{key}"
    ensure_folder(folder, lambda temporary: _write(source, name, (channels, size, size), temporary, settings))
    return _load(folder)


def _write(source: Source, name: str, shape: tuple[int, ...], folder: Path, settings: dict[str, Any]) -> None:
    sizes = source.sizes
    total = sum(sizes.values())
    pixels = np.lib.format.open_memmap(folder / "pixels.npy", mode="w+", dtype=np.uint8, shape=(total, *shape))
    labels = _fill(source, name, pixels)
    pixels.flush()
    np.save(folder / "labels.npy", labels.numpy())
    facts = {"sizes": sizes, "sha256": digest(torch.from_numpy(pixels), labels), "settings": settings}
    (folder / "facts.json").write_text(json.dumps(facts, indent=1))


def _load(folder: Path) -> Prepared:
    try:
        # Copy-on-write: torch warns of read-only arrays, and nothing that is written would reach the file.
        pixels = torch.from_numpy(np.load(folder / "pixels.npy", mmap_mode="c"))
        labels = torch.from_numpy(np.load(folder / "labels.npy"))
        facts = json.loads((folder / "facts.json").read_text())
        return Prepared(pixels, labels, facts["sizes"], facts["sha256"])
    except (OSError, ValueError, KeyError) as error:
        raise UserError(f"The prepared images in {folder} are damaged: delete that folder.") from error


def _fill(source: Source, name: str, pixels: Pixels) -> Tensor:
    """Decode all images into `pixels` (N, C, S, S); their labels, long (N,)."""
    from rich.console import Console
    from rich.progress import Progress

    labels = np.zeros(len(pixels), dtype=np.int64)
    row = 0
    with Progress(console=Console(stderr=True), transient=True) as progress, ThreadPoolExecutor(_threads()) as pool:
        task = progress.add_task(f"preparing {name}", total=len(pixels))
        for split in source.sizes:
            for encoded, block_labels in source.blocks(split):
                stop = row + len(encoded)
                list(pool.map(_decode_into, *zip(*_chunks(encoded, pixels[row:stop], row), strict=True)))
                labels[row:stop] = _whole_numbers(block_labels)
                row = stop
                progress.update(task, completed=row)
    return torch.from_numpy(labels)


def _threads() -> int:
    return min(16, os.cpu_count() or 1)


def _chunks(encoded: list[bytes], pixels: Pixels, row: int) -> Iterator[tuple[list[bytes], Pixels, int]]:
    """A share for each thread: single small images would cost more to hand out than to decode."""
    size = -(-len(encoded) // _threads())
    for start in range(0, len(encoded), size):
        yield encoded[start : start + size], pixels[start : start + size], row + start


def _decode_into(encoded: list[bytes], pixels: Pixels, row: int) -> None:
    _, channels, size, _ = pixels.shape
    for i, content in enumerate(encoded):
        try:
            pixels[i] = decode(content, size, channels)
        except ValueError as error:
            raise UserError(f"Image {row + i} of the data cannot be read ({error}): mend or remove it.") from error


def _whole_numbers(labels: list[Any]) -> NDArray[np.int64]:
    if not all(isinstance(label, int) for label in labels):
        raise UserError("The labels must be whole numbers from 0: set dataset.label_column, or dataset.num_classes=0.")
    return np.array(labels, dtype=np.int64)
