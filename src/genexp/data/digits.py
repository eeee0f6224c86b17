"""The embedded default: scikit-learn's handwritten digits, which need no download."""

from collections.abc import Sequence

import numpy as np
import torch

from genexp.data.module import InMemoryImages, Stored, digest
from genexp.data.spec import SPLIT_SEED, check_stated

TRAIN, REF, FLOOR, VAL = 797, 500, 500, 500


class Digits(InMemoryImages):
    """1797 images 8 × 8 of ten digits with 17 grey levels.

    The splits are i.i.d. (a stratified split would understate the metrics' floor): of
    `numpy.random.Generator(numpy.random.PCG64(20240)).permutation(1797)` the first 797 are `train`, the next 500 `ref`
    and the last 500 `floor`. `val` is the first 500 of the train split, and they are trained on all the same: 797
    images are too few to hold any out. The fast scores of a training are optimistic by that; the final ones read `ref`.

    Arguments:
        shape: (1, 8, 8).
        num_classes: 10.
        levels: 17.
        hold_out_val: take `val` out of what is trained on; 297 images stay.
        num_workers: processes that make batches; 0 makes them in the training process.

    Raises:
        UserError: if shape, classes or levels are stated otherwise.

    References:
        Optical Recognition of Handwritten Digits, Alpaydin and Kaynak, 1998. https://doi.org/10.24432/C50P49
    """

    def __init__(
        self,
        shape: Sequence[int] = (1, 8, 8),
        num_classes: int = 10,
        levels: int = 17,
        hold_out_val: bool = False,
        num_workers: int = 0,
    ) -> None:
        for key, stated, actual in (
            ("shape", shape, (1, 8, 8)),
            ("num_classes", num_classes, 10),
            ("levels", levels, 17),
        ):
            check_stated("digits", key, stated, actual)
        super().__init__("digits", (1, 8, 8), num_classes=10, levels=17, num_workers=num_workers)
        self.hold_out_val = hold_out_val

    def read(self) -> Stored:
        """Load the images from scikit-learn's package."""
        from sklearn.datasets import load_digits

        digits = load_digits()
        pixels = torch.from_numpy(digits.images.astype(np.uint8)).unsqueeze(1)  # (1797, 1, 8, 8)
        labels = torch.from_numpy(digits.target.astype(np.int64))
        order = torch.from_numpy(np.random.Generator(np.random.PCG64(SPLIT_SEED)).permutation(len(pixels)))
        train, ref, floor = order.split([TRAIN, REF, FLOOR])
        indices = {"train": train[VAL:] if self.hold_out_val else train, "val": train[:VAL], "ref": ref, "floor": floor}
        return Stored(pixels, labels, indices, digest(pixels, labels))
