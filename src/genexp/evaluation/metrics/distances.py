r"""Pairwise Euclidean distances and the check of inputs that every metric shares.

Squared distances come from one matrix product, :math:`|a|^2 + |b|^2 - 2 a^\top b`, on centred float64 data.
The product loses all digits for (nearly) identical rows, which is where precision and recall, memorisation
and duplicates look; those few pairs are recomputed from differences. What remains is a relative error below
:data:`TIE` for every entry, and an exact zero for identical rows.
"""

from collections.abc import Iterator

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float64]

#: Relative tolerance under which two squared distances count as equal.
TIE = 1e-9

_CANCELLED = 1e-6  # below this share of |a|^2 + |b|^2 fewer than ten digits are left
_BLOCK_ENTRIES = 2**22  # 32 MiB of float64 per block
_PAIRS_AT_ONCE = 2**22  # entries of the differences that are recomputed in one go


def as_features(x: ArrayLike, name: str, min_rows: int = 1) -> Array:
    """Check a feature matrix and return it as float64.

    Arguments:
        x: Features ``(N, d)``.
        name: What the error message calls it.
        min_rows: The fewest rows that make sense.

    Returns:
        The matrix ``(N, d)`` in float64.

    Raises:
        ValueError: If it is not a matrix, has too few rows, or contains NaN or infinite values.
    """
    matrix = np.asarray(x, dtype=np.float64)
    if matrix.ndim != 2 or matrix.shape[1] == 0:
        raise ValueError(f"{name} must be a matrix (N, d), but its shape is {matrix.shape}")
    if matrix.shape[0] < min_rows:
        raise ValueError(f"{name} needs at least {min_rows} rows, but it has {matrix.shape[0]}")
    if not np.isfinite(matrix).all():
        raise ValueError(f"{name} contains NaN or infinite values")
    return matrix


def as_pair(x: ArrayLike, y: ArrayLike, names: tuple[str, str] = ("x", "y"), min_rows: int = 1) -> tuple[Array, Array]:
    """Check two feature matrices that are to be compared.

    Arguments:
        x: Features ``(N, d)``.
        y: Features ``(M, d)``.
        names: What the error messages call them.
        min_rows: The fewest rows that make sense, for each.

    Returns:
        Both in float64.

    Raises:
        ValueError: As :func:`as_features`, or if their numbers of columns differ.
    """
    first, second = as_features(x, names[0], min_rows), as_features(y, names[1], min_rows)
    if first.shape[1] != second.shape[1]:
        raise ValueError(
            f"{names[0]} and {names[1]} must have the same number of columns, "
            f"but they have {first.shape[1]} and {second.shape[1]}"
        )
    return first, second


def row_slices(rows: int, columns: int) -> Iterator[slice]:
    """Cut ``rows`` so that a block of ``columns`` columns stays small in memory.

    Arguments:
        rows: Number of rows to cover.
        columns: Width of the matrix whose blocks will be formed.

    Yields:
        Consecutive slices; a single one for a few thousand rows.
    """
    step = max(1, _BLOCK_ENTRIES // max(columns, 1))
    for start in range(0, rows, step):
        yield slice(start, min(start + step, rows))


def squared_distances(a: Array, b: Array) -> Array:
    """All squared Euclidean distances between the rows of two matrices.

    Arguments:
        a: ``(N, d)``, float64 and finite.
        b: ``(M, d)``, float64 and finite.

    Returns:
        ``(N, M)``, non-negative, with relative error below :data:`TIE`.
    """
    block = np.empty((len(a), len(b)))
    for rows, distances in squared_distance_blocks(a, b):
        block[rows] = distances
    return block


def squared_distance_blocks(a: Array, b: Array) -> Iterator[tuple[slice, Array]]:
    """The rows of :func:`squared_distances` in blocks, for sets whose full matrix would not fit.

    Arguments:
        a: ``(N, d)``, float64 and finite.
        b: ``(M, d)``, float64 and finite.

    Yields:
        A slice of rows of ``a`` and their distances to all of ``b``; the block may be overwritten.
    """
    centre = b.mean(axis=0)  # a common offset would cost digits in the product
    a_centred, b_centred = a - centre, b - centre
    a_norms = np.einsum("ij,ij->i", a_centred, a_centred)
    b_norms = np.einsum("ij,ij->i", b_centred, b_centred)
    for rows in row_slices(len(a), len(b)):
        norms = a_norms[rows, None] + b_norms
        block = (-2.0 * a_centred[rows]) @ b_centred.T
        block += norms
        norms *= _CANCELLED
        i, j = np.nonzero(block <= norms)
        pairs = max(1, _PAIRS_AT_ONCE // a.shape[1])
        for start in range(0, len(i), pairs):
            part = slice(start, start + pairs)
            difference = a[rows][i[part]] - b[j[part]]
            block[i[part], j[part]] = np.einsum("ij,ij->i", difference, difference)
        yield rows, block


def row_identities(x: Array) -> NDArray[np.int64]:
    """Number the distinct rows in the order in which they first appear: equal rows, and only those, share a number.

    The numbers depend on nothing but which rows are equal: what is dealt by them, as folds are, stays where it was
    when another machine rounds the last bit of a feature differently.

    Arguments:
        x: ``(N, d)``.

    Returns:
        ``(N,)``, integers from 0 to the number of distinct rows less one.
    """
    rows = np.ascontiguousarray(x) + 0.0  # turns -0.0 into 0.0, whose bytes differ
    keys = rows.view(np.dtype((np.void, rows.itemsize * rows.shape[1]))).ravel()
    _, first, by_bytes = np.unique(keys, return_index=True, return_inverse=True)
    appearance = np.empty(len(first), dtype=np.int64)
    appearance[np.argsort(first)] = np.arange(len(first))
    return appearance[by_bytes.reshape(-1)]
