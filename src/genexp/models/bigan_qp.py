r"""BiGAN-QP: a generator and an encoder in the quadratic potential.

The game of BiGAN, with a critic of pairs $T(x, E(x))$ and $T(G(z), z)$ that needs no constraint: it pays for the square
of each difference of scores, less the farther the pairs are apart, in data and latents together. With
$\Delta = T(x, E(x)) - T(G(z), z)$ and $d = \tfrac1D\|x - G(z)\|_1 + \tfrac1n\|z - E(x)\|_1$,

$$\min_T\; E\Bigl[-\Delta + \frac{\Delta^2}{2\lambda d}\Bigr], \qquad
\min_{G, E}\; E\Bigl[\Delta + \tfrac{\beta_1}{n}\|z - E(\bar{G(z)})\|^2
    + \tfrac{\beta_2}{D}\|x - G(\bar{E(x)})\|^2\Bigr]$$

where a bar stops the gradient: the error in the latents moves the encoder alone, the error in the data the generator
alone, so that neither makes the other's task easy instead of doing its own.

References:
    BiGAN-QP: Simple and Powerful GAN with Inference, Su, 2018 (in the notation of GAN-QP).
    https://kexue.fm/archives/6214
    GAN-QP: A Novel GAN Framework without Gradient Vanishing and Lipschitz Constraint (Su, 2018),
    https://arxiv.org/abs/1811.07296

Expected result: `experiment=digits_bigan_qp`, in docs/encoders.md.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import prod

import torch.nn.functional as F
from torch import Tensor, nn

from genexp.errors import UserError
from genexp.models.ali import ALI
from genexp.objectives.adversarial import AdversarialLoss, QuadraticPotential
from genexp.objectives.constraints import Constraint
from genexp.objectives.penalties import Penalty
from genexp.training.plans import Batch


@dataclass(frozen=True)
class PairPotential(QuadraticPotential):
    """The quadratic potential between pairs: the distances of data and of latents, each a mean, add up.

    Arguments:
        dimensions: of a datum; what stands after them in a row is a latent.

    Example:
        >>> import torch
        >>> loss = PairPotential(dimensions=1).between(torch.zeros(1, 3), torch.tensor([[2.0, 0.5, 1.5]]))
        >>> loss.apart
        tensor([3.])
    """

    dimensions: int = 0

    def between(self, real: Tensor, fake: Tensor) -> "PairPotential":
        """Returns the loss with the distances of the batch's pairs, rows (B, D + latent_dim)."""
        d = self.dimensions
        return self.with_distances(self.distances(real[:, :d], fake[:, :d]) + self.distances(real[:, d:], fake[:, d:]))


class BiGANQP(ALI):
    r"""BiGAN in the quadratic potential.

    Arguments:
        shape: shape of one datum, (C, H, W) or (D,).
        latent_dim: dimensions of the latents.
        decoder: makes the generator, `decoder(latent_dim=..., shape=...)`.
        encoder: makes the encoder, `encoder(shape=..., outputs=latent_dim)`, and the critic's network for data.
        loss: the quadratic potential.
        penalties: penalties on the critic and on the samples by name.
        constraint: what holds the critic down; it needs nothing.
        latent_weight: the factor $\beta_1$ of the error in the latents.
        data_weight: the factor $\beta_2$ of the error in the data.
        code_dim: features of a datum in the critic.
        head_width: features of a latent in the critic, and of the hidden layers of its head.
        head_depth: hidden layers of the critic's head.

    Raises:
        UserError: another loss, a negative weight, or parts that do not go together.
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
        latent_weight: float = 2.0,
        data_weight: float = 3.0,
        code_dim: int = 128,
        head_width: int = 256,
        head_depth: int = 2,
    ) -> None:
        if not isinstance(loss, QuadraticPotential):
            raise UserError(
                f"model=bigan_qp plays in the quadratic potential, not by {type(loss).__name__}: "
                "use loss=quadratic_potential, or model=ali."
            )
        for name, weight in (("latent_weight", latent_weight), ("data_weight", data_weight)):
            if not weight >= 0:
                raise UserError(f"model.{name}={weight} is out of range: give 0 or more.")
        super().__init__(
            shape,
            latent_dim,
            decoder,
            encoder,
            loss,
            penalties,
            constraint,
            stochastic=False,
            code_dim=code_dim,
            head_width=head_width,
            head_depth=head_depth,
            head_bias=False,
        )
        self.loss = self.adversarial = PairPotential(loss.scale, loss.distance, loss.least, dimensions=prod(self.shape))
        self.latent_weight, self.data_weight, self.reversible = latent_weight, data_weight, False

    def own_terms(self, batch: Batch, fakes: Tensor) -> Tensor:
        """The weighted errors of what goes from latents to data and back, and from data to latents and back."""
        z, codes = fakes[:, prod(self.shape) :].chunk(2, dim=1)
        of_latents = F.mse_loss(self.encoder(self.samples(fakes).detach()), z)
        of_data = F.mse_loss(self.generator(codes.detach()), batch["x"])
        self.record("loss/latents", of_latents)
        self.record("loss/data", of_data)
        return self.latent_weight * of_latents + self.data_weight * of_data
