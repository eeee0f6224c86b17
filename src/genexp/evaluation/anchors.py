"""The generators that every table shows beside the models: what perfect, copying and crude look like.

Each is a function of a real split and a generator of random numbers; rows are flat, ``(N, D)``, in float64. The
split may be an array, or something that makes only those rows that are asked for.
"""

from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

ANCHORS = ("perfect", "copycat", "kde", "gaussian", "uniform")
"""Their order in a table."""

_GAUSSIAN_ROWS = 5000


class Rows(Protocol):
    """A set of rows, of which a slice or an array of indices gives ``(n, D)``, or their classes ``(n,)``."""

    def __len__(self) -> int: ...

    def __getitem__(self, rows: Any, /) -> Any: ...


def subset(rows: Rows, n: int, rng: np.random.Generator) -> Any:
    """`n` different rows in random order, or all if there are fewer: a perfect generator, or a copier."""
    return rows[rng.permutation(len(rows))[:n]]


def kernel_density(rows: Rows, n: int, bandwidth: float, rng: np.random.Generator) -> Array:
    """`n` samples of a Gaussian kernel density estimate: training rows with noise of std `bandwidth`."""
    chosen = centres(rows, n, rng)
    return chosen + bandwidth * rng.standard_normal(chosen.shape)


def centres(rows: Rows, n: int, rng: np.random.Generator) -> Any:
    """The rows around which `kernel_density` draws, or their classes, if these are the rows."""
    return rows[rng.integers(0, len(rows), size=n)]


def gaussian(rows: Rows, n: int, rng: np.random.Generator) -> Array:
    r"""`n` samples of the Gaussian with the mean and covariance of the first 5000 rows.

    With the centred rows :math:`A` and standard normal :math:`z`, :math:`A^\top z / \sqrt{N-1}` has the
    sample covariance exactly, singular or not.
    """
    fitted = rows[:_GAUSSIAN_ROWS]
    mean = fitted.mean(axis=0)
    weights = rng.standard_normal((n, len(fitted))) / np.sqrt(len(fitted) - 1)
    return mean + weights @ (fitted - mean)


def uniform(low: Array, high: Array, n: int, rng: np.random.Generator) -> Array:
    """`n` samples uniform in the box from `low` to `high`, each ``(D,)``."""
    return rng.uniform(low, high, size=(n, len(low)))


def same_rows(first: NDArray[Any], second: NDArray[Any]) -> bool:
    """Whether two sets of rows have the same values in each column; a few columns at a time mostly decide it."""
    columns = (slice(start, start + 64) for start in range(0, first.shape[1], 64))
    return all(np.array_equal(np.sort(first[:, part], axis=0), np.sort(second[:, part], axis=0)) for part in columns)
