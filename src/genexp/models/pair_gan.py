r"""T-GAN: a critic that sees a datum and a sample together and tells which came first.

With an encoder $E$ and a head $D$ the score of an ordered pair is $s(x, y) = D(E(x) - E(y))$, and the two play

$$\min_{D, E} \; E\,\mathrm{sp}(-s(x, G(z))) + E\,\mathrm{sp}(s(G(z), x)), \qquad
\min_G \; E\,\mathrm{sp}(s(x, G(z))) + E\,\mathrm{sp}(-s(G(z), x)):$$

the original GAN between the pairs $p \otimes q$ and $q \otimes p$. With a linear head it is twice the relativistic
loss.

References:
    Training Generative Adversarial Networks Via Turing Test, Su, 2018. https://arxiv.org/abs/1810.10948
"""

from collections.abc import Callable, Mapping, Sequence

from torch import Tensor, nn

from genexp.errors import UserError
from genexp.models.gan import GAN
from genexp.networks.pair import PairCritic
from genexp.objectives.adversarial import AdversarialLoss
from genexp.objectives.augmentation import NoAugmentation
from genexp.objectives.constraints import Constraint
from genexp.objectives.penalties import Penalty
from genexp.training.plans import Batch


class PairGAN(GAN):
    """A generator against a critic of pairs.

    Arguments:
        shape: shape of one datum, (C, H, W) or (D,).
        latent_dim: dimensions of the latents.
        decoder: makes the generator, `decoder(latent_dim=..., shape=...)`.
        encoder: makes the critic's encoder, `encoder(shape=..., outputs=code_dim)`.
        loss: a loss that scores pairs.
        penalties: none: a penalty reads the score of one datum by itself.
        constraint: what is done to the critic's weights after each of its updates.
        code_dim: numbers in a code of the critic.
        head_width: features of the hidden layer of the critic's head; 0 makes it linear.
        augment: what the critic sees of data and samples; None for themselves.

    Raises:
        UserError: if the loss scores single data, or there is a penalty.
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
        code_dim: int = 64,
        head_width: int = 128,
        augment: NoAugmentation | None = None,
    ) -> None:
        def critic(shape: Sequence[int], outputs: int) -> PairCritic:
            return PairCritic(encoder, shape, code_dim, head_width)

        super().__init__(shape, latent_dim, decoder, critic, loss, penalties, constraint, augment)

    def _refuse_impossible(self) -> None:
        if not self.loss.scores_pairs:
            raise UserError(f"loss={type(self.loss).__name__} scores data one by one: use loss=pair, or model=gan.")
        if self.penalties:
            name = next(iter(self.penalties))
            raise UserError(f"penalty={name} reads the score of one datum, and this critic scores pairs: penalty=none.")
        if self.constraint.reads_slope:
            raise UserError("constraint=gradient reads the score of one datum, and this critic scores pairs: drop it.")

    def single_loss(self, batch: Batch, fakes: Tensor, ratio: float) -> Tensor:
        """Both losses as one scalar; every score depends on the fakes, and is taken with and without their graph."""
        self._about_to_update()
        plain = {"x": batch["x"], "fakes": fakes.detach()}
        batch, fakes = self._as_seen(batch), self._seen(fakes)
        real, fake = (verdict[:, 0] for verdict in self._verdicts(batch, fakes))
        real_cut, fake_cut = (verdict[:, 0] for verdict in self._verdicts(batch, fakes.detach()))
        critic = self.loss.critic(real_cut, fake_cut)
        generator = self.loss.generator(fake_cut, real_cut)
        self.show(**plain, real=real_cut, fake=fake_cut)
        self._record_scores(critic, real_cut, fake_cut)
        self._steer_augmentation(real_cut)
        self.record("loss/generator", generator)
        return critic + ratio * (self.loss.generator(fake, real) - generator)

    def _verdicts(self, batch: Batch, fakes: Tensor) -> tuple[Tensor, Tensor]:
        """The scores of the pairs with the datum first, and with the sample first, (B, 1) each."""
        datum_first, sample_first = self.critic(batch["x"], fakes).unsqueeze(2).unbind()
        return datum_first, sample_first
