"""Pixels as the metrics see them: on the data's grid, pooled where images are large, read a part at a time.

A training split of large images as floats does not fit into memory, and neither a covariance nor a nearest
neighbour of 12 288 pixels is had in reasonable time. Blocks of pixels are averaged until 1024 numbers are left.
"""

import math
from collections.abc import Iterator, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from genexp.data.module import DataModule, InMemoryImages, to_unit_range
from genexp.evaluation.protocol import Array

MOST_NUMBERS = 1024
"""Images of more numbers are pooled."""
PART = 512
"""Images that are floats at one time."""


def pooling_factor(shape: Sequence[int]) -> int:
    """Side of the blocks to average in images (C, H, W): the least power of two that leaves 1024 numbers or fewer.

    Example:
        >>> [pooling_factor(shape) for shape in [(1, 28, 28), (3, 32, 32), (3, 64, 64)]]
        [1, 2, 4]
    """
    channels, height, width = shape
    factor = 1
    while channels * math.ceil(height / factor) * math.ceil(width / factor) > MOST_NUMBERS and factor < max(shape[1:]):
        factor *= 2
    return factor


class PixelGrid:
    """The grid of a data set's grey levels, and the blocks to which the pixel metrics pool.

    Grey levels, and averages of whole blocks of them, are exact in float32, which is how many are kept: equal
    images stay equal, and a copy is at distance 0.

    Arguments:
        shape: of an image, (C, H, W).
        levels: grey levels per pixel; None for continuous data.

    Attributes:
        pooling: side of the blocks; 1 leaves the images as they are.
    """

    def __init__(self, shape: Sequence[int], levels: int | None) -> None:
        self.levels, self.pooling = levels, pooling_factor(shape)
        self._top = 1 if levels is None else levels - 1

    def snap(self, x: Tensor) -> Tensor:
        """Images (N, C, H, W) in [-1, 1] as grey levels from 0 to the highest, float64; continuous ones in [0, 1]."""
        grey = (x.detach().cpu().double() + 1.0).div_(2.0).mul_(self._top)
        if self.levels is not None:
            grey.round_()
        return grey.clamp_(0.0, self._top)

    def pool(self, grey: Tensor) -> Tensor:
        """Grey levels (N, C, H, W), pooled and flat, (N, D) in float32; blocks at the edge may be smaller."""
        if self.pooling > 1:
            grey = F.avg_pool2d(grey, self.pooling, ceil_mode=True, count_include_pad=False)
        return grey.flatten(1).float()

    def unit(self, grey: Tensor) -> Tensor:
        """Grey levels of any shape as float64 in [0, 1]."""
        return grey.double() / self._top


class SplitImages:
    """The images of a split, of which only those that are asked for become floats.

    Arguments:
        data: an image set.
        name: of the split.
        most: take no more than the first so many; None for all.

    Attributes:
        shape: (N, C, H, W).
        whole: whether these are all images of the split.
    """

    def __init__(self, data: DataModule, name: str, most: int | None = None) -> None:
        self._data, self._name = data, name
        rows = data.stored.indices[name] if isinstance(data, InMemoryImages) else data.split(name).x
        self._rows = rows[:most]  # indices of stored images, or else the images themselves
        self.whole = len(self._rows) == len(rows)
        self.shape = torch.Size((len(self._rows), *data.shape))

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, rows: Any) -> Tensor:
        """Images (n, C, H, W) in [-1, 1] of a slice or of indices."""
        if not isinstance(self._data, InMemoryImages):
            return self._rows[rows]
        return to_unit_range(self._data.stored.pixels.index_select(0, self._rows[rows]), self._data.levels)

    @property
    def labels(self) -> Tensor:
        """Classes, long (N,)."""
        if not isinstance(self._data, InMemoryImages):
            return self._data.split(self._name).y[: len(self)]
        return self._data.stored.labels.index_select(0, self._rows)

    def split(self, size: int) -> Iterator[Tensor]:
        """All images in order, `size` at a time."""
        return (self[start : start + size] for start in range(0, len(self), size))


class SplitPixels:
    """The same as flat pixels (n, D) in [0, 1] on the data's grid, in float64 and not pooled: rows for the anchors."""

    def __init__(self, images: SplitImages, grid: PixelGrid) -> None:
        self._images, self._grid = images, grid

    def __len__(self) -> int:
        return len(self._images)

    def __getitem__(self, rows: Any) -> Array:
        return self._grid.unit(self._grid.snap(self._images[rows])).flatten(1).numpy()
