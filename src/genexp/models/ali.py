r"""ALI and BiGAN: inference learned in the game itself.

An encoder $E$ gives a latent for a datum, a generator $G$ a datum for a latent, and a critic sees both together: it
scores pairs $(x, E(x))$ high and pairs $(G(z), z)$ low, and the two networks want it to be wrong about both. The best
critic knows the two joint distributions $p(x)\,q(z|x)$ and $p(z)\,q(x|z)$ apart; where it does not, $E$ inverts $G$.

$$\min_D\; E\,\mathrm{sp}(-D(x, E(x))) + E\,\mathrm{sp}(D(G(z), z)), \qquad
\min_{G, E}\; E\,\mathrm{sp}(D(x, E(x))) + E\,\mathrm{sp}(-D(G(z), z))$$

with $\mathrm{sp}(t) = \log(1 + e^t)$: `standard`. From the Kullback-Leibler divergence of the two joints, with the
critic at its best for the networks as they were, follows another loss, in which both scores are wanted high:
`variational`,

$$\min_{G, E}\; E\,\mathrm{sp}(-D(x, E(x))) + E\,\mathrm{sp}(-D(G(z), z)).$$

Any loss that treats data and samples alike may take the place of the logistic one in the `standard` game. ALI's encoder
is a Gaussian, $E(x) = \mu(x) + \sigma(x)\,\epsilon$; BiGAN's is a function.

References:
    Adversarially Learned Inference, Dumoulin et al., 2016. https://arxiv.org/abs/1606.00704
    Adversarial Feature Learning, Donahue, Krähenbühl and Darrell, 2016. https://arxiv.org/abs/1605.09782
    Variational Inference: A Unified Framework of Generative Models and Some Revelations (Su, 2018),
    https://arxiv.org/abs/1807.05936

Expected result: `experiment=digits_ali` and `experiment=digits_bigan`, in docs/encoders.md.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Literal

from torch import Tensor, nn

from genexp.errors import UserError
from genexp.models.compatibility import treats_alike
from genexp.models.encoder_gan import EncoderGAN
from genexp.networks.joint import JointCritic, join, part
from genexp.objectives.adversarial import AdversarialLoss, NonSaturating
from genexp.objectives.constraints import Constraint
from genexp.objectives.penalties import Consistency, Penalty
from genexp.training.plans import Batch


def standard(loss: AdversarialLoss, real: Tensor, fake: Tensor) -> Tensor:
    """What the scores (B,) of both kinds of pairs cost those who want them to change places."""
    if loss.compares:
        return loss.generator(fake, real)
    return loss.generator(fake) + loss.generator(-real)


def variational(loss: AdversarialLoss, real: Tensor, fake: Tensor) -> Tensor:
    """What the scores (B,) of both kinds of pairs cost those who want both to be high."""
    return loss.generator(fake) + loss.generator(real)


SIDES = {"standard": standard, "variational": variational}
"""What generator and encoder minimise."""


class ALI(EncoderGAN):
    """A generator and an encoder against a critic of pairs of a datum and a latent.

    What `generate` gives are rows: a sample, its latent, and the latent of the batch's datum. Penalties see rows of a
    datum and a latent: their slopes are with respect to both. The monitor sees data, samples, and the scores of pairs.

    Arguments:
        shape: shape of one datum, (C, H, W) or (D,).
        latent_dim: dimensions of the latents.
        decoder: makes the generator, `decoder(latent_dim=..., shape=...)`.
        encoder: makes the encoder, `encoder(shape=..., outputs=...)`, and the critic's network for data.
        loss: the adversarial loss.
        penalties: penalties on the critic and on the samples by name.
        constraint: what holds the critic down.
        stochastic: ALI's Gaussian encoder, or BiGAN's function.
        generator_loss: `standard` or `variational`, see above.
        code_dim: features of a datum in the critic.
        head_width: features of a latent in the critic, and of the hidden layers of its head.
        head_depth: hidden layers of the critic's head.
        head_bias: whether the critic's score has a bias.

    Raises:
        UserError: the loss does not treat data and samples alike, or is not that of `variational`; or the parts do not
            go together.
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
        stochastic: bool = True,
        generator_loss: Literal["standard", "variational"] = "standard",
        code_dim: int = 128,
        head_width: int = 256,
        head_depth: int = 2,
        head_bias: bool = True,
    ) -> None:
        def critic(shape: Sequence[int], outputs: int) -> nn.Module:
            return JointCritic(encoder, shape, latent_dim, code_dim, head_width, head_depth, head_bias)

        if generator_loss not in SIDES:
            raise UserError(f"model.generator_loss={generator_loss} is unknown: choose {' or '.join(SIDES)}.")
        super().__init__(shape, latent_dim, decoder, encoder, critic, loss, penalties, constraint, stochastic)
        self.side, self.reversible = SIDES[generator_loss], generator_loss == "standard"
        self._refuse_loss()

    def _refuse_loss(self) -> None:
        name = type(self.loss).__name__
        if self.side is variational and not isinstance(self.loss, NonSaturating):
            raise UserError(
                f"model.generator_loss=variational follows from the logistic loss, not from loss={name}: "
                "use loss=non_saturating, or model.generator_loss=standard."
            )
        if self.side is standard and not self.loss.compares and not treats_alike(self.loss):
            raise UserError(
                f"loss={name} does not treat data and samples alike, and the encoder needs what the generator has with "
                "signs changed: use loss=non_saturating or hinge, or least_squares with loss.a=-1 loss.c=0."
            )

    def _refuse_impossible(self) -> None:
        super()._refuse_impossible()
        for name, penalty in self.penalties.items():
            if isinstance(penalty, Consistency):
                raise UserError(f"penalty={name} augments data, and this critic sees them with a latent: drop it.")

    # --- the game ---------------------------------------------------------------------------------------------------

    def _latents(self, batch: Batch) -> Tensor:
        """Latents of samples, and the noise of a stochastic encoder, (B, latent_dim) or (B, 2 * latent_dim)."""
        return self.random.normal(len(batch["x"]), (1 + self.stochastic) * self.latent_dim)

    def generate(self, batch: Batch) -> Tensor:
        """Samples, their latents and the latents of the batch's data, (B, D + 2 * latent_dim)."""
        drawn = self._latents_of(batch)
        z, noise = drawn.tensor_split([self.latent_dim], dim=1)
        return join(self.generator(z), z, self.code(batch["x"], noise))

    def contest(self, batch: Batch, fakes: Tensor) -> tuple[Batch, Tensor]:
        """Rows of data with the encoder's latents, against rows of samples with theirs, (B, D + latent_dim) each."""
        fake, codes = fakes.tensor_split([fakes.shape[1] - self.latent_dim], dim=1)
        return {**batch, "x": join(batch["x"], codes)}, fake

    def samples(self, fakes: Tensor) -> Tensor:
        """The samples in rows, (B, *shape)."""
        return part(fakes, self.shape)[0]

    def show(self, **tensors: Tensor) -> None:
        """Keep data and samples for the monitor, not pairs."""
        super().show(**{**tensors, "x": self.samples(tensors["x"]), "fakes": self.samples(tensors["fakes"])})

    def adversarial_loss(self, batch: Batch, fakes: Tensor) -> Tensor:
        """What both pairs cost generator and encoder."""
        real, fake = (verdict[:, 0] for verdict in self._verdicts(batch, fakes))
        return self.side(self.loss, real, fake)
