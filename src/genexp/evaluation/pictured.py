"""What a protocol gives for pictures."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Backdrop:
    """Behind a picture of points: real ones (M, D), and the true log density of points (K, D) if known."""

    points: Tensor
    log_prob: Callable[[Tensor], Tensor] | None


@dataclass(frozen=True)
class Neighbours:
    """Samples beside the training data that they are most like, the nearest pair first.

    Attributes:
        samples: (N, *shape).
        nearest: the training datum nearest to each, (N, *shape).
        ratio: the distance between the two over the median of the same distance of held-out data, (N,): about 1 for
            a perfect generator, 0 for a copy.
    """

    samples: Tensor
    nearest: Tensor
    ratio: Array
