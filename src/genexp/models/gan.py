r"""Generative adversarial networks.

A generator $G$ maps latents $z \sim N(0, I)$ to data; a critic $D$ scores data, large on real ones. The two play

$$\min_D \; L_D\bigl(D(x), D(G(z))\bigr) + \text{penalties}, \qquad \min_G \; L_G\bigl(D(G(z))\bigr),$$

where the pair $(L_D, L_G)$ comes from `genexp.objectives.adversarial` and the order of the updates from
`genexp.training.plans`. With the non-saturating loss the optimal critic is $\log p(x) / q(x)$.

References:
    Generative Adversarial Nets, Goodfellow et al., 2014. https://arxiv.org/abs/1406.2661

Expected result: `experiment=digits_dcgan` and `experiment=ring8_gan`, in the README's table.
"""

from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor, nn

from genexp.errors import UserError
from genexp.models.base import GenerativeModel
from genexp.networks.normalisation import batch_coupled
from genexp.objectives.adversarial import AdversarialLoss, single_loss
from genexp.objectives.constraints import Constraint
from genexp.objectives.penalties import Penalty
from genexp.training.plans import Batch


class GAN(GenerativeModel):
    """A generator against a critic.

    Arguments:
        shape: shape of one datum, (C, H, W) or (D,).
        latent_dim: dimensions of the latents.
        decoder: makes the generator, `decoder(latent_dim=..., shape=...)`.
        encoder: makes the critic, `encoder(shape=..., outputs=1)`.
        loss: the adversarial loss.
        penalties: penalties on the critic by name.
        constraint: what is done to the critic's weights after each of its updates.

    Raises:
        UserError: if a penalty needs per-sample gradients and the critic couples samples by BatchNorm, or the loss is
            unbounded and nothing constrains the critic.
    """

    averaged = ("generator",)
    default_plan = "alternating"

    def __init__(
        self,
        shape: Sequence[int],
        latent_dim: int,
        decoder: Callable[..., nn.Module],
        encoder: Callable[..., nn.Module],
        loss: AdversarialLoss,
        penalties: Mapping[str, Penalty],
        constraint: Constraint,
    ) -> None:
        super().__init__(shape)
        if latent_dim < 1:
            raise UserError(f"model.latent_dim={latent_dim} leaves nothing to sample: give at least 1.")
        self.latent_dim = latent_dim
        self.generator = decoder(latent_dim=latent_dim, shape=self.shape)
        self.critic = encoder(shape=self.shape, outputs=1)
        self.loss, self.penalties, self.constraint = loss, dict(penalties), constraint
        self._coupled = batch_coupled(self.critic)
        self._refuse_impossible()

    def _refuse_impossible(self) -> None:
        per_sample = [name for name, penalty in self.penalties.items() if penalty.per_sample]
        if self._coupled and per_sample:
            raise UserError(
                f"penalty={per_sample[0]} needs each sample's own gradient, which BatchNorm in the critic mixes: "
                "set network.encoder.norm=none (or layer)."
            )
        if self.loss.needs_constraint and not self.penalties and not self.constraint.bounds_critic:
            raise UserError(
                f"loss={type(self.loss).__name__} is unbounded unless the critic is constrained: "
                "add constraint=clip or penalty=gp."
            )

    def players(self) -> dict[str, nn.Module]:
        """The critic and the generator."""
        return {"critic": self.critic, "generator": self.generator}

    # --- the game ---------------------------------------------------------------------------------------------------

    def generate(self, batch: Batch) -> Tensor:
        """Fakes, as many as the batch has real data, (B, *shape)."""
        return self.generator(self.random.normal(len(batch["x"]), self.latent_dim))

    def critic_loss(self, batch: Batch, fakes: Tensor) -> Tensor:
        """$L_D$ and the penalties that are due."""
        real, fake = self._scores(batch["x"], fakes)
        loss = self.loss.critic(real, fake)
        self._record_scores(loss, real, fake)
        return loss + self._penalties(batch["x"], fakes)

    def generator_loss(self, batch: Batch, fakes: Tensor) -> Tensor:
        """$L_G$; losses that compare see the batch's real data beside the fakes."""
        if self.loss.compares:
            real, fake = self._scores(batch["x"], fakes)
            loss = self.loss.generator(fake, real)
        else:
            loss = self.loss.generator(self._score(fakes))
        self.record("loss/generator", loss)
        return loss

    def single_loss(self, batch: Batch, fakes: Tensor, ratio: float) -> Tensor:
        """Both losses as one scalar; the critic sees the fakes twice, with and without their graph."""
        cut = fakes.detach()
        real, fake, fake_cut = self._score(batch["x"]), self._score(fakes), self._score(cut)
        loss = single_loss(self.loss, real, fake, fake_cut, ratio)
        self._record_scores(loss, real, fake_cut)
        self.record("loss/generator", self.loss.generator(fake_cut.detach(), real.detach()))
        return loss + self._penalties(batch["x"], cut)

    def updated(self, player: str) -> None:
        """Constrain the critic after each of its updates."""
        if player == "critic":
            self.constraint(self.critic)

    def _score(self, x: Tensor) -> Tensor:
        return self.critic(x).squeeze(1)  # (B,)

    def _scores(self, x: Tensor, fakes: Tensor) -> tuple[Tensor, Tensor]:
        if self._coupled:  # BatchNorm: real and fake batches each keep their own statistics
            return self._score(x), self._score(fakes)
        real, fake = self._score(torch.cat([x, fakes])).split([len(x), len(fakes)])
        return real, fake

    def _penalties(self, x: Tensor, fakes: Tensor) -> Tensor | float:
        total: Tensor | float = 0.0
        assert self.regime is not None
        for name, penalty in self.penalties.items():
            if self.regime.clock.step % penalty.interval == 0:
                value = penalty(self._score, x, fakes, self.random.uniform)
                self.record(f"penalty/{name}", value)
                total = total + penalty.weight * penalty.interval * value
        return total

    def _record_scores(self, loss: Tensor, real: Tensor, fake: Tensor) -> None:
        self.record("loss/critic", loss)
        self.record("score/real", real.mean())
        self.record("score/fake", fake.mean())

    # --- what a trained one can do ----------------------------------------------------------------------------------

    def sample(self, n: int, y: Tensor | None = None, seed: int | None = None, temperature: float = 1.0) -> Tensor:
        """Draw `n` samples, (n, *shape)."""
        z = torch.randn(n, self.latent_dim, device=self.device, generator=self.generator_for(seed))
        return self.generator(temperature * z)

    def decode(self, z: Tensor) -> Tensor:
        """Data of latents, (B, latent_dim) -> (B, *shape)."""
        return self.generator(z)
