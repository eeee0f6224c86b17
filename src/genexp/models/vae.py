r"""The variational autoencoder.

An encoder proposes $q(z|x) = N(\mu(x), \operatorname{diag} \sigma^2(x))$, a decoder gives
$p(x|z) = N(m(z), s^2 I)$ with one learned variance $s^2$ (or one for each dimension). Training maximises the evidence
lower bound, summed over dimensions and averaged over the batch, in nats:

$$\log p(x) \ge E_{q(z|x)} \log p(x|z) - KL\bigl(q(z|x) \,\|\, N(0, I)\bigr).$$

Grey levels are dequantised with uniform noise into bins that fill [-1, 1], so that the density is one of continuous
data and cannot grow without end; encoder and decoder work on that scale.

References:
    Auto-Encoding Variational Bayes, Kingma and Welling, 2014. https://arxiv.org/abs/1312.6114
    Importance Weighted Autoencoders, Burda et al., 2016. https://arxiv.org/abs/1509.00519

Expected result: `experiment=digits_vae`, in the README's table.
"""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from genexp.errors import UserError
from genexp.models.latent import LatentVariableModel
from genexp.objectives.likelihood import (
    ELBO,
    LEBESGUE,
    Likelihood,
    dequantise,
    gaussian_kl,
    gaussian_log_prob,
    importance_weighted,
)
from genexp.training.plans import Batch

LOG_VARIANCE_RANGE = (-10.0, 10.0)


class GaussianNoise(nn.Module):
    """The decoder's learned variance: one for all dimensions, or one for each.

    Arguments:
        shape: shape of one datum.
        per_dimension: learn a variance for each dimension.
    """

    def __init__(self, shape: Sequence[int], per_dimension: bool = False) -> None:
        super().__init__()
        self.log_variance = nn.Parameter(torch.zeros(tuple(shape) if per_dimension else ()))

    def forward(self, x: Tensor, mean: Tensor) -> Tensor:
        """Log-density of `x` given the decoder's mean, (B, *shape) -> (B,), in nats."""
        return gaussian_log_prob(x, mean, self.log_variance.clamp(*LOG_VARIANCE_RANGE).expand_as(mean))


class VAE(LatentVariableModel):
    """A Gaussian encoder and decoder, trained on the ELBO.

    Arguments:
        shape: shape of one datum, (C, H, W) or (D,).
        latent_dim: dimensions of the latents.
        decoder: makes the mean of $p(x|z)$, `decoder(latent_dim=..., shape=...)`.
        encoder: makes mean and log-variance of $q(z|x)$, `encoder(shape=..., outputs=2 * latent_dim)`.
        loss: weighs the ELBO's two terms.
        levels: grey levels of the data, None for continuous data.
        variance_per_dimension: learn a variance for each dimension instead of one for all.
    """

    averaged = ("encoder", "decoder", "noise")
    default_plan = "minimize"

    def __init__(
        self,
        shape: Sequence[int],
        latent_dim: int,
        decoder: Callable[..., nn.Module],
        encoder: Callable[..., nn.Module],
        loss: ELBO,
        levels: int | None = None,
        variance_per_dimension: bool = False,
    ) -> None:
        super().__init__(shape)
        if latent_dim < 1:
            raise UserError(f"model.latent_dim={latent_dim} leaves nothing to sample: give at least 1.")
        if not isinstance(loss, ELBO):
            raise UserError(f"A VAE is trained on the ELBO, not on {type(loss).__name__}: use loss=elbo.")
        self.latent_dim, self.loss_terms, self.levels = latent_dim, loss, levels
        self.encoder = encoder(shape=self.shape, outputs=2 * latent_dim)
        self.decoder = decoder(latent_dim=latent_dim, shape=self.shape)
        self.noise = GaussianNoise(self.shape, variance_per_dimension)

    def players(self) -> dict[str, nn.Module]:
        """One player: encoder, decoder and variance together."""
        return {"model": nn.ModuleList([self.encoder, self.decoder, self.noise])}

    def loss(self, batch: Batch) -> Tensor:
        """The negative ELBO, averaged over the batch, in nats."""
        x = batch["x"]
        if self.levels is not None:
            x = dequantise(x, self.levels, self.random.uniform(len(x), *self.shape))
        mean, log_variance = self.posterior(x)
        z = mean + (0.5 * log_variance).exp() * self.random.normal(len(x), self.latent_dim)
        log_likelihood = self.log_likelihood(x, z)
        kl = gaussian_kl(mean, log_variance)
        loss = self.loss_terms(log_likelihood, kl).mean()
        self.record("loss/negative_elbo", loss)
        self.record("loss/reconstruction", -log_likelihood.mean())
        self.record("loss/kl", kl.mean())
        return loss

    def posterior(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and log-variance of $q(z|x)$, each (B, latent_dim)."""
        mean, log_variance = self.encoder(x).chunk(2, dim=1)
        return mean, log_variance.clamp(*LOG_VARIANCE_RANGE)

    # --- what a trained one can do ----------------------------------------------------------------------------------

    def encode(self, x: Tensor) -> Tensor:
        """Posterior means, (B, *shape) -> (B, latent_dim)."""
        if self.levels is not None:  # a grey level stands at the centre of its bin
            x = ((x + 1.0) * (self.levels - 1) + 1.0) / self.levels - 1.0
        return self.posterior(x)[0]

    def decode(self, z: Tensor, y: Tensor | None = None) -> Tensor:
        """Means of $p(x|z)$, (B, latent_dim) -> (B, *shape), with grey levels where the data have them.

        Samples are these means; pixel noise would only blur them.
        """
        mean = self.decoder(z)
        return mean if self.levels is None else ((mean + 1.0) * self.levels - 1.0) / (self.levels - 1) - 1.0

    def reconstruct(self, x: Tensor) -> Tensor:
        """Data through the posterior mean and back, (B, *shape)."""
        return self.decode(self.encode(x))

    def log_likelihood(self, x: Tensor, z: Tensor) -> Tensor:
        r"""$\log p(x|z)$ (B,) in nats, of data as `log_prob` takes them and latents (B, latent_dim)."""
        return self.noise(x, self.decoder(z))

    def log_prob(self, x: Tensor, samples: int = 1, seed: int | None = None) -> Likelihood:
        r"""The importance-weighted bound with K = `samples`; K = 1 is the ELBO.

        $$\log p(x) \ge E \log \frac1K \sum_k \frac{p(x|z_k) p(z_k)}{q(z_k|x)}, \quad z_k \sim q(z|x).$$

        Arguments:
            x: data, (B, *shape); grey levels dequantised by `genexp.objectives.likelihood.dequantise`.
            samples: K.
            seed: the noise is a function of it.
        """
        generator = self.generator_for(seed)
        mean, log_variance = self.posterior(x)
        zero = torch.zeros_like(mean)
        log_weights = []
        for _ in range(samples):
            noise = torch.randn(mean.shape, device=mean.device, generator=generator)
            z = mean + (0.5 * log_variance).exp() * noise
            log_weights.append(
                self.log_likelihood(x, z) + gaussian_log_prob(z, zero, zero) - gaussian_log_prob(z, mean, log_variance)
            )
        return Likelihood(
            value=importance_weighted(torch.stack(log_weights)),
            kind="lower bound",
            base_measure="lebesgue" if self.levels is None else LEBESGUE,
            samples=samples,
        )
