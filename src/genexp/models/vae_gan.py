r"""VAE-GAN: a variational autoencoder that measures errors by what a critic sees.

A pixel's error says little about what an image shows. Here the likelihood of the data is that of the critic's last
features $f$, a Gaussian around those of the reconstruction, and the critic tells data from samples and from
reconstructions. With $z \sim q(z|x) = N(\mu(x), \operatorname{diag}\sigma^2(x))$ and $z_p \sim N(0, I)$,

$$L_f = -E \log N\bigl(f(x);\, f(G(z)),\, s^2 I\bigr), \qquad L_{KL} = E\,KL\bigl(q(z|x)\,\|\,N(0, I)\bigr),$$

in nats, and each network has its own part:

$$\min_E\; L_{KL} + L_f, \qquad \min_G\; \gamma L_f + L_G\bigl(D(G(z_p)), D(G(\bar z))\bigr), \qquad
\min_D\; L_D\bigl(D(x), \{D(G(z_p)), D(G(z))\}\bigr).$$

The encoder sees nothing of the adversarial loss (the bar stops the gradient), and the critic nothing of $L_f$: it would
make its features small. The two kinds of samples count half each. In the paper $s = 1$, which leaves the weight of
$L_f$ to whatever scale the critic's features have; here $s^2$ is the batch's own mean squared error, where the
likelihood is largest.

References:
    Autoencoding beyond pixels using a learned similarity metric, Larsen et al., 2016. https://arxiv.org/abs/1512.09300
    Simple and Effective VAE Training with Calibrated Decoders, Rybkin et al., 2020 (the variance).
    https://arxiv.org/abs/2006.13202

Expected result: `experiment=digits_vae_gan`, in docs/encoders.md.
"""

import math
from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor, nn

from genexp.errors import UserError
from genexp.models.encoder_gan import EncoderGAN
from genexp.networks.features import FeatureCritic
from genexp.objectives.adversarial import AdversarialLoss
from genexp.objectives.constraints import Constraint
from genexp.objectives.likelihood import gaussian_kl
from genexp.objectives.penalties import Penalty
from genexp.training.plans import Batch
from genexp.training.strategy import mean_over_ranks


class VAEGAN(EncoderGAN):
    r"""An autoencoder whose decoder is a GAN's generator.

    The monitor sees samples of the prior, and the scores of both kinds of samples.

    Arguments:
        shape: shape of one datum, (C, H, W) or (D,).
        latent_dim: dimensions of the latents.
        decoder: makes the generator, `decoder(latent_dim=..., shape=...)`.
        encoder: makes the encoder, `encoder(shape=..., outputs=2 * latent_dim)`, and the critic up to its features.
        loss: the adversarial loss.
        penalties: penalties on the critic and on the samples by name.
        constraint: what holds the critic down; not `gradient`, under which features have no scale of their own.
        feature_weight: the factor $\gamma$ of the features' error for the generator.
        code_dim: features of the critic.

    Raises:
        UserError: the weight is not positive, or the parts do not go together.
    """

    def __init__(
        self,
        shape: Sequence[int],
        latent_dim: int,
        decoder: Callable[..., nn.Module],
        encoder: Callable[..., nn.Module],
        loss: AdversarialLoss,
        penalties: Mapping[str, Penalty],
        constraint: Constraint,
        feature_weight: float = 0.1,
        code_dim: int = 128,
    ) -> None:
        def critic(shape: Sequence[int], outputs: int) -> nn.Module:
            return FeatureCritic(encoder, shape, code_dim)

        if not feature_weight > 0:
            raise UserError(f"model.feature_weight={feature_weight} is out of range: give a positive number.")
        super().__init__(shape, latent_dim, decoder, encoder, critic, loss, penalties, constraint, stochastic=True)
        self.feature_weight = feature_weight

    # --- the game ---------------------------------------------------------------------------------------------------

    def _latents(self, batch: Batch) -> Tensor:
        """Latents of samples, and the encoder's noise, (B, 2 * latent_dim)."""
        return self.random.normal(len(batch["x"]), 2 * self.latent_dim)

    def generate(self, batch: Batch) -> Tensor:
        """Samples, and after them reconstructions whose latents are constants, (2B, *shape)."""
        z, noise = self._latents_of(batch).chunk(2, dim=1)
        with torch.no_grad():
            codes = self.code(batch["x"], noise)
        return self.generator(torch.cat([z, codes]))

    def contest(self, batch: Batch, fakes: Tensor) -> tuple[Batch, Tensor]:
        """The data twice, against samples and reconstructions, (2B, *shape) each."""
        return {**batch, "x": torch.cat([batch["x"], batch["x"]])}, fakes

    def samples(self, fakes: Tensor) -> Tensor:
        """The samples of the prior, (B, *shape)."""
        return fakes[: len(fakes) // 2]

    def show(self, **tensors: Tensor) -> None:
        """Keep each datum once for the monitor, and samples of the prior."""
        super().show(**{**tensors, "x": self.samples(tensors["x"]), "fakes": self.samples(tensors["fakes"])})

    def own_terms(self, batch: Batch, fakes: Tensor) -> Tensor:
        r"""$L_{KL} + \gamma L_f$, of which the encoder gets the gradient of $L_{KL} + L_f$."""
        mean, log_variance = self.posterior(batch["x"])
        z = mean + (0.5 * log_variance).exp() * self.random.normal(len(mean), self.latent_dim)
        z = z.detach() + (z - z.detach()) / self.feature_weight  # the same latents, whose gradient loses the weight
        features = self._features
        squared = (features(self.generator(z)) - features(batch["x"])).square()  # (B, code_dim)
        variance = mean_over_ranks(squared.mean().detach())
        error = 0.5 * (squared / variance + (2 * math.pi * variance).log()).sum(1).mean()
        kl = gaussian_kl(mean, log_variance).mean()
        self.record("loss/features", error)
        self.record("loss/kl", kl)
        return kl + self.feature_weight * error

    @property
    def _features(self) -> nn.Module:
        """The critic's network up to its features, whatever a constraint has put around it."""
        return next(module for module in self.critic.modules() if isinstance(module, FeatureCritic)).features
