"""What every source of data states about itself."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from genexp.errors import UserError

SPLITS = ("train", "val", "ref", "floor")
"""`train` fits the model, `val` watches it, `ref` is the metrics' reference, `floor` is the perfect generator's row."""

SPLIT_SEED = 20240
"""Every split of every data set is cut with this seed, whatever the run's."""


@dataclass(frozen=True)
class Split:
    """One split of a data set.

    Attributes:
        x: float32, images (N, C, H, W) in [-1, 1] or points (N, D).
        y: classes, long (N,); zeros where there are none.
    """

    x: Tensor
    y: Tensor


def check_stated(source: str, key: str, stated: Any, actual: Any) -> None:
    """Refuse a config that states something else than what the data are.

    A data set's config states its shape, classes and levels, so that other groups can read them by interpolation
    before any data are read; this keeps the two from drifting apart.

    Raises:
        UserError: if they differ.
    """
    if isinstance(stated, Sequence) and not isinstance(stated, str):
        stated = tuple(stated)
    if stated != actual:
        raise UserError(f"dataset.{key}={_shown(stated)} but {source} has {_shown(actual)}: set it to that.")


def _shown(value: Any) -> str:
    return str(list(value)) if isinstance(value, tuple) else "null" if value is None else str(value)
