r"""The adversarial autoencoder: a GAN on the latents of an autoencoder.

An encoder $E$ and a decoder $G$ reconstruct data; a critic $D$ tells draws of a prior $p(z)$ from codes $E(x)$:

$$\min_D \; L_D\bigl(D(z), D(E(x))\bigr), \qquad
\min_{E, G} \; L_G\bigl(D(E(x))\bigr) + \lambda \|x - G(E(x))\|^2, \qquad z \sim p(z),$$

so that the codes of all data together fill the prior, and $G$ of a draw is a sample. It is the variational GAN with
data and latents changing places; `penalty=trust_region` is its term $\mathrm{KL}(q \| q^\circ)$, on codes. The
authors take the reconstruction and the adversarial update of the encoder one after the other; here both are one loss
of one player, so that the update plans of a GAN apply.

With labels the critic sees each code beside its class, and each draw of the prior beside its component: every class
gets a component of its own. Data without a label are shown as one further class, against draws of the whole prior.

References:
    Adversarial Autoencoders, Makhzani et al., 2015. https://arxiv.org/abs/1511.05644
    Variational Inference: A Unified Framework of Generative Models and Some Revelations, Su, 2018.
    https://arxiv.org/abs/1807.05936

Expected result: `experiment=digits_aae` and `experiment=digits_aae_labels`.
"""

from collections.abc import Callable, Mapping, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from genexp.errors import UserError
from genexp.models.gan import GAN
from genexp.models.priors import Normal, Prior
from genexp.objectives.adversarial import AdversarialLoss
from genexp.objectives.constraints import Constraint
from genexp.objectives.heads import Head
from genexp.objectives.penalties import Penalty
from genexp.training.plans import Batch


class Autoencoder(nn.Module):
    """An encoder and a decoder: the player that faces the critic.

    Arguments:
        encoder: maps data (B, *shape) to codes (B, latent_dim).
        decoder: maps codes to data.
    """

    encoder: nn.Module
    decoder: nn.Module

    def __init__(self, encoder: nn.Module, decoder: nn.Module) -> None:
        super().__init__()
        self.encoder, self.decoder = encoder, decoder

    def forward(self, x: Tensor) -> Tensor:
        """Data through their codes and back, (B, *shape)."""
        return self.decoder(self.encoder(x))


class AAE(GAN):
    r"""An autoencoder against a critic of its codes.

    Arguments:
        shape: shape of one datum, (C, H, W) or (D,).
        latent_dim: dimensions of the latents.
        decoder: makes the decoder, `decoder(latent_dim=..., shape=...)`.
        encoder: makes the encoder, `encoder(shape=..., outputs=latent_dim)`.
        critic: makes the critic of latents, `critic(shape=(D,), outputs=...)`; D counts the classes it is shown.
        loss: the adversarial loss.
        penalties: penalties on the critic, at latents, and on the encoder, by name.
        constraint: what holds the critic down.
        prior: what the codes are to be distributed like.
        reconstruction: the factor $\lambda$ of the squared error, summed over dimensions.
        labelled: share of the data whose classes the critic is shown: 0 for none, 1 for all.
        classes: classes of the data.
        head: how many scores the critic gives.

    Raises:
        UserError: if a number is out of range, the prior has another number of components than there are classes to
            show, or the parts do not go together.
    """

    generator: Autoencoder

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
        prior: Prior | None = None,
        reconstruction: float = 1.0,
        labelled: float = 0.0,
        classes: int = 0,
        head: Head | None = None,
    ) -> None:
        prior = prior or Normal()
        _check(latent_dim, prior, reconstruction, labelled, classes)
        shown = classes + 1 if labelled else 0

        def autoencoder(latent_dim: int, shape: Sequence[int]) -> Autoencoder:
            return Autoencoder(encoder(shape=shape, outputs=latent_dim), decoder(latent_dim=latent_dim, shape=shape))

        def critic_of_latents(shape: Sequence[int], outputs: int) -> nn.Module:
            return critic(shape=(latent_dim + shown,), outputs=outputs)

        super().__init__(shape, latent_dim, autoencoder, critic_of_latents, loss, penalties, constraint, head=head)
        self.prior, self.weight, self.labelled = prior, reconstruction, labelled
        self.num_classes = classes if labelled else None
        self.reads_index = 0 < labelled < 1

    @property
    def irreversible(self) -> str:
        """The autoencoder reconstructs, too."""
        return "gives the autoencoder the critic's loss alone, and nothing to reconstruct"

    # --- the game ---------------------------------------------------------------------------------------------------

    def generate(self, batch: Batch) -> Tensor:
        """Codes, (B, latent_dim): what passes for draws of the prior."""
        return self.generator.encoder(batch["x"])

    def with_latents(self, batch: Batch) -> Batch:
        """The batch with draws of the prior, which the critic then sees each time."""
        return {**batch, **self._draws(batch)}

    def _draws(self, batch: Batch) -> Batch:
        """Draws of the prior (B, latent_dim), and the class (B,) that the critic sees beside each of them."""
        n = len(batch["x"])
        noise, mode = self.random.normal(n, self.latent_dim), self.random.uniform(n)
        mode = (mode * self.prior.modes).long()
        if self.num_classes is None:
            return {"prior": self.prior(noise, mode)}
        known = torch.ones_like(mode, dtype=torch.bool)
        if self.reads_index:
            known = scattered(batch["index"]) < self.labelled
        mode = torch.where(known, batch["y"], mode)
        return {"prior": self.prior(noise, mode), "shown": torch.where(known, batch["y"], self.num_classes)}

    def _latent(self, batch: Batch) -> Batch:
        """The batch as the critic faces it: draws of the prior in the place of data."""
        batch = batch if "prior" in batch else self.with_latents(batch)
        return {**batch, "x": batch["prior"]}

    def critic_loss(self, batch: Batch, fakes: Tensor) -> Tensor:
        """$L_D$ on draws of the prior and on codes, and the penalties that are due."""
        return super().critic_loss(self._latent(batch), fakes)

    def penalty_loss(self, batch: Batch, fakes: Tensor) -> Tensor | None:
        """The critic's penalties that are due, for a step of their own; None if there is none."""
        return super().penalty_loss(self._latent(batch), fakes)

    def generator_loss(self, batch: Batch, fakes: Tensor) -> Tensor:
        """$L_G$ on codes, the squared error of their reconstructions, and the penalties that are due."""
        return super().generator_loss(self._latent(batch), fakes) + self._reconstruction(batch, fakes)

    def single_loss(self, batch: Batch, fakes: Tensor, ratio: float) -> Tensor:
        """Both losses as one scalar."""
        return super().single_loss(self._latent(batch), fakes, ratio) + ratio * self._reconstruction(batch, fakes)

    def _reconstruction(self, batch: Batch, codes: Tensor) -> Tensor:
        error = (batch["x"] - self.generator.decoder(codes)).square().flatten(1).sum(1).mean()
        self.record("loss/reconstruction", error)
        return self.weight * error

    def _judge(self, x: Tensor, batch: Batch) -> Tensor:
        if self.num_classes is not None:
            shown = F.one_hot(batch["shown"], self.num_classes + 1).to(x)  # (B, classes + 1)
            x = torch.cat([x, shown.repeat(len(x) // len(shown), 1)], 1)
        return self.critic(x)

    # --- what a trained one can do ----------------------------------------------------------------------------------

    def sample(self, n: int, y: Tensor | None = None, seed: int | None = None, temperature: float = 1.0) -> Tensor:
        """Decoded draws of the prior, (n, *shape); of the components of the classes `y` where labels were shown."""
        return self.decode(self.latents(n, seed, temperature, y))

    def latents(self, n: int, seed: int | None = None, temperature: float = 1.0, y: Tensor | None = None) -> Tensor:
        """Draws of the prior, (n, latent_dim).

        Arguments:
            n: how many.
            seed: they are a function of it.
            temperature: factor on the distance from the centre of a component.
            y: the component of each, long (n,), where labels were shown; None takes all in turn.
        """
        generator = self.generator_for(seed)
        noise = torch.randn(n, self.latent_dim, device=self.device, generator=generator)
        mode = self.classes(n, y)
        if mode is None:
            mode = torch.randint(self.prior.modes, (n,), device=self.device, generator=generator)
        return self.prior(temperature * noise, mode)

    def decode(self, z: Tensor, y: Tensor | None = None) -> Tensor:
        """Data of latents, (B, latent_dim) -> (B, *shape); the class is where the latent lies."""
        return self.generator.decoder(z)

    def encode(self, x: Tensor) -> Tensor:
        """Codes, (B, *shape) -> (B, latent_dim)."""
        return self.generator.encoder(x)

    def reconstruct(self, x: Tensor) -> Tensor:
        """Data through their codes and back, (B, *shape)."""
        return self.generator(x)


def scattered(index: Tensor) -> Tensor:
    """A number in [0, 1) for each place in the train split, spread evenly: the same in every run."""
    return ((index * 2654435761) % 2**32).double() / 2**32  # multiples of the golden section


def _check(latent_dim: int, prior: Prior, reconstruction: float, labelled: float, classes: int) -> None:
    prior.check(latent_dim)
    if not reconstruction > 0:
        raise UserError(f"model.reconstruction={reconstruction} leaves no autoencoder: give a positive number.")
    if not 0 <= labelled <= 1:
        raise UserError(f"model.labelled={labelled} is no share of the data: give a number from 0 to 1.")
    if labelled and not classes:
        raise UserError(f"model.labelled={labelled}, but the data have no classes: set model.labelled=0.")
    if labelled and prior.modes != classes:
        raise UserError(
            f"model.labelled={labelled} gives each of the {classes} classes a component of the prior, which has "
            f"{prior.modes}: set prior=ring prior.modes={classes}."
        )
