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
from genexp.models.base import GenerativeModel, Regime
from genexp.models.compatibility import check_parts, check_plan
from genexp.networks.normalisation import batch_coupled
from genexp.objectives.adversarial import AdversarialLoss, single_loss
from genexp.objectives.constraints import Constraint
from genexp.objectives.penalties import Penalty, Step, Terms
from genexp.training.plans import Batch
from genexp.training.strategy import mean_over_ranks


class GAN(GenerativeModel):
    """A generator against a critic.

    Arguments:
        shape: shape of one datum, (C, H, W) or (D,).
        latent_dim: dimensions of the latents.
        decoder: makes the generator, `decoder(latent_dim=..., shape=...)`.
        encoder: makes the critic, `encoder(shape=..., outputs=1)`.
        loss: the adversarial loss.
        penalties: penalties on the critic and on the generator by name.
        constraint: what holds the critic down: a bound on its weights or on its slope.

    Raises:
        UserError: if the parts do not go together, see `genexp.models.compatibility`.
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
        self.critic = constraint.prepare(encoder(shape=self.shape, outputs=1))
        self.loss, self.penalties, self.constraint = loss, dict(penalties), constraint
        self.terms = Terms(penalties)
        self._coupled, self._bound = batch_coupled(self.critic), loss.bound
        self._refuse_impossible()

    def _refuse_impossible(self) -> None:
        if self.loss.scores_pairs:
            raise UserError(
                f"loss={type(self.loss).__name__} scores pairs of a datum and a sample: use model=pair_gan."
            )
        check_parts(self.loss, self.penalties, self.constraint, self.critic)

    def prepare(self, regime: Regime) -> None:
        """Take up the way to be trained.

        Raises:
            UserError: if the plan does not fit the players, the losses or the penalties.
        """
        super().prepare(regime)
        check_plan(regime.plan, regime.optimizer, self.loss, self.penalties)

    def players(self) -> dict[str, nn.Module]:
        """The critic and the generator."""
        return {"critic": self.critic, "generator": self.generator}

    def on_fit_start(self) -> None:
        """Say what a loss of the user's own turned out to be."""
        super().on_fit_start()
        if self.global_rank == 0 and self.loss.summary is not None:
            print(f"genexp: {self.loss.summary}", flush=True)

    # --- the game ---------------------------------------------------------------------------------------------------

    def generate(self, batch: Batch) -> Tensor:
        """Fakes, as many as the batch has real data, (B, *shape): of the batch's latents, or of fresh ones."""
        return self.generator(batch["latents"] if "latents" in batch else self._latents(batch))

    def with_latents(self, batch: Batch) -> Batch:
        """The batch with latents drawn for it, which `generate` then takes each time."""
        return {**batch, "latents": self._latents(batch)}

    def _latents(self, batch: Batch) -> Tensor:
        return self.random.normal(len(batch["x"]), self.latent_dim)

    def critic_loss(self, batch: Batch, fakes: Tensor) -> Tensor:
        """$L_D$ and the penalties that are due."""
        self._about_to_update()
        real, fake = self._scores(batch["x"], fakes)
        self.show(x=batch["x"], fakes=fakes, real=real, fake=fake)
        loss = self.loss.between(batch["x"], fakes).critic(real, fake)
        self._record_scores(loss, real, fake)
        return loss if self._separates else loss + self._penalties(batch["x"], fakes, (real, fake))

    def penalty_loss(self, batch: Batch, fakes: Tensor) -> Tensor | None:
        """The critic's penalties that are due, for a step of their own; None if there is none."""
        scores = self._scores(batch["x"], fakes) if self.terms.reads_scores else None
        total = self._penalties(batch["x"], fakes, scores)
        return total if isinstance(total, Tensor) else None

    def steps_per_update(self, player: str) -> float:
        """With the steps that penalties take by themselves."""
        return 1 + self.terms.share_of_steps if player == "critic" and self._separates else 1.0

    @property
    def _separates(self) -> bool:
        return getattr(self.regime.plan, "penalty_steps", False) if self.regime else False

    def generator_loss(self, batch: Batch, fakes: Tensor) -> Tensor:
        """$L_G$ and the penalties that are due; losses that compare see the batch's real data beside the fakes."""
        if self.loss.compares:
            real, fake = self._scores(batch["x"], fakes)
            loss = self.loss.generator(fake, real)
        else:
            loss = self.loss.generator(self._score(fakes))
        self.record("loss/generator", loss)
        if not self.terms.of_generator:
            return loss
        assert self.regime is not None
        return loss + self.terms.generator(self.regime.clock.step, fakes, batch.get("reference"), self.record)

    def single_loss(self, batch: Batch, fakes: Tensor, ratio: float) -> Tensor:
        """Both losses as one scalar; the critic sees the fakes twice, with and without their graph."""
        self._about_to_update()
        cut = fakes.detach()
        real, fake, fake_cut = self._score(batch["x"]), self._score(fakes), self._score(cut)
        self.show(x=batch["x"], fakes=cut, real=real, fake=fake_cut)
        loss = single_loss(self.loss.between(batch["x"], cut), real, fake, fake_cut, ratio)
        self._record_scores(loss, real, fake_cut)
        self.record("loss/generator", self.loss.generator(fake_cut.detach(), real.detach()))
        return loss + self._penalties(batch["x"], cut, (real, fake_cut))

    def updated(self, player: str) -> None:
        """Constrain the critic after each of its updates."""
        if player == "critic" and self.constraint.when == "after":
            self.constraint(self.critic)

    def _about_to_update(self) -> None:
        if self.constraint.when == "before" and not self.rehearsing:
            self.constraint(self.critic)

    def _score(self, x: Tensor) -> Tensor:
        return self.critic(x).squeeze(1)  # (B,)

    def _scores(self, x: Tensor, fakes: Tensor) -> tuple[Tensor, Tensor]:
        if self._coupled:  # BatchNorm: real and fake batches each keep their own statistics
            return self._score(x), self._score(fakes)
        real, fake = self._score(torch.cat([x, fakes])).split([len(x), len(fakes)])
        return real, fake

    def _penalties(self, x: Tensor, fakes: Tensor, scores: tuple[Tensor, Tensor] | None) -> Tensor | float:
        if not self.terms.of_critic:
            return 0.0
        assert self.regime is not None
        if scores and fakes.requires_grad and self.terms.reads_scores:  # penalties see samples as constants
            scores = scores[0], self._score(fakes.detach())
        step = Step(self.random.uniform, mean_over_ranks, scores)
        if not self.rehearsing:
            self.terms.observe(step)
        return self.terms.critic(self.regime.clock.step, self._score, x, fakes, step, self.record)

    def _record_scores(self, loss: Tensor, real: Tensor, fake: Tensor) -> None:
        self.record("loss/critic", loss)
        if self._bound is not None:
            self.record(f"divergence/{self._bound.name}", self._bound(loss))
        self.record("score/real", real.mean())
        self.record("score/fake", fake.mean())

    # --- what a trained one can do ----------------------------------------------------------------------------------

    def sample(self, n: int, y: Tensor | None = None, seed: int | None = None, temperature: float = 1.0) -> Tensor:
        """Draw `n` samples, (n, *shape)."""
        return self.decode(self.latents(n, seed, temperature))

    def latents(self, n: int, seed: int | None = None, temperature: float = 1.0) -> Tensor:
        """Standard normal latents, (n, latent_dim)."""
        return temperature * torch.randn(n, self.latent_dim, device=self.device, generator=self.generator_for(seed))

    def decode(self, z: Tensor) -> Tensor:
        """Data of latents, (B, latent_dim) -> (B, *shape)."""
        return self.generator(z)
