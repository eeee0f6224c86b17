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
from typing import ClassVar

import torch
from torch import Tensor, nn

from genexp.errors import UserError
from genexp.models.base import Regime
from genexp.models.compatibility import check_head, check_parts, check_plan
from genexp.models.latent import LatentVariableModel
from genexp.networks.normalisation import batch_coupled
from genexp.objectives.adversarial import AdversarialLoss, single_loss
from genexp.objectives.augmentation import NoAugmentation
from genexp.objectives.constraints import Constraint
from genexp.objectives.heads import Head, Linear
from genexp.objectives.penalties import Penalty, Step, Terms
from genexp.training.plans import Batch
from genexp.training.strategy import mean_over_ranks


class GAN(LatentVariableModel):
    """A generator against a critic.

    Arguments:
        shape: shape of one datum, (C, H, W) or (D,).
        latent_dim: dimensions of the latents.
        decoder: makes the generator, `decoder(latent_dim=..., shape=...)`.
        encoder: makes the critic, `encoder(shape=..., outputs=1)`.
        loss: the adversarial loss.
        penalties: penalties on the critic and on the generator by name.
        constraint: what holds the critic down: a bound on its weights or on its slope.
        augment: what the critic sees of data and samples; None for themselves. Penalties on the critic see that too.
        head: how many scores the critic gives, and what the loss makes of them; None for one.

    Raises:
        UserError: if the parts do not go together, see `genexp.models.compatibility`.
    """

    averaged: ClassVar[tuple[str, ...]] = ("generator",)
    default_plan = "alternating"

    @property
    def irreversible(self) -> str | None:
        """Why the critic's gradient turned round is not the generator's, beside what the loss says; None if it is."""
        return None

    def __init__(
        self,
        shape: Sequence[int],
        latent_dim: int,
        decoder: Callable[..., nn.Module],
        encoder: Callable[..., nn.Module],
        loss: AdversarialLoss,
        penalties: Mapping[str, Penalty],
        constraint: Constraint,
        augment: NoAugmentation | None = None,
        head: Head | None = None,
    ) -> None:
        super().__init__(shape)
        if latent_dim < 1:
            raise UserError(f"model.latent_dim={latent_dim} leaves nothing to sample: give at least 1.")
        self.latent_dim = latent_dim
        self.generator = decoder(latent_dim=latent_dim, shape=self.shape)
        self.head = head or Linear()
        self.critic = self.head.prepare(constraint.prepare(encoder(shape=self.shape, outputs=self.head.scores)))
        self.loss, self.penalties, self.constraint = loss, dict(penalties), constraint
        self.adversarial = self.head.over(loss)
        self.terms = Terms(penalties)
        self.augment = augment or NoAugmentation()
        self.augment.check(self.shape)
        self._coupled, self._bound = batch_coupled(self.critic), loss.bound
        self._refuse_impossible()

    def _refuse_impossible(self) -> None:
        if self.loss.scores_pairs:
            raise UserError(
                f"loss={type(self.loss).__name__} scores pairs of a datum and a sample: use model=pair_gan."
            )
        check_parts(self.loss, self.penalties, self.constraint, self.critic)
        check_head(self.head, self.constraint)

    def prepare(self, regime: Regime) -> None:
        """Take up the way to be trained.

        Raises:
            UserError: if the plan does not fit the players, the losses or the penalties.
        """
        super().prepare(regime)
        if self.irreversible and getattr(regime.plan, "zero_sum", False):
            raise UserError(f"plan={type(regime.plan).__name__} {self.irreversible}: use plan=single_loss.")
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
        return self.generator(self._latents_of(batch))

    def with_latents(self, batch: Batch) -> Batch:
        """The batch with latents drawn for it, which `generate` then takes each time."""
        return {**batch, "latents": self._latents(batch)}

    def _latents_of(self, batch: Batch) -> Tensor:
        return batch["latents"] if "latents" in batch else self._latents(batch)

    def _latents(self, batch: Batch) -> Tensor:
        return self.random.normal(len(batch["x"]), self.latent_dim)

    def critic_loss(self, batch: Batch, fakes: Tensor) -> Tensor:
        """$L_D$ and the penalties that are due."""
        self._about_to_update()
        plain = {"x": batch["x"], "fakes": fakes}
        batch, fakes = self._as_seen(batch), self._seen(fakes)
        of_real, of_fake = self._verdicts(batch, fakes)
        real, fake = self.head.read(of_real), self.head.read(of_fake)
        loss = self.adversarial.between(batch["x"], fakes).critic(real, fake)
        real, fake = self.head.mean(real), self.head.mean(fake)
        self.show(**plain, real=real, fake=fake)
        self._record_scores(loss, real, fake)
        self._steer_augmentation(real)
        loss = loss + self._critic_terms(batch, of_real, of_fake)
        return loss if self._separates else loss + self._penalties(batch, fakes, (real, fake))

    def penalty_loss(self, batch: Batch, fakes: Tensor) -> Tensor | None:
        """The critic's penalties that are due, for a step of their own; None if there is none."""
        batch, fakes = self._as_seen(batch), self._seen(fakes)
        verdicts = self._verdicts(batch, fakes) if self.terms.reads_scores else None
        scores = None if verdicts is None else (self._mean_score(verdicts[0]), self._mean_score(verdicts[1]))
        total = self._penalties(batch, fakes, scores)
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
            of_real, of_fake = self._verdicts(self._as_seen(batch), self._seen(fakes))
            loss = self.adversarial.generator(self.head.read(of_fake), self.head.read(of_real))
        else:
            of_fake = self._judge(self._seen(fakes), batch)
            loss = self.adversarial.generator(self.head.read(of_fake))
        self.record("loss/generator", loss)
        loss = loss + self._generator_terms(batch, of_fake)
        if not self.terms.of_generator:
            return loss
        assert self.regime is not None
        return loss + self.terms.generator(self.regime.clock.step, fakes, batch.get("reference"), self.record)

    def single_loss(self, batch: Batch, fakes: Tensor, ratio: float) -> Tensor:
        """Both losses as one scalar; the critic sees the fakes twice, with and without their graph."""
        self._about_to_update()
        plain = {"x": batch["x"], "fakes": fakes.detach()}
        batch, fakes = self._as_seen(batch), self._seen(fakes)
        cut = fakes.detach()
        of_real, of_fake, of_cut = (self._judge(x, batch) for x in (batch["x"], fakes, cut))
        real, fake, fake_cut = (self.head.read(of) for of in (of_real, of_fake, of_cut))
        loss = single_loss(self.adversarial.between(batch["x"], cut), real, fake, fake_cut, ratio)
        self.record("loss/generator", self.adversarial.generator(fake_cut.detach(), real.detach()))
        real, fake_cut = self.head.mean(real), self.head.mean(fake_cut)
        self.show(**plain, real=real, fake=fake_cut)
        self._record_scores(loss, real, fake_cut)
        self._steer_augmentation(real)
        loss = loss + self._critic_terms(batch, of_real, of_cut)
        loss = loss + ratio * (self._generator_terms(batch, of_fake) - self._generator_terms(batch, of_cut))
        return loss + self._penalties(batch, cut, (real, fake_cut))

    def _critic_terms(self, batch: Batch, real: Tensor, fake: Tensor) -> Tensor | float:
        """What a family adds to the critic's loss, of verdicts (B, m) on data and on samples."""
        return 0.0

    def _generator_terms(self, batch: Batch, fake: Tensor) -> Tensor | float:
        """What a family adds to the generator's loss, of verdicts (B, m) on samples."""
        return 0.0

    def updated(self, player: str) -> None:
        """Constrain the critic after each of its updates."""
        if player == "critic" and self.constraint.when == "after":
            self.constraint(self.critic)

    def _about_to_update(self) -> None:
        if self.constraint.when == "before" and not self.rehearsing:
            self.constraint(self.critic)

    def _seen(self, x: Tensor) -> Tensor:
        """What the critic sees of data or samples, (B, *shape)."""
        return self.augment(x, self.random.uniform)

    def _as_seen(self, batch: Batch) -> Batch:
        return {**batch, "x": self._seen(batch["x"])}

    def _steer_augmentation(self, real: Tensor) -> None:
        if not self.rehearsing:
            noticed = self.augment.observe(real, len(real) * self.random.world_size, mean_over_ranks)
            for name, value in noticed.items():
                self.record(name, value)

    def _judge(self, x: Tensor, batch: Batch) -> Tensor:
        """The critic's verdicts on data or samples of a batch, (B, m): the score, and what a family adds to it.

        `x` may be data and samples, or several augmented copies, one after the other: whole multiples of the batch.
        """
        return self.critic(x)

    def _mean_score(self, verdicts: Tensor) -> Tensor:
        return self.head.mean(self.head.read(verdicts))  # (B,)

    def _verdicts(self, batch: Batch, fakes: Tensor) -> tuple[Tensor, Tensor]:
        x = batch["x"]
        if self._coupled:  # BatchNorm: real and fake batches each keep their own statistics
            return self._judge(x, batch), self._judge(fakes, batch)
        real, fake = self._judge(torch.cat([x, fakes]), batch).split([len(x), len(fakes)])
        return real, fake

    def _penalties(self, batch: Batch, fakes: Tensor, scores: tuple[Tensor, Tensor] | None) -> Tensor | float:
        if not self.terms.of_critic:
            return 0.0
        assert self.regime is not None

        def score(x: Tensor) -> Tensor:
            return self._mean_score(self._judge(x, batch))

        if scores and fakes.requires_grad and self.terms.reads_scores:  # penalties see samples as constants
            scores = scores[0], score(fakes.detach())
        step = Step(self.random.uniform, mean_over_ranks, scores)
        if not self.rehearsing:
            self.terms.observe(step)
        return self.terms.critic(self.regime.clock.step, score, batch["x"], fakes, step, self.record)

    def _record_scores(self, loss: Tensor, real: Tensor, fake: Tensor) -> None:
        self.record("loss/critic", loss)
        if self._bound is not None:
            self.record(f"divergence/{self._bound.name}", self._bound(loss))
        self.record("score/real", real.mean())
        self.record("score/fake", fake.mean())

    # --- what a trained one can do ----------------------------------------------------------------------------------

    def decode(self, z: Tensor, y: Tensor | None = None) -> Tensor:
        """Data of latents, (B, latent_dim) -> (B, *shape)."""
        return self.generator(z)
