"""Image sets from the Hugging Face hub, from local parquet files and from folders of images."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from genexp.data.module import InMemoryImages, Stored
from genexp.data.preparation import Prepared, prepare
from genexp.data.sources import Columns, open_source
from genexp.data.spec import SPLIT_SEED, check_stated
from genexp.errors import UserError


class HuggingFaceImages(InMemoryImages):
    """Images that are decoded, cropped to a square and resized once, then mapped from one uint8 file.

    The splits are cut by fixed i.i.d. permutations. Where the source has a test split, `ref` and `floor` are its two
    halves (up to the sizes asked for); otherwise they are up to a quarter each of its only split. `val` is up to a
    tenth of what is left for training. The identity of the content is that of the prepared pixels, so that the hub's
    copy and a local one share their scores.

    Arguments:
        name: the data set's name in scores and reports.
        path: a hub id, a folder of parquet files in the hub's layout, or a folder of images, sorted into folders of
            classes or not, below `train` and `test` or not. Nothing is read before it is needed.
        size: side S of the square images, in pixels.
        channels: 1 for grey, 3 for colour.
        num_classes: number of classes; 0 leaves the labels unread.
        shape: (C, S, S), as the config states it for other groups; None for what size and channels say.
        levels: 256.
        image_column: column of the images; None guesses `image` or `img`.
        label_column: column of the labels; None guesses `label`.
        revision: the hub's commit or tag; None takes what is newest when the images are first prepared.
        ref_size: images in `ref`, at most.
        floor_size: images in `floor`, at most.
        val_size: images in `val`, at most.
        hold_out_val: take `val` out of what is trained on.
        cache_dir: where prepared images are kept; None prepares them in memory, every time.
        num_workers: processes that make batches; 0 makes them in the training process.

    Raises:
        UserError: if size, channels, shape or levels are impossible; when the data are first read, if they are missing
            or cannot be read.
    """

    def __init__(
        self,
        name: str,
        path: str | None,
        size: int,
        channels: int,
        num_classes: int = 0,
        shape: Sequence[int] | None = None,
        levels: int = 256,
        image_column: str | None = None,
        label_column: str | None = None,
        revision: str | None = None,
        ref_size: int = 5000,
        floor_size: int = 5000,
        val_size: int = 5000,
        hold_out_val: bool = True,
        cache_dir: str | Path | None = None,
        num_workers: int = 0,
    ) -> None:
        if size < 1:
            raise UserError(f"dataset.size={size} is out of range: give the side of the images in pixels.")
        if channels not in (1, 3):
            raise UserError(f"dataset.channels={channels} is out of range: give 1 for grey or 3 for colour.")
        actual = (channels, size, size)
        check_stated(f"dataset={name}", "shape", actual if shape is None else shape, actual)
        check_stated(f"dataset={name}", "levels", levels, 256)
        super().__init__(name, actual, num_classes, levels=256, num_workers=num_workers)
        self.path, self.revision = path, revision
        self.columns = Columns(image_column, label_column, labelled=num_classes > 0)
        self.sizes = {"ref": ref_size, "floor": floor_size, "val": val_size}
        self.hold_out_val = hold_out_val
        self.cache_dir = None if cache_dir is None else Path(cache_dir).expanduser()

    def read(self) -> Stored:
        """Prepare the images or find them in the cache."""
        channels, size, _ = self.shape
        source = open_source(self.path, self.columns, self.revision)
        prepared = prepare(source, self.name, size, channels, self.cache_dir)
        self._check_labels(prepared)
        indices = cut_splits(prepared.sizes, self.sizes, self.hold_out_val)
        if not all(len(index) for index in indices.values()):
            raise UserError(f"{self.path} has too few images to cut train, val, ref and floor from: give more.")
        return Stored(prepared.pixels, prepared.labels, indices, prepared.sha256)

    def _check_labels(self, prepared: Prepared) -> None:
        if self.num_classes == 0 or not len(prepared.labels):
            return
        low, high = int(prepared.labels.min()), int(prepared.labels.max())
        if low < 0:
            raise UserError(f"{self.path} has images without a label: set dataset.num_classes=0.")
        if high + 1 != self.num_classes:
            raise UserError(
                f"{self.path} has {high + 1} classes, not {self.num_classes}: set dataset.num_classes={high + 1}, "
                "or 0 to leave the labels unread."
            )


def cut_splits(sizes: dict[str, int], at_most: dict[str, int], hold_out_val: bool) -> dict[str, Tensor]:
    """The indices of `train`, `val`, `ref` and `floor`, long (n,) each, into the images of `train` and then `test`.

    Arguments:
        sizes: images of the source in `train` and, if it has one, `test`.
        at_most: the sizes asked for `ref`, `floor` and `val`.
        hold_out_val: take `val` out of `train`.
    """
    rng = np.random.Generator(np.random.PCG64(SPLIT_SEED))
    train = rng.permutation(sizes["train"])
    if "test" in sizes:
        test = sizes["train"] + rng.permutation(sizes["test"])
        largest = (len(test) + 1) // 2
    else:
        largest = len(train) // 4
        test, train = train[: 2 * largest], train[2 * largest :]
    ref_size, floor_size = min(at_most["ref"], largest), min(at_most["floor"], largest)
    val_size = min(at_most["val"], len(train) // 10 if hold_out_val else len(train))
    indices = {
        "train": train[val_size:] if hold_out_val else train,
        "val": train[:val_size],
        "ref": test[:ref_size],
        "floor": test[ref_size : ref_size + floor_size],
    }
    return {name: torch.from_numpy(index) for name, index in indices.items()}
