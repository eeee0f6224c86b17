"""How a critic is told the class of what it scores, or asked for it."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch.nn.functional as F
from torch import Tensor, nn

from genexp.errors import UserError
from genexp.networks.conditional import ClassifyingCritic, ConcatenationCritic, ProjectionCritic

Record = Callable[[str, Tensor], None]


class CriticConditioning(ABC):
    """Makes a critic of data and classes, (x, y) -> (B, m), and says what it adds to the losses."""

    @abstractmethod
    def critic(
        self, encoder: Callable[..., nn.Module], num_classes: int, shape: Sequence[int], outputs: int = 1
    ) -> nn.Module:
        """Makes the critic.

        Arguments:
            encoder: makes a network, `encoder(shape=..., outputs=...)`.
            num_classes: number of classes K.
            shape: shape of one datum.
            outputs: scores of a datum; they are the first of what the critic says.
        """

    @property
    def cooperates(self) -> bool:
        """Whether it adds a term that both players want to be small: the game is no zero-sum one then."""
        return False

    def critic_term(self, y: Tensor, real: Tensor, fake: Tensor, record: Record) -> Tensor | float:
        """What is added to the critic's loss.

        Arguments:
            y: classes (B,), the same of data and samples.
            real: the last K numbers that the critic says of data (B, K).
            fake: those of samples (B, K).
            record: takes the name and the value of what is worth a column.
        """
        return 0.0

    def generator_term(self, y: Tensor, fake: Tensor) -> Tensor | float:
        """What is added to the generator's loss; the arguments are those of `critic_term`."""
        return 0.0


@dataclass(frozen=True)
class Concatenation(CriticConditioning):
    """The class is part of the datum: more features of a vector, more channels of an image.

    Arguments:
        label_dim: numbers for a class, learnt; None for one-hot.

    References:
        Conditional Generative Adversarial Nets (Mirza, Osindero, 2014), https://arxiv.org/abs/1411.1784
    """

    label_dim: int | None = None

    def critic(
        self, encoder: Callable[..., nn.Module], num_classes: int, shape: Sequence[int], outputs: int = 1
    ) -> nn.Module:
        """Makes a `ConcatenationCritic`."""
        return ConcatenationCritic(encoder, num_classes, shape, outputs, self.label_dim)


@dataclass(frozen=True)
class Projection(CriticConditioning):
    """The score has a part more, the inner product of the last features with a vector of the class.

    Arguments:
        code_dim: number of features.

    References:
        cGANs with Projection Discriminator (Miyato, Koyama, 2018), https://arxiv.org/abs/1802.05637
    """

    code_dim: int = 128

    def critic(
        self, encoder: Callable[..., nn.Module], num_classes: int, shape: Sequence[int], outputs: int = 1
    ) -> nn.Module:
        """Makes a `ProjectionCritic`."""
        return ProjectionCritic(encoder, num_classes, shape, outputs, self.code_dim)


@dataclass(frozen=True)
class AuxiliaryClassifier(CriticConditioning):
    r"""AC-GAN: the critic is not told the class but guesses it, and both players want it to guess right.

    With $C$ the cross entropy of the critic's logits with the class that a datum has, or a sample was asked for,

    $$\min_D\; L_D + a\,E_p\,C(x, y) + b\,E_q\,C(G(z, y), y), \qquad \min_G\; L_G + c\,E_q\,C(G(z, y), y).$$

    The generator gains by samples that are easy to classify, so that classes come out purer and less diverse than the
    data's.

    Arguments:
        real: the factor $a$.
        fake: the factor $b$; 1 in the paper, 0 keeps the classifier from learning bad samples' classes.
        generator: the factor $c$; 1 in the paper, 0.1 in the authors' code of WGAN-GP, with $b = 0$.

    Raises:
        UserError: a factor is negative.

    References:
        Conditional Image Synthesis With Auxiliary Classifier GANs (Odena, Olah, Shlens, 2016),
        https://arxiv.org/abs/1610.09585
    """

    real: float = 1.0
    fake: float = 1.0
    generator: float = 1.0

    def __post_init__(self) -> None:
        for name in ("real", "fake", "generator"):
            if not getattr(self, name) >= 0:
                raise UserError(f"model.critic_conditioning.{name}={getattr(self, name)}: give 0 or more.")

    @property
    def cooperates(self) -> bool:
        """Unless samples' classes count for nobody."""
        return self.fake > 0 or self.generator > 0

    def critic(
        self, encoder: Callable[..., nn.Module], num_classes: int, shape: Sequence[int], outputs: int = 1
    ) -> nn.Module:
        """Makes a `ClassifyingCritic`."""
        return ClassifyingCritic(encoder, num_classes, shape, outputs)

    def critic_term(self, y: Tensor, real: Tensor, fake: Tensor, record: Record) -> Tensor:
        """Returns the weighted cross entropies on data and on samples, in nats."""
        of_real, of_fake = F.cross_entropy(real, y), F.cross_entropy(fake, y)
        record("cross_entropy/real", of_real)
        record("cross_entropy/fake", of_fake)
        return self.real * of_real + self.fake * of_fake

    def generator_term(self, y: Tensor, fake: Tensor) -> Tensor:
        """Returns the weighted cross entropy on samples, in nats."""
        return self.generator * F.cross_entropy(fake, y)
