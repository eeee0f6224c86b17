r"""Likelihoods: the number that a density model reports, and the terms that it is made of.

Everything is per sample, in nats, and summed over data and latent dimensions (never a mean over pixels, which
would weigh the other terms by the number of pixels); the training step averages over the batch.

**The unit of bits/dim.** A set with $L$ grey levels is stored as $x = 2v/(L-1) - 1$, $v \in \{0, \dots,
L-1\}$: L points, on which a density means nothing. `dequantise` spreads each level over one of L equal bins
that fill [-1, 1],

$$y = 2\,\frac{v + u}{L} - 1, \qquad u \sim U[0, 1),$$

and $\log P(x) \geq E_u \log p(y) + D \log(2/L)$: a density on $y$, times the bins' volume, bounds the
probability of the stored image. A uniform density costs exactly $\log_2 L$ bits/dim: 8 for 256 levels, 4.0875
for 17.
"""

import math
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from genexp.errors import UserError

Kind = Literal["exact", "lower bound", "estimate", "none"]

COUNTING = "counting"  # a probability of discrete data
LEBESGUE = "lebesgue on [-1, 1]"  # a density of dequantised data


@dataclass(frozen=True, eq=False)
class Likelihood:
    """Log-likelihoods with what a reader must know to compare them.

    Attributes:
        value: log-likelihood of each sample (B,), in nats.
        kind: `exact`, `lower bound` (ELBO, importance-weighted), `estimate` (may lie on either side), or
            `none`.
        base_measure: what the density is relative to: `counting` (a probability), `lebesgue on [-1, 1]`, or
            another, such as `lebesgue on R^2`.
        samples: Monte Carlo samples per value; 0 if nothing is sampled.
    """

    value: Tensor
    kind: Kind
    base_measure: str
    samples: int = 0

    def bits_per_dim(self, dims: int, levels: int) -> Tensor:
        """Returns bits/dim (B,) of data with `levels` grey levels per dimension.

        Raises:
            UserError: the base measure is neither a probability nor a density on [-1, 1].
        """
        widths = {COUNTING: float(levels), LEBESGUE: 2.0}  # of the box; a probability has bins of width 1
        if self.base_measure not in widths:
            raise UserError(
                "Bits/dim needs data with grey levels, but the likelihood is relative to "
                f"{self.base_measure}: report nats."
            )
        return bits_per_dim(self.value, dims, levels, widths[self.base_measure])


def bits_per_dim(log_prob: Tensor, dims: int, levels: int, range_width: float = 2.0) -> Tensor:
    r"""Converts nats to bits/dim.

    $$-\frac{1}{\log 2}\Bigl(\frac{\log p(y)}{D} + \log\frac{R}{L}\Bigr)$$

    Arguments:
        log_prob: log-density per sample (B,), in nats, summed over dimensions.
        dims: the number of dimensions $D$.
        levels: grey levels per dimension $L$.
        range_width: the width $R$ of the box that the L bins fill: 2 for `dequantise`. With
            `range_width=levels` bins have width 1 and `log_prob` is a log-probability of discrete data.

    Returns:
        bits/dim (B,); lower is better.

    Example:
        >>> uniform = torch.full((1,), 64 * math.log(1 / 2))  # log-density of 64 dimensions on [-1, 1]
        >>> round(bits_per_dim(uniform, dims=64, levels=17).item(), 4)
        4.0875
    """
    return -(log_prob / dims + math.log(range_width / levels)) / math.log(2.0)


def dequantise(x: Tensor, levels: int, noise: Tensor) -> Tensor:
    """Spreads grey levels over equal bins that fill [-1, 1].

    Arguments:
        x: data on the grid 2v/(levels - 1) - 1; values beside the grid are rounded to it.
        levels: grey levels, at least 2.
        noise: uniform on [0, 1), of the shape of `x`; fresh at each step of a training.

    Returns:
        data in [-1, 1], float32 at least: `quantise` gives `x` back.
    """
    x = x.to(torch.promote_types(x.dtype, torch.float32))
    margin = levels * torch.finfo(x.dtype).eps  # keeps rounding from carrying a sample into the next bin
    level = ((x + 1) * (0.5 * (levels - 1))).round()
    return (level + noise.to(x).clamp(margin, 1 - margin)) * (2.0 / levels) - 1


def quantise(y: Tensor, levels: int) -> Tensor:
    """Returns the grid points whose bins hold `y`: the inverse of `dequantise`; outside, the nearest bin's.

    Arguments:
        y: dequantised data or samples, in [-1, 1].
        levels: grey levels, at least 2.

    Returns:
        data on the grid 2v/(levels - 1) - 1.
    """
    level = ((y + 1) * (0.5 * levels)).floor().clamp(0, levels - 1)
    return level * (2.0 / (levels - 1)) - 1


def gaussian_log_prob(x: Tensor, mean: Tensor, log_variance: Tensor) -> Tensor:
    r"""Returns $\log \mathcal N(x; \mu, \mathrm{diag}\,\sigma^2)$ per sample (B,), in nats.

    Arguments:
        x: data (B, ...).
        mean: the mean $\mu$, of a shape that broadcasts to that of `x`.
        log_variance: $\log\sigma^2$, of a shape that broadcasts to that of `x`: one per dimension, or one for
            all.
    """
    scaled = (x - mean).square() * torch.exp(-log_variance)
    return -0.5 * (scaled + log_variance + math.log(2 * math.pi)).flatten(1).sum(1)


def gaussian_kl(mean: Tensor, log_variance: Tensor) -> Tensor:
    r"""Returns $\mathrm{KL}(\mathcal N(\mu, \mathrm{diag}\,\sigma^2) \| \mathcal N(0, I))$ (B,), in nats.

    Arguments:
        mean: (B, ...).
        log_variance: $\log\sigma^2$ (B, ...).

    Example:
        >>> gaussian_kl(torch.ones(1, 1), torch.zeros(1, 1)).item()
        0.5
    """
    # expm1(s) - s has no cancellation where the posterior is nearly the prior
    return 0.5 * (mean.square() + torch.expm1(log_variance) - log_variance).flatten(1).sum(1)


def elbo(log_likelihood: Tensor, kl: Tensor, beta: float = 1.0) -> Tensor:
    r"""Returns $E_{z \sim q}\log p(x|z) - \beta\,\mathrm{KL}(q(z|x) \| p(z))$ per sample (B,), in nats.

    With $\beta \geq 1$ it is a lower bound of $\log p(x)$, the tightest at 1; with $\beta < 1$ it is none.

    Arguments:
        log_likelihood: log p(x|z) of one draw of z per sample (B,).
        kl: divergence of the posterior from the prior (B,).
        beta: the factor of the divergence.
    """
    return log_likelihood - beta * kl


@dataclass(frozen=True)
class ELBO:
    r"""A VAE's loss: the *negative* evidence lower bound $-E\log p(x|z) + \beta\,\mathrm{KL}$.

    Arguments:
        beta: the factor of the divergence: 1 bounds the likelihood, more makes latents independent of each
            other at the price of reconstruction (beta-VAE).

    Raises:
        UserError: beta is negative.

    References:
        Auto-Encoding Variational Bayes (Kingma, Welling, 2013), https://arxiv.org/abs/1312.6114

    Example:
        >>> ELBO()(torch.tensor([-10.0]), torch.tensor([2.0]))
        tensor([12.])
    """

    beta: float = 1.0

    def __post_init__(self) -> None:
        if not self.beta >= 0:
            raise UserError(f"loss.beta={self.beta} is out of range: give 0 or more.")

    def __call__(self, log_likelihood: Tensor, kl: Tensor) -> Tensor:
        """Returns the loss of each sample (B,), in nats; see `elbo`, whose negative it is."""
        return -elbo(log_likelihood, kl, self.beta)


def importance_weighted(log_weights: Tensor) -> Tensor:
    r"""Returns the importance-weighted lower bound $\log \frac1K \sum_k w_k$ per sample (B,), in nats.

    It grows with $K$ in expectation, to $\log p(x)$. Print `effective_sample_size` beside it: with a poor
    proposal it is still far off at K = 5000.

    Arguments:
        log_weights: $\log p(x|z_k) + \log p(z_k) - \log q(z_k|x)$ with $z_k \sim q$, shape (K, B), in nats.

    References:
        Importance Weighted Autoencoders (Burda, Grosse, Salakhutdinov, 2015),
        https://arxiv.org/abs/1509.00519
    """
    return torch.logsumexp(log_weights, 0) - math.log(log_weights.shape[0])


def effective_sample_size(log_weights: Tensor) -> Tensor:
    r"""Returns $(\sum_k w_k)^2 / \sum_k w_k^2$ per sample (B,): from 1 (one weight holds all) to K.

    Arguments:
        log_weights: logarithms of importance weights (K, B).
    """
    return torch.exp(2 * torch.logsumexp(log_weights, 0) - torch.logsumexp(2 * log_weights, 0))
