"""Stacked MNIST: three random digits as red, green and blue, and so a thousand modes that can be counted.

References:
    Unrolled Generative Adversarial Networks, Metz, Poole, Pfau and Sohl-Dickstein, 2017.
    https://arxiv.org/abs/1611.02163
    VEEGAN: Reducing Mode Collapse in GANs using Implicit Variational Learning, Srivastava et al., 2017, for the size of
    the training set. https://arxiv.org/abs/1705.07761
"""

import hashlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from genexp.data.images import HuggingFaceImages
from genexp.data.module import InMemoryImages, Pixels, Stored
from genexp.data.sampler import SPLITS as SPLIT_STREAM
from genexp.data.sampler import key
from genexp.data.spec import SPLITS, check_stated
from genexp.errors import UserError

CHANNELS, DIGITS = 3, 10
MODES = DIGITS**CHANNELS


class StackedPixels:
    """The images, of which only those that are asked for are put together: all of them would take a gigabyte.

    Arguments:
        digits: grey levels of single digits, uint8 (M, 1, H, W).
        rows: the digits of each image, long (N, 3).
    """

    def __init__(self, digits: Pixels, rows: Tensor) -> None:
        self._digits, self._rows = digits, rows

    def __len__(self) -> int:
        return len(self._rows)

    def index_select(self, dim: int, index: Tensor) -> Tensor:
        """Images (n, 3, H, W) of indices (n,), as of a tensor; `dim` is 0."""
        chosen = self._rows.index_select(dim, index)  # (n, 3)
        return self._digits.index_select(0, chosen.flatten()).unflatten(0, tuple(chosen.shape)).squeeze(2)


class StackedMNIST(InMemoryImages):
    """Images of three digits; the class is the number that they write, the red one its hundreds.

    Image i of a split is a function of (`stack_seed`, split, i) and of the digits' own split, so that no digit is in
    two splits.

    Arguments:
        path: the digits: a hub id or a local copy, as `genexp.data.images.HuggingFaceImages` takes it.
        size: side S of the images in pixels.
        shape: (3, S, S), as the config states it for other groups.
        num_classes: 1000.
        levels: 256.
        stack_seed: of the choice of the digits.
        train_size: images in `train`.
        val_size: images in `val`.
        ref_size: images in `ref`.
        floor_size: images in `floor`.
        revision: the hub's commit or tag; None takes what is newest when the digits are first prepared.
        cache_dir: where prepared digits are kept; None prepares them in memory, every time.
        num_workers: processes that make batches; 0 makes them in the training process.

    Raises:
        UserError: if shape, classes or levels are stated otherwise, or a split is empty; when the data are first read,
            if they are missing or cannot be read.
    """

    def __init__(
        self,
        path: str | None,
        size: int = 28,
        shape: Sequence[int] | None = None,
        num_classes: int = MODES,
        levels: int = 256,
        stack_seed: int = 0,
        train_size: int = 128_000,
        val_size: int = 5000,
        ref_size: int = 6400,
        floor_size: int = 25_600,
        revision: str | None = None,
        cache_dir: str | Path | None = None,
        num_workers: int = 0,
    ) -> None:
        actual = (CHANNELS, size, size)
        check_stated("stacked_mnist", "shape", actual if shape is None else shape, actual)
        check_stated("stacked_mnist", "num_classes", num_classes, MODES)
        check_stated("stacked_mnist", "levels", levels, 256)
        super().__init__("stacked_mnist", actual, num_classes=MODES, levels=256, num_workers=num_workers)
        self.sizes = {"train": train_size, "val": val_size, "ref": ref_size, "floor": floor_size}
        for name, n in self.sizes.items():
            if n < 1:
                raise UserError(f"dataset.{name}_size={n} is out of range: give at least 1.")
        self.stack_seed = stack_seed
        self.digits = HuggingFaceImages(
            "mnist", path, size, channels=1, num_classes=DIGITS, revision=revision, cache_dir=cache_dir
        )
        """The single digits, with splits of their own."""

    def read(self) -> Stored:
        """Choose the digits of all images."""
        digits = self.digits.stored
        rows, indices, start = [], {}, 0
        for name, n in self.sizes.items():
            rows.append(stack(digits.indices[name], n, self.stack_seed, SPLITS.index(name)))
            indices[name] = torch.arange(start, start + n)
            start += n
        chosen = torch.cat(rows)
        places = torch.tensor([100, 10, 1])
        labels = (digits.labels[chosen] * places).sum(dim=1)
        sha = hashlib.sha256(f"stacked {digits.sha256} ".encode() + chosen.numpy().astype("<i8").tobytes())
        return Stored(StackedPixels(digits.pixels, chosen), labels, indices, sha.hexdigest())


def stack(digits: Tensor, n: int, seed: int, stream: int) -> Tensor:
    """The digits (n, 3) of n images, out of the indices `digits` (M,); the first rows are the same for each n.

    Example:
        >>> stack(torch.arange(100, 110), 2, seed=0, stream=0).shape
        torch.Size([2, 3])
    """
    bits = np.random.PCG64(key(seed, SPLIT_STREAM, stream))
    places = np.random.Generator(bits).random((n, CHANNELS))  # uniform numbers: as many for each row
    return digits[torch.from_numpy((places * len(digits)).astype(np.int64))]
