"""GANs whose losses ask a sample for the latent that it was made from: what O-GAN and InfoGAN share."""

from torch import Tensor

from genexp.models.gan import GAN
from genexp.networks.joint import join, part
from genexp.training.plans import Batch


class TracedGAN(GAN):
    """A generator whose samples go through the game with their latents, against a critic that reads them back.

    A family's terms find the latents of the samples in `batch["z"]`, (B, latent_dim). The arguments are those of `GAN`.
    """

    @property
    def irreversible(self) -> str:
        """Both players want the same of the latents."""
        return "turns the critic's gradient round for the generator, but both want latents to be read back well"

    def generate(self, batch: Batch) -> Tensor:
        """Samples with the latents that they were made from, (B, D + latent_dim)."""
        z = self._latents_of(batch)
        return join(self.generator(z), z)

    def critic_loss(self, batch: Batch, fakes: Tensor) -> Tensor:
        """$L_D$ with the family's terms and the penalties that are due."""
        return super().critic_loss(*self._parted(batch, fakes))

    def penalty_loss(self, batch: Batch, fakes: Tensor) -> Tensor | None:
        """The critic's penalties that are due, None if there is none."""
        return super().penalty_loss(*self._parted(batch, fakes))

    def generator_loss(self, batch: Batch, fakes: Tensor) -> Tensor:
        """$L_G$ with the family's terms and the penalties that are due."""
        return super().generator_loss(*self._parted(batch, fakes))

    def single_loss(self, batch: Batch, fakes: Tensor, ratio: float) -> Tensor:
        """Both losses as one scalar."""
        return super().single_loss(*self._parted(batch, fakes), ratio)

    def _parted(self, batch: Batch, fakes: Tensor) -> tuple[Batch, Tensor]:
        """The batch with the samples' latents, and the samples."""
        samples, z = part(fakes, self.shape)
        batch = {**batch, "z": z}
        if "reference" in batch:
            batch["reference"] = part(batch["reference"], self.shape)[0]
        return batch, samples
