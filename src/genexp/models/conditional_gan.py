r"""Conditional GANs: a sample is of the class that it was asked for.

The generator maps a latent and a class to data, and the critic scores pairs of datum and class:

$$\min_D L_D\bigl(D(x, y), D(G(z, y), y)\bigr), \qquad \min_G L_G\bigl(D(G(z, y), y)\bigr), \qquad (x, y) \sim p.$$

Samples are asked for the classes of the batch that they play against, so that classes have the data's shares. With the
non-saturating loss the optimal critic is $\log p(x, y)/q(x, y) = \log p(x)/q(x) + \log p(y|x)/q(y|x)$. How the two
networks are told the class is a choice of its own for each:

| `model/critic_conditioning` | the critic |
|---|---|
| `concatenation` | reads the class as part of the datum |
| `projection` | $\langle w + e_y, \phi(x)\rangle + b$, with features $\phi$ and a vector for each class |
| `auxiliary_classifier` | scores $x$ alone and guesses its class; both players want it to guess right |

| `model/generator_conditioning` | the generator |
|---|---|
| `concatenation` | reads the class beside the latent |
| `batchnorm` | each BatchNorm has a gain and a bias for each class |

References:
    Conditional Generative Adversarial Nets, Mirza and Osindero, 2014. https://arxiv.org/abs/1411.1784
    Conditional Image Synthesis With Auxiliary Classifier GANs, Odena, Olah and Shlens, 2016.
    https://arxiv.org/abs/1610.09585
    cGANs with Projection Discriminator, Miyato and Koyama, 2018. https://arxiv.org/abs/1802.05637

Expected result: `experiment=digits_projection_gan` and the other recipes of docs/conditional.md.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

from torch import Tensor, nn

from genexp.errors import UserError
from genexp.models.gan import GAN
from genexp.objectives.adversarial import AdversarialLoss
from genexp.objectives.conditioning import CriticConditioning
from genexp.objectives.constraints import Constraint
from genexp.objectives.penalties import Penalty
from genexp.training.plans import Batch


class ConditionalGAN(GAN):
    """A generator against a critic, both told the class.

    Arguments:
        shape: shape of one datum, (C, H, W) or (D,).
        num_classes: number of classes.
        latent_dim: dimensions of the latents.
        decoder: makes the generator's network, `decoder(latent_dim=..., shape=...)`.
        encoder: makes the critic's network, `encoder(shape=..., outputs=...)`.
        loss: the adversarial loss.
        penalties: penalties on the critic, as a function of the datum at its class, and on the generator, by name.
        constraint: what holds the critic down.
        critic_conditioning: how the critic is told the class.
        generator_conditioning: makes the generator, of (z, y), from `decoder`, `num_classes`, `latent_dim`, `shape`.
        **parts: further arguments of `GAN`.

    Raises:
        UserError: the data have no classes, or the parts do not go together.
    """

    num_classes: int

    def __init__(
        self,
        shape: Sequence[int],
        num_classes: int,
        latent_dim: int,
        decoder: Callable[..., nn.Module],
        encoder: Callable[..., nn.Module],
        loss: AdversarialLoss,
        penalties: Mapping[str, Penalty],
        constraint: Constraint,
        critic_conditioning: CriticConditioning,
        generator_conditioning: Callable[..., nn.Module],
        **parts: Any,
    ) -> None:
        if num_classes < 2:
            raise UserError(
                f"model=conditional_gan needs data of several classes, and these have {num_classes}: choose another "
                "dataset, or model=gan."
            )
        super().__init__(
            shape,
            latent_dim,
            decoder=partial(generator_conditioning, decoder, num_classes),
            encoder=partial(critic_conditioning.critic, encoder, num_classes),
            loss=loss,
            penalties=penalties,
            constraint=constraint,
            **parts,
        )
        self.num_classes, self.conditioning = num_classes, critic_conditioning

    @property
    def irreversible(self) -> str | None:
        """Some conditionings have the players work together."""
        if not self.conditioning.cooperates:
            return None
        return (
            "turns the critic's gradient round for the generator, but both want samples of the class that was asked for"
        )

    # --- the game ---------------------------------------------------------------------------------------------------

    def generate(self, batch: Batch) -> Tensor:
        """Fakes of the classes of the batch, (B, *shape)."""
        return self.generator(self._latents_of(batch), batch["y"])

    def _judge(self, x: Tensor, batch: Batch) -> Tensor:
        return self.critic(x, batch["y"].repeat(len(x) // len(batch["y"])))

    def _critic_terms(self, batch: Batch, real: Tensor, fake: Tensor) -> Tensor | float:
        of_class = slice(-self.num_classes, None)
        return self.conditioning.critic_term(batch["y"], real[:, of_class], fake[:, of_class], self.record)

    def _generator_terms(self, batch: Batch, fake: Tensor) -> Tensor | float:
        return self.conditioning.generator_term(batch["y"], fake[:, -self.num_classes :])

    # --- what a trained one can do ----------------------------------------------------------------------------------

    def decode(self, z: Tensor, y: Tensor | None = None) -> Tensor:
        """Data of latents (B, latent_dim) and classes (B,), or of all classes in turn, (B, *shape).

        Raises:
            UserError: `y` is not one class for each latent.
        """
        return self.generator(z, self.classes(len(z), y))
