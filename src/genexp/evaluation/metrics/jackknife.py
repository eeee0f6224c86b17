r"""The delete-a-block jackknife: a standard error for any statistic of a generated set.

A bootstrap of the generated set repeats rows, which moves the Fréchet distance and MMD themselves; leaving
rows out does not.

References:
    The jackknife and the bootstrap for general stationary observations (Künsch, 1989), for blocks,
    https://doi.org/10.1214/aos/1176347265
"""

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike, NDArray


def jackknife_error(
    statistic: Callable[[NDArray], float],
    x: ArrayLike,
    blocks: int = 10,
    rng: np.random.Generator | None = None,
) -> float:
    r"""Standard error of ``statistic(x)`` over the rows of x.

    .. math:: \mathrm{SE}^2 = \frac{g-1}{g} \sum_{j=1}^{g} (\theta_{-j} - \bar\theta)^2

    Arguments:
        statistic: A function of rows; it is called once per block, on x without the block.
        x: Generated samples or features, first axis N.
        blocks: g, at least 2 and at most N.
        rng: Shuffles the rows before they are cut into blocks; None cuts them in the order given, which is as
            good for rows that are independent draws, and wrong for sorted ones.

    Returns:
        The standard error, in the statistic's units.

    Raises:
        ValueError: If the number of blocks is below 2 or above N.
    """
    rows = np.asarray(x)
    n = len(rows)
    if not 2 <= blocks <= n:
        raise ValueError(f"blocks must be between 2 and the number of rows {n}, but it is {blocks}")
    order = np.arange(n) if rng is None else rng.permutation(n)
    block_of_row = np.empty(n, dtype=np.int64)
    block_of_row[order] = np.arange(n) * blocks // n
    values = np.array([statistic(rows[block_of_row != block]) for block in range(blocks)], dtype=np.float64)
    return float(np.sqrt((blocks - 1) / blocks * ((values - values.mean()) ** 2).sum()))


def error_of_mean(values: NDArray[np.float64]) -> float:
    """Standard error of the mean of independent numbers; NaN for one number."""
    return float(values.std(ddof=1) / math.sqrt(len(values))) if len(values) > 1 else math.nan
