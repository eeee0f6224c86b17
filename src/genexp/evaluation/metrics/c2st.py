"""Classifier two-sample tests: the cross-validated AUC of a classifier of real against generated.

0.5 means that the classifier cannot tell the two apart, 1 that it always can. Two weak classifiers are
offered because strong ones reach 1.0 for every realistic model and rank nothing. Samples must lie on the grid
of the data (8-bit images rounded to 8 bits), otherwise the classifier only sees the rounding.

Repeated rows are removed first: a copy in the training folds of a row in the test fold would be recognised,
and a resampled perfect generator would read 0.8. A row that is in both sets stays in one fold for the same
reason. Report :func:`genexp.evaluation.metrics.memorisation.duplicate_share` beside it.

References:
    Revisiting Classifier Two-Sample Tests (Lopez-Paz and Oquab, 2017), https://arxiv.org/abs/1610.06545
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike, NDArray

from genexp.evaluation.metrics.distances import Array, as_pair, row_identities, squared_distances
from genexp.evaluation.metrics.ranks import mann_whitney

Score = Callable[[NDArray[np.bool_]], Array]


def c2st_logreg_auc(
    real_features: ArrayLike, fake_features: ArrayLike, rng: np.random.Generator, folds: int = 5
) -> float:
    """AUC of an L2-regularised logistic regression (C = 1) on features standardised by the training folds.

    Arguments:
        real_features: ``(N, d)``.
        fake_features: ``(M, d)``.
        rng: Assigns rows to folds.
        folds: Number of folds, at least 2.

    Returns:
        The mean over folds; 1 if the generated rows are all identical.

    Raises:
        ValueError: If an input is not a finite matrix, folds < 2, or fewer than two real rows are distinct.
    """
    from sklearn.linear_model import LogisticRegression

    rows, is_fake, identities = _distinct_rows(real_features, fake_features)

    def score(test: NDArray[np.bool_]) -> Array:
        train = rows[~test]
        mean, std = train.mean(axis=0), train.std(axis=0)
        std[std < 1e-12 * (1.0 + np.abs(mean))] = 1.0  # a constant column carries nothing
        model = LogisticRegression(C=1.0, solver="newton-cholesky", max_iter=100, tol=1e-4)
        model.fit((train - mean) / std, is_fake[~test])
        return model.decision_function((rows[test] - mean) / std)

    return _cross_validated_auc(score, is_fake, identities, rng, folds)


def c2st_knn_auc(real: ArrayLike, fake: ArrayLike, rng: np.random.Generator, k: int = 5, folds: int = 5) -> float:
    """AUC of the share of generated rows among the k nearest training rows (Euclidean).

    Arguments:
        real: ``(N, d)``, features or pixels.
        fake: ``(M, d)``.
        rng: Assigns rows to folds.
        k: Number of neighbours.
        folds: Number of folds, at least 2.

    Returns:
        The mean over folds; 1 if the generated rows are all identical.

    Raises:
        ValueError: If an input is not a finite matrix, k < 1, folds < 2, or fewer than two real rows are
            distinct.
    """
    if k < 1:
        raise ValueError(f"k must be at least 1, but it is {k}")
    rows, is_fake, identities = _distinct_rows(real, fake)
    squared = squared_distances(rows, rows)

    def score(test: NDArray[np.bool_]) -> Array:
        to_train = squared[np.ix_(test, ~test)]
        neighbours = min(k, to_train.shape[1])
        nearest = np.argpartition(to_train, neighbours - 1, axis=1)[:, :neighbours]
        return is_fake[~test][nearest].mean(axis=1)

    return _cross_validated_auc(score, is_fake, identities, rng, folds)


def _distinct_rows(real: ArrayLike, fake: ArrayLike) -> tuple[Array, NDArray[np.bool_], NDArray[np.int64]]:
    """Each set without repetitions, stacked; whether a row is generated; the number of its content."""
    reals, fakes = as_pair(real, fake, ("real", "fake"))
    rows = np.concatenate([reals, fakes])
    is_fake = np.arange(len(rows)) >= len(reals)
    identities = row_identities(rows)
    kept = np.sort(np.unique(2 * identities + is_fake, return_index=True)[1])
    if np.count_nonzero(~is_fake[kept]) < 2:
        raise ValueError("real needs at least two distinct rows")
    return rows[kept], is_fake[kept], identities[kept]


def _cross_validated_auc(
    score: Score,
    is_fake: NDArray[np.bool_],
    identities: NDArray[np.int64],
    rng: np.random.Generator,
    folds: int,
) -> float:
    """Mean over folds of the AUC of ``score(test)``, the scores of the rows of a test fold."""
    if folds < 2:
        raise ValueError(f"folds must be at least 2, but it is {folds}")
    if np.count_nonzero(is_fake) < 2:
        return 1.0  # a single repeated sample: recognised by comparing with it
    fold_of_row = _folds(is_fake, identities, rng, folds)
    aucs = []
    for fold in range(folds):
        test = fold_of_row == fold
        test_fakes, train_fakes = is_fake[test], is_fake[~test]
        if test_fakes.all() or not test_fakes.any() or train_fakes.all() or not train_fakes.any():
            continue  # only with a handful of distinct rows: no AUC without both classes
        scores = score(test)
        aucs.append(mann_whitney(scores[test_fakes], scores[~test_fakes])[1])
    return float(np.mean(aucs))


def _folds(
    is_fake: NDArray[np.bool_], identities: NDArray[np.int64], rng: np.random.Generator, folds: int
) -> NDArray[np.int64]:
    """Fold of each row: one fold per distinct row, and balanced in real, generated and shared rows."""
    kinds = np.zeros(int(identities.max()) + 1, dtype=np.int64)  # 1: real only, 2: generated only, 3: both
    np.add.at(kinds, identities, np.where(is_fake, 2, 1))
    fold_of_identity = np.empty(len(kinds), dtype=np.int64)
    for kind in (1, 2, 3):
        members = rng.permutation(np.flatnonzero(kinds == kind))
        fold_of_identity[members] = np.arange(len(members)) % folds
    return fold_of_identity[identities]
