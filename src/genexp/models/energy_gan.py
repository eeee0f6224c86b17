r"""Energy GAN: a critic that is an energy, and a generator that draws from it.

An energy $U$ stands for the density $p(x) \propto e^{-U(x)}$. By maximum likelihood it goes down on data and up on what
it gives itself; a generator gives samples of it, if it minimises $E\,U(G(z)) - H(G(z))$ with the entropy $H$. The
entropy of samples is not known, but as much of it as an encoder can read out of them is: by the bound of InfoMax,
$H(G(z)) \ge \mathrm{const} - \tfrac{1}{2 s^2} E\|z - E(G(z))\|^2$. With $D = -U$, the critic,

$$\min_D\; E\,D(G(z)) - E\,D(x) + \tfrac\gamma2 E\|\nabla D(x)\|^2, \qquad
\min_{G, E}\; -E\,D(G(z)) + \tfrac{\lambda}{n} E\|z - E(G(z))\|^2,$$

which are `loss=wasserstein` with `penalty=r1`, and an encoder. Other losses play too. A trained one refines its
latents by Langevin's walk down the energy, where `langevin_steps` are given:

$$z \leftarrow z - \tfrac\epsilon2 \nabla_z U(G(z)) + \sqrt\epsilon\,\xi, \qquad \xi \sim N(0, I).$$

References:
    Maximum Entropy Generators for Energy-Based Models, Kumar et al., 2019. https://arxiv.org/abs/1901.08508
    Su Jianlin, Scientific Spaces 6331 and 6612. https://kexue.fm/archives/6331
    InfoGAN: Interpretable Representation Learning, Chen et al., 2016 (the bound). https://arxiv.org/abs/1606.03657

Expected result: `experiment=digits_energy_gan`, in docs/encoders.md.
"""

from collections.abc import Callable, Mapping, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from genexp.errors import UserError
from genexp.models.encoder_gan import EncoderGAN
from genexp.networks.joint import join, part
from genexp.objectives.adversarial import AdversarialLoss
from genexp.objectives.constraints import Constraint
from genexp.objectives.penalties import Penalty
from genexp.training.plans import Batch


class EnergyGAN(EncoderGAN):
    r"""A generator of high entropy against an energy.

    Arguments:
        shape: shape of one datum, (C, H, W) or (D,).
        latent_dim: dimensions $n$ of the latents.
        decoder: makes the generator, `decoder(latent_dim=..., shape=...)`.
        encoder: makes the critic, `encoder(shape=..., outputs=1)`, and the encoder, with `outputs=latent_dim`.
        loss: the adversarial loss.
        penalties: penalties on the critic and on the samples by name.
        constraint: what holds the critic down.
        entropy_weight: the factor $\lambda$ of the mean squared error of the latents.
        langevin_steps: steps of the walk that refines latents; 0 for none.
        langevin_step_size: its $\epsilon$.

    Raises:
        UserError: a number is out of range, or the parts do not go together.
    """

    averaged = ("generator", "encoder", "critic")

    def __init__(
        self,
        shape: Sequence[int],
        latent_dim: int,
        decoder: Callable[..., nn.Module],
        encoder: Callable[..., nn.Module],
        loss: AdversarialLoss,
        penalties: Mapping[str, Penalty],
        constraint: Constraint,
        entropy_weight: float = 1.0,
        langevin_steps: int = 0,
        langevin_step_size: float = 0.01,
    ) -> None:
        if not entropy_weight >= 0 or langevin_steps < 0:
            raise UserError("model.entropy_weight and model.langevin_steps are out of range: give 0 or more.")
        if not langevin_step_size > 0:
            raise UserError(f"model.langevin_step_size={langevin_step_size} is out of range: give a positive number.")
        super().__init__(shape, latent_dim, decoder, encoder, encoder, loss, penalties, constraint, stochastic=False)
        self.entropy_weight = entropy_weight
        self.langevin_steps, self.langevin_step_size = langevin_steps, langevin_step_size

    # --- the game ---------------------------------------------------------------------------------------------------

    def generate(self, batch: Batch) -> Tensor:
        """Samples with the latents that they were made from, (B, D + latent_dim)."""
        z = self._latents_of(batch)
        return join(self.generator(z), z)

    def contest(self, batch: Batch, fakes: Tensor) -> tuple[Batch, Tensor]:
        """The data against the samples, (B, *shape) each."""
        return batch, self.samples(fakes)

    def samples(self, fakes: Tensor) -> Tensor:
        """The samples in rows, (B, *shape)."""
        return part(fakes, self.shape)[0]

    def own_terms(self, batch: Batch, fakes: Tensor) -> Tensor:
        """The weighted error of the latents that the encoder reads out of samples."""
        samples, z = part(fakes, self.shape)
        error = F.mse_loss(self.encoder(samples), z)
        self.record("loss/latents", error)
        return self.entropy_weight * error

    # --- what a trained one can do ----------------------------------------------------------------------------------

    def energy(self, x: Tensor) -> Tensor:
        """$U$ of each datum up to a constant, (B, *shape) -> (B,)."""
        return -self.critic(x).squeeze(1)

    def latents(self, n: int, seed: int | None = None, temperature: float = 1.0) -> Tensor:
        """Standard normal latents, after a walk down the energy if there are steps, (n, latent_dim)."""
        generator = self.generator_for(seed)

        def normal() -> Tensor:
            return temperature * torch.randn(n, self.latent_dim, device=self.device, generator=generator)

        z = normal()
        for _ in range(self.langevin_steps):
            with torch.enable_grad():
                z.requires_grad_()
                (slope,) = torch.autograd.grad(self.energy(self.decode(z)).sum(), z)
            z = z.detach() - 0.5 * self.langevin_step_size * slope + self.langevin_step_size**0.5 * normal()
        return z
