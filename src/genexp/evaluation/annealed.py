r"""Annealed importance sampling: the likelihood of a decoder, without an encoder.

A model draws $z \sim N(0, I)$ and $x \sim p(x|z)$. Chains walk from the prior to the posterior of each datum, over
$p_t(z) \propto p(z)\, p(x|z)^{\beta_t}$ with $0 = \beta_0 < \dots < \beta_T = 1$; with $z_0$ from the prior and $z_t$
from a step of Hamiltonian Monte Carlo that leaves $p_t$ as it is,

$$\log w = \sum_{t=1}^T (\beta_t - \beta_{t-1}) \log p(x|z_{t-1}), \qquad E\,w = p(x).$$

So $\log \frac1C \sum_c w_c$ is a lower bound of $\log p(x)$ in expectation, whatever the number of steps; its gap
falls about as 1/T. An importance-weighted bound needs an encoder that covers the posterior, and one that misses a part
of it stays far off at any number of samples; this one does not, at the price of T times the decoder's gradients.

References:
    Annealed Importance Sampling (Neal, 2001), https://arxiv.org/abs/physics/9803008
    On the Quantitative Analysis of Decoder-Based Generative Models (Wu et al., 2017),
    https://arxiv.org/abs/1611.04273
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from genexp.objectives.likelihood import effective_sample_size, importance_weighted

LogLikelihood = Callable[[Tensor, Tensor], Tensor]

_SHARPNESS = 4.0  # of the sigmoid of inverse temperatures: most of them lie near both ends
_ACCEPTANCE = 0.65  # where Hamiltonian Monte Carlo is most efficient
_FIRST_STEP = 0.3
_TUNING_MOVES = 100  # the least that the first pass makes to find its step sizes
_TUNING_CHAINS = 2  # which need not be as exact as weights


@dataclass(frozen=True, eq=False)
class Annealed:
    """An estimate of log-likelihoods.

    Attributes:
        log_weights: logarithms of importance weights (C, B), one for each chain, in nats.
        acceptance: the share of accepted moves of each datum (B,): far from 0.65 the steps were too long or too short;
            0 with a single step, where nothing moves.
    """

    log_weights: Tensor
    acceptance: Tensor

    @property
    def value(self) -> Tensor:
        """Log-likelihood of each datum (B,), a lower bound in expectation, in nats."""
        return importance_weighted(self.log_weights)

    @property
    def effective_chains(self) -> Tensor:
        """Effective sample size of each datum (B,): from 1 (one chain holds all weight) to C."""
        return effective_sample_size(self.log_weights)


def annealed_likelihood(
    log_likelihood: LogLikelihood,
    x: Tensor,
    latent_dim: int,
    steps: int = 200,
    chains: int = 8,
    leapfrog: int = 10,
    seed: int = 0,
) -> Annealed:
    r"""Estimates $\log p(x)$ of data under a decoder with the prior $N(0, I)$.

    A first pass finds a step size for each datum and each temperature; the second keeps them, and draws anew, so that
    the weights stay unbiased.

    Arguments:
        log_likelihood: gives $\log p(x|z)$ (N,) in nats, of data (N, ...) and latents (N, latent_dim), differentiable
            in the latents.
        x: data (B, ...).
        latent_dim: dimensions of the latents.
        steps: temperatures T after the prior.
        chains: chains C of each datum, all at once: C * B latents go through the decoder.
        leapfrog: steps of the integrator in each move.
        seed: the estimate is a function of it.

    Returns:
        log-weights and acceptance.

    Raises:
        ValueError: a number is below 1.
    """
    for name, number in (("latent_dim", latent_dim), ("steps", steps), ("chains", chains), ("leapfrog", leapfrog)):
        if number < 1:
            raise ValueError(f"{name} must be at least 1, but it is {number}")
    betas = inverse_temperatures(steps).tolist()
    generator = torch.Generator(x.device).manual_seed(seed)
    pilot = _Walk(log_likelihood, x, latent_dim, min(chains, _TUNING_CHAINS), leapfrog, generator)
    sizes = pilot.tune(betas)
    return _Walk(log_likelihood, x, latent_dim, chains, leapfrog, generator).anneal(betas, sizes)


def inverse_temperatures(steps: int) -> Tensor:
    """A sigmoid from exactly 0 to exactly 1, (steps + 1,) in float64: close together near the prior and the posterior.

    Example:
        >>> inverse_temperatures(2)
        tensor([0.0000, 0.5000, 1.0000], dtype=torch.float64)
    """
    sigmoid = torch.sigmoid(_SHARPNESS * torch.linspace(-1.0, 1.0, steps + 1, dtype=torch.float64))
    betas = (sigmoid - sigmoid[0]) / (sigmoid[-1] - sigmoid[0])
    betas[0], betas[-1] = 0.0, 1.0
    return betas


@dataclass
class _State:
    """Where C * B chains are: latents (N, d), log p(x|z) (N,) and its gradient (N, d)."""

    z: Tensor
    log_likelihood: Tensor
    gradient: Tensor


class _Walk:
    """C chains for each of B data, moved together; chain c of datum b is row c * B + b."""

    def __init__(
        self,
        log_likelihood: LogLikelihood,
        x: Tensor,
        latent_dim: int,
        chains: int,
        leapfrog: int,
        generator: torch.Generator,
    ) -> None:
        self.log_likelihood, self.leapfrog, self.generator = log_likelihood, leapfrog, generator
        self.latent_dim, self.chains, self.data = latent_dim, chains, len(x)
        self.x = x.repeat(chains, *[1] * (x.ndim - 1))  # (C * B, ...)

    def tune(self, betas: list[float]) -> list[Tensor]:
        """Step sizes (B,) for each temperature after the prior, from a pass whose weights nobody uses."""
        moves = math.ceil(_TUNING_MOVES / (len(betas) - 1))
        state = self._start()
        log_size = torch.full((self.data,), math.log(_FIRST_STEP), device=self.x.device, dtype=self.x.dtype)
        sizes = []
        for beta in betas[1:]:
            for _ in range(moves):
                state, accepted = self._move(state, beta, log_size.exp())
                log_size += 0.2 * (accepted - _ACCEPTANCE)
            sizes.append(log_size.exp())
        return sizes

    def anneal(self, betas: list[float], sizes: list[Tensor]) -> Annealed:
        """The weights of chains that use these step sizes."""
        state = self._start()
        log_weights = torch.zeros(self.chains * self.data, dtype=torch.float64, device=self.x.device)
        acceptance = torch.zeros_like(sizes[0])
        for before, beta, size in zip(betas, betas[1:], sizes, strict=False):
            log_weights += (beta - before) * state.log_likelihood
            if beta < 1.0:  # no weight looks at where a last move would go
                state, accepted = self._move(state, beta, size)
                acceptance += accepted / max(len(sizes) - 1, 1)
        return Annealed(log_weights.reshape(self.chains, self.data), acceptance)

    def _start(self) -> _State:
        return self._at(self._normal())

    def _normal(self) -> Tensor:
        shape = (self.chains * self.data, self.latent_dim)
        return torch.randn(shape, generator=self.generator, device=self.x.device, dtype=self.x.dtype)

    def _at(self, z: Tensor) -> _State:
        with torch.enable_grad():
            z = z.detach().requires_grad_()
            value = self.log_likelihood(self.x, z)
            (gradient,) = torch.autograd.grad(value.sum(), z)
        return _State(z.detach(), value.detach(), gradient)

    def _move(self, state: _State, beta: float, size: Tensor) -> tuple[_State, Tensor]:
        """One move of Hamiltonian Monte Carlo that leaves p(z) p(x|z)^beta as it is, and its acceptance (B,)."""
        step = size.repeat(self.chains).unsqueeze(1)  # (C * B, 1)
        start = momentum = self._normal()
        new = state
        momentum = momentum + 0.5 * step * (beta * new.gradient - new.z)
        for i in range(self.leapfrog):
            new = self._at(new.z + step * momentum)
            last = i == self.leapfrog - 1
            momentum = momentum + (0.5 if last else 1.0) * step * (beta * new.gradient - new.z)
        gain = _energy(state, start, beta) - _energy(new, momentum, beta)
        probability = gain.clamp(max=0.0).exp().nan_to_num(0.0)  # a walk out of all bounds is refused
        uniform = torch.rand(gain.shape, generator=self.generator, device=gain.device, dtype=gain.dtype)
        moved = uniform < probability
        state = _State(
            torch.where(moved[:, None], new.z, state.z),
            torch.where(moved, new.log_likelihood, state.log_likelihood),
            torch.where(moved[:, None], new.gradient, state.gradient),
        )
        return state, probability.reshape(self.chains, self.data).mean(dim=0)


def _energy(state: _State, momentum: Tensor, beta: float) -> Tensor:
    """Minus the log-density of latents and momentum, (N,), without its constants."""
    squares = state.z.square().sum(dim=1) + momentum.square().sum(dim=1)
    return 0.5 * squares - beta * state.log_likelihood
