r"""O-GAN: the critic is an encoder, without a network more.

The critic gives $n$ numbers $E(x)$. Their mean is the score; what is left without mean and size is a latent:

$$D(x) = \tfrac1n \sum_i E_i(x), \qquad N(v) = \frac{v - \operatorname{mean} v}{\operatorname{std} v}, \qquad
\rho(u, v) = \tfrac1n \sum_i N_i(u)\,N_i(v).$$

Both players want the code of a sample to be the latent that it was made from, and play against
each other with the mean:

$$\min_E\; L_D\bigl(D(x), D(G(z))\bigr) - \lambda\,\rho\bigl(z, E(G(z))\bigr), \qquad
\min_G\; L_G\bigl(D(G(z))\bigr) - \lambda\,\rho\bigl(z, E(G(z))\bigr).$$

The correlation $\rho$ is the same for $E$ and $aE + b$, $a > 0$, so that it leaves the score free; a squared error
$\|z - E(G(z))\|^2$ would fix it. Data are encoded by $N(E(x))$ and reconstructed by $G(N(E(x)))$, though no loss ever
compares a datum with its reconstruction. The paper's losses are `loss=squared_potential`: with the scores' sign turned
to ours, $L_D = E[-(r - f) + \tfrac14 (r - f)^2 / d]$, $d$ the mean squared difference of a datum and a sample, and
$L_G = -E f$.

References:
    O-GAN: Extremely Concise Approach for Auto-Encoding Generative Adversarial Networks, Su, 2019.
    https://arxiv.org/abs/1903.01931

Expected result: `experiment=digits_o_gan`, in docs/o-gan.md.
"""

from collections.abc import Callable, Mapping, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from genexp.errors import UserError
from genexp.models.traced_gan import TracedGAN
from genexp.objectives.adversarial import AdversarialLoss
from genexp.objectives.constraints import Constraint
from genexp.objectives.penalties import Penalty
from genexp.training.plans import Batch

LEAST_STD = 1e-6


def centred(v: Tensor) -> Tensor:
    """Each row (B, n) without its mean."""
    return v - v.mean(1, keepdim=True)


def standardised(v: Tensor) -> Tensor:
    """$N(v)$, each row (B, n) with mean 0 and (population) standard deviation 1.

    Example:
        >>> standardised(torch.tensor([[1.0, 3.0, 1.0, 3.0]])).tolist()
        [[-1.0, 1.0, -1.0, 1.0]]
    """
    difference = centred(v)
    return difference / difference.square().mean(1, keepdim=True).sqrt().clamp_min(LEAST_STD)


def correlation(u: Tensor, v: Tensor) -> Tensor:
    r"""$\rho(u, v)$ of each pair of rows, (B, n) and (B, n) -> (B,): Pearson's, in [-1, 1].

    Example:
        >>> u = torch.tensor([[0.0, 1.0, 4.0]])
        >>> round(correlation(u, 5 - 2 * u).item(), 4)
        -1.0
    """
    wide = torch.promote_types(v.dtype, torch.float32)
    return F.cosine_similarity(centred(u.to(wide)), centred(v.to(wide)), dim=1)


class OGAN(TracedGAN):
    r"""A generator against a critic that encodes.

    The monitor sees the means of the codes as scores.

    Arguments:
        shape: shape of one datum, (C, H, W) or (D,).
        latent_dim: dimensions $n$ of the latents and of a code, at least 3.
        decoder: makes the generator, `decoder(latent_dim=..., shape=...)`.
        encoder: makes the critic, `encoder(shape=..., outputs=latent_dim)`.
        loss: the adversarial loss, of the means.
        penalties: penalties on the critic's score and on the generator, by name.
        constraint: what holds the critic down.
        correlation_weight: the factor $\lambda$ of the correlation.

    Raises:
        UserError: there are too few dimensions, the weight is negative, or the parts do not go together.
    """

    averaged = ("generator", "critic")

    def __init__(
        self,
        shape: Sequence[int],
        latent_dim: int,
        decoder: Callable[..., nn.Module],
        encoder: Callable[..., nn.Module],
        loss: AdversarialLoss,
        penalties: Mapping[str, Penalty],
        constraint: Constraint,
        correlation_weight: float = 0.5,
    ) -> None:
        if latent_dim < 3:
            raise UserError(f"model.latent_dim={latent_dim}: a code less its mean and size needs 3 numbers or more.")
        if not correlation_weight >= 0:
            raise UserError(f"model.correlation_weight={correlation_weight} is out of range: give 0 or more.")
        if constraint.reads_slope:
            raise UserError("constraint=gradient reads the slope of a single score, and this critic gives a code.")

        def critic(shape: Sequence[int], outputs: int) -> nn.Module:
            return encoder(shape=shape, outputs=latent_dim)

        super().__init__(shape, latent_dim, decoder, critic, loss, penalties, constraint)
        self.correlation_weight = correlation_weight

    # --- the game ---------------------------------------------------------------------------------------------------

    def _judge(self, x: Tensor, batch: Batch) -> Tensor:
        """Score and code, (B, 1 + latent_dim)."""
        code = self.critic(x)
        return torch.cat([code.mean(1, keepdim=True), code], dim=1)

    def _critic_terms(self, batch: Batch, real: Tensor, fake: Tensor) -> Tensor:
        rho = correlation(batch["z"], fake[:, 1:]).mean()
        self.record("correlation", rho)
        return -self.correlation_weight * rho

    def _generator_terms(self, batch: Batch, fake: Tensor) -> Tensor:
        return -self.correlation_weight * correlation(batch["z"], fake[:, 1:]).mean()

    # --- what a trained one can do ----------------------------------------------------------------------------------

    def encode(self, x: Tensor) -> Tensor:
        """Codes $N(E(x))$, (B, *shape) -> (B, latent_dim)."""
        return standardised(self.critic(x))

    def reconstruct(self, x: Tensor) -> Tensor:
        """Data through their codes and back, (B, *shape)."""
        return self.decode(self.encode(x))
