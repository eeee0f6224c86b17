r"""Feature likelihood divergence: are held-out rows likely under a density estimate that copies cannot improve?

The estimate is a mixture of Gaussians, one on each generated row :math:`g_j`, in features standardised by the
training set. Their variances are fitted to the training rows,

.. math:: p(x) = \frac{1}{n+1} \Bigl[\sum_{j=1}^n N(x; g_j, \sigma_j^2 I) + N(x; 0, I)\Bigr], \qquad
          \sigma = \arg\max_\sigma \sum_i \log p(x_i),

so that the Gaussian on a copied training row collapses, and is lost for rows that were held out. The score is the
mean negative log-likelihood of these, less that of a mixture on one half of the training set fitted to the other
half, in hundredths of a nat per dimension.

The last Gaussian, on the mean of the training set, is one that the reference code leaves out after its fit: with it
a held-out row keeps a likelihood, so that the score of a copier is large and not infinite. The variances are found
by expectation maximisation, which has no learning rate and cannot get worse, and are at least 1e-6.

References:
    Feature Likelihood Divergence: Evaluating the Generalization of Generative Models Using Samples (Jiralerspong
    et al., 2023), https://arxiv.org/abs/2302.04440
"""

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import logsumexp

from genexp.evaluation.metrics.distances import Array, as_features, as_pair, squared_distances

_LEAST_VARIANCE = 1e-6
_ROUNDS = 100  # of expectation maximisation, fewer once nothing moves
_SETTLED = 1e-7  # nats per dimension


def feature_likelihood_divergence(
    generated: ArrayLike, train: ArrayLike, held_out: ArrayLike, rng: np.random.Generator
) -> dict[str, float]:
    """Compare the likelihoods of held-out and of training rows under a density on the generated ones.

    A perfect generator does not read 0: it has more Gaussians, and fits them to more rows, than the baseline with its
    two halves of the training set. On 32 features of the digits (N = M = 500, T = 797) it reads about -3.5, with a gap
    of -4; the halving alone moves that by 1. Compare with a held-out sample in the generator's place.

    Arguments:
        generated: ``(N, d)``.
        train: ``(T, d)``, T at least 4, what the generator was fitted to.
        held_out: ``(M, d)``, real rows that it never saw.
        rng: Halves the training set.

    Returns:
        * ``fld``: lower is better; at most the score of the training set's mean and variances and log (N + 1);
        * ``fld_gap``: the training rows' negative log-likelihood less that of the held-out rows, in the same unit:
          far below that of a perfect generator if training rows were copied.

    Raises:
        ValueError: If an input is not a finite matrix, or train has fewer than four rows.
    """
    samples, real = as_pair(generated, train, ("generated", "train"))
    samples, test = as_pair(samples, held_out, ("generated", "held_out"))
    as_features(real, "train", min_rows=4)
    # A constant column has no scale; measured in its own value it stays as it is.
    mean, std = real.mean(axis=0), real.std(axis=0)
    std = np.where(std > 1e-12 * (1.0 + np.abs(mean)), std, 1.0)
    samples, real, test = ((rows - mean) / std for rows in (samples, real, test))

    variances = _fitted_variances(samples, real)
    of_test, of_train = (_mean_nll(rows, samples, variances) for rows in (test, real))
    shuffled = rng.permutation(real)
    half = min(len(samples), len(real) // 2)
    centres, others = shuffled[:half], shuffled[half:]
    baseline = _mean_nll(test, centres, _fitted_variances(centres, others))
    unit = 100.0 / samples.shape[1]
    return {"fld": unit * (of_test - baseline), "fld_gap": unit * (of_train - of_test)}


def _fitted_variances(centres: Array, rows: Array) -> Array:
    """Variances (n,) of the Gaussians on the centres that make the rows (T, d) likely."""
    dim = rows.shape[1]
    squared = squared_distances(rows, centres)  # (T, n)
    background = _background(rows)
    variances = np.maximum(squared.min(axis=0) / dim, _LEAST_VARIANCE)  # each at its best for the nearest row
    before = -np.inf
    for _ in range(_ROUNDS):
        joint = _log_gaussians(squared, variances, dim)
        total = _log_sum(joint, background)
        shares = np.exp(joint - total[:, None])
        weights = shares.sum(axis=0)
        scatter = np.einsum("ij,ij->j", shares, squared)
        used = weights > 1e-300  # a Gaussian that no row belongs to stays as it was
        variances[used] = np.maximum(scatter[used] / (dim * weights[used]), _LEAST_VARIANCE)
        now = float(total.mean()) / dim
        if now - before < _SETTLED:
            break
        before = now
    return variances


def _mean_nll(rows: Array, centres: Array, variances: Array) -> float:
    """Mean negative log-likelihood of rows under the mixture, in nats."""
    joint = _log_gaussians(squared_distances(rows, centres), variances, rows.shape[1])
    return -float((_log_sum(joint, _background(rows)) - np.log(len(centres) + 1)).mean())


def _log_gaussians(squared: Array, variances: Array, dim: int) -> Array:
    return -0.5 * (squared / variances + dim * np.log(2.0 * np.pi * variances))


def _background(rows: Array) -> Array:
    """Log-density (T,) of the Gaussian that stands for the whole training set."""
    return -0.5 * (np.einsum("ij,ij->i", rows, rows) + rows.shape[1] * np.log(2.0 * np.pi))


def _log_sum(joint: Array, background: Array) -> Array:
    return np.logaddexp(logsumexp(joint, axis=1), background)
