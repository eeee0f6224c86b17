r"""GANs whose generator comes with an encoder $E$ of data: what ALI, BiGAN-QP, VAE-GAN and energy GANs share.

The encoder moves with the generator: the two are one player, and the critic is the other. A family says what its fakes
are (`generate`), what the critic compares (`contest`), and which terms the player adds that are no part of the contest
(`own_terms`), as an error of reconstruction.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import ClassVar

from torch import Tensor, nn

from genexp.models.gan import GAN
from genexp.models.vae import LOG_VARIANCE_RANGE
from genexp.objectives.adversarial import AdversarialLoss
from genexp.objectives.constraints import Constraint
from genexp.objectives.penalties import Penalty
from genexp.training.plans import Batch
from genexp.training.players import held


class EncoderGAN(GAN):
    """A generator with an encoder against a critic.

    Arguments:
        shape: shape of one datum, (C, H, W) or (D,).
        latent_dim: dimensions of the latents.
        decoder: makes the generator, `decoder(latent_dim=..., shape=...)`.
        encoder: makes the encoder, `encoder(shape=..., outputs=latent_dim)`; twice as many if it is stochastic.
        critic: makes the critic, `critic(shape=..., outputs=1)`.
        loss: the adversarial loss.
        penalties: penalties on the critic and on the generator by name.
        constraint: what holds the critic down.
        stochastic: whether the encoder gives mean and log-variance of a Gaussian, or a latent.

    Raises:
        UserError: if the parts do not go together.
    """

    averaged: ClassVar[tuple[str, ...]] = ("generator", "encoder")
    reversible = False
    """Whether the player's whole gradient is the critic's turned round, where the loss is zero-sum."""

    def __init__(
        self,
        shape: Sequence[int],
        latent_dim: int,
        decoder: Callable[..., nn.Module],
        encoder: Callable[..., nn.Module],
        critic: Callable[..., nn.Module],
        loss: AdversarialLoss,
        penalties: Mapping[str, Penalty],
        constraint: Constraint,
        stochastic: bool,
    ) -> None:
        super().__init__(shape, latent_dim, decoder, critic, loss, penalties, constraint)
        self.stochastic = stochastic
        self.encoder = encoder(shape=self.shape, outputs=2 * latent_dim if stochastic else latent_dim)

    def players(self) -> dict[str, nn.Module]:
        """The critic, and the generator with its encoder."""
        return {"critic": self.critic, "generator": nn.ModuleDict({"decoder": self.generator, "encoder": self.encoder})}

    @property
    def irreversible(self) -> str | None:
        """The player has terms that are no part of the contest, unless the family says otherwise."""
        if self.reversible:
            return None
        return (
            "gives the generator and the encoder the critic's gradient turned round and nothing else, but "
            f"{type(self).__name__} trains them on more"
        )

    # --- what a family provides -------------------------------------------------------------------------------------

    def contest(self, batch: Batch, fakes: Tensor) -> tuple[Batch, Tensor]:
        """The batch with what the critic is to score high in the place of `x`, and what it is to score low."""
        return batch, fakes

    def samples(self, fakes: Tensor) -> Tensor:
        """The samples in what `generate` gave, one for each datum."""
        return fakes

    def adversarial_loss(self, batch: Batch, fakes: Tensor) -> Tensor:
        """What the player's side of a contest costs it."""
        if not self.loss.compares:
            return self.loss.generator(self._judge(fakes, batch)[:, 0])
        real, fake = (verdict[:, 0] for verdict in self._verdicts(batch, fakes))
        return self.loss.generator(fake, real)

    def own_terms(self, batch: Batch, fakes: Tensor) -> Tensor | float:
        """What the player minimises beside the contest; the critic's weights are held."""
        return 0.0

    # --- the game ---------------------------------------------------------------------------------------------------

    def critic_loss(self, batch: Batch, fakes: Tensor) -> Tensor:
        """$L_D$ of the contest and the penalties that are due."""
        return super().critic_loss(*self.contest(batch, fakes))

    def penalty_loss(self, batch: Batch, fakes: Tensor) -> Tensor | None:
        """The critic's penalties that are due, None if there is none."""
        return super().penalty_loss(*self.contest(batch, fakes))

    def generator_loss(self, batch: Batch, fakes: Tensor) -> Tensor:
        """$L_G$ of the contest, the player's own terms, and the penalties that are due."""
        loss = self.adversarial_loss(*self.contest(batch, fakes))
        self.record("loss/generator", loss)
        loss = loss + self.own_terms(batch, fakes)
        if not self.terms.of_generator:
            return loss
        assert self.regime is not None
        reference = self.samples(batch["reference"]) if "reference" in batch else None
        return loss + self.terms.generator(self.regime.clock.step, self.samples(fakes), reference, self.record)

    def single_loss(self, batch: Batch, fakes: Tensor, ratio: float) -> Tensor:
        """Both losses as one scalar; the contest is scored with and without the fakes' graph."""
        cut = fakes.detach()
        loss = self.critic_loss(batch, cut)
        of_player, of_critic = (self.adversarial_loss(*self.contest(batch, given)) for given in (fakes, cut))
        self.record("loss/generator", of_critic)
        with held(self.critic.parameters()):
            own = self.own_terms(batch, fakes)
        return loss + ratio * (of_player - of_critic + own)

    # --- what a trained one can do ----------------------------------------------------------------------------------

    def posterior(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and log-variance of a stochastic encoder's Gaussian, each (B, latent_dim)."""
        mean, log_variance = self.encoder(x).chunk(2, dim=1)
        return mean, log_variance.clamp(*LOG_VARIANCE_RANGE)

    def code(self, x: Tensor, noise: Tensor) -> Tensor:
        """A latent for each datum; a stochastic encoder's is drawn with `noise` (B, latent_dim), others ignore it."""
        if not self.stochastic:
            return self.encoder(x)
        mean, log_variance = self.posterior(x)
        return mean + (0.5 * log_variance).exp() * noise

    def encode(self, x: Tensor) -> Tensor:
        """Latents of data, the mean where the encoder is stochastic, (B, *shape) -> (B, latent_dim)."""
        return self.posterior(x)[0] if self.stochastic else self.encoder(x)

    def reconstruct(self, x: Tensor) -> Tensor:
        """Data through their latents and back, (B, *shape)."""
        return self.decode(self.encode(x))
