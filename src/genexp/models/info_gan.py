r"""InfoGAN: a GAN whose latents are in part codes, which its samples must tell.

The generator maps noise $z$ and a code $c$ to data: categorical parts, and continuous ones uniform on $[-1, 1]$. The
critic's network has further outputs, a guess $Q(c \mid x)$ of the code of a sample. Both players raise

$$L_I = H(c) + E_{c, z} \log Q\bigl(c \mid G(z, c)\bigr) \le I\bigl(c; G(z, c)\bigr),$$

$$\min_{D, Q}\; L_D - \lambda L_I, \qquad \min_G\; L_G - \lambda L_I,$$

with a weight for the categorical and one for the continuous parts. Nobody says what the codes should mean: they come to
mean what varies most in the data, such as classes. The bounds are columns of metrics.csv, in nats; that of categorical
parts of $K$ values is at most $\log K$ each.

References:
    InfoGAN: Interpretable Representation Learning by Information Maximizing Generative Adversarial Nets, Chen et al.,
    2016. https://arxiv.org/abs/1606.03657

Expected result: `experiment=digits_info_gan`, in docs/info-gan.md.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from genexp.errors import UserError
from genexp.models.traced_gan import TracedGAN
from genexp.objectives.adversarial import AdversarialLoss
from genexp.objectives.constraints import Constraint
from genexp.objectives.information import Codes
from genexp.objectives.penalties import Penalty
from genexp.training.plans import Batch


class InfoGAN(TracedGAN):
    """A generator of noise and codes against a critic that guesses the codes.

    A class `y` of a sample is the value of the first categorical part.

    Arguments:
        shape: shape of one datum, (C, H, W) or (D,).
        latent_dim: dimensions of the noise; the codes come beside it.
        decoder: makes the generator, `decoder(latent_dim=..., shape=...)`.
        encoder: makes the critic, `encoder(shape=..., outputs=...)`; its last layer makes the guess too.
        loss: the adversarial loss.
        penalties: penalties on the critic's score and on the generator, by name.
        constraint: what holds the critic down.
        categories: number of values of each categorical part.
        continuous: number of continuous parts.
        categorical_weight: the factor on the information about categorical parts.
        continuous_weight: the factor on the information about continuous parts.
        **parts: further arguments of `GAN`.

    Raises:
        UserError: there are no codes, a weight is negative, or the parts do not go together.
    """

    names_classes = False

    def __init__(
        self,
        shape: Sequence[int],
        latent_dim: int,
        decoder: Callable[..., nn.Module],
        encoder: Callable[..., nn.Module],
        loss: AdversarialLoss,
        penalties: Mapping[str, Penalty],
        constraint: Constraint,
        categories: Sequence[int] = (10,),
        continuous: int = 0,
        categorical_weight: float = 1.0,
        continuous_weight: float = 0.1,
        **parts: Any,
    ) -> None:
        if not min(categorical_weight, continuous_weight) >= 0:
            raise UserError(
                "model.categorical_weight and model.continuous_weight must not be negative: give 0 or more."
            )
        codes = Codes(tuple(categories), continuous)

        def critic(shape: Sequence[int], outputs: int) -> nn.Module:
            return encoder(shape=shape, outputs=outputs + codes.guess_dim)

        super().__init__(shape, latent_dim + codes.dim, decoder, critic, loss, penalties, constraint, **parts)
        self.noise_dim, self.codes = latent_dim, codes
        self.weights = categorical_weight, continuous_weight
        self.num_classes = codes.categories[0] if codes.categories else None

    # --- the game ---------------------------------------------------------------------------------------------------

    def _latents(self, batch: Batch) -> Tensor:
        n = len(batch["x"])
        codes = self.codes.draw(self.random.uniform(n, self.codes.parts))
        return torch.cat([self.random.normal(n, self.noise_dim), codes], dim=1)

    def _critic_terms(self, batch: Batch, real: Tensor, fake: Tensor) -> Tensor:
        categorical, continuous = self._bounds(batch, fake)
        for name, bound, parts in (
            ("categorical", categorical, self.codes.categories),
            ("continuous", continuous, self.codes.continuous),
        ):
            if parts:
                self.record(f"information/{name}", bound)
        return -self.weights[0] * categorical - self.weights[1] * continuous

    def _generator_terms(self, batch: Batch, fake: Tensor) -> Tensor:
        categorical, continuous = self._bounds(batch, fake)
        return -self.weights[0] * categorical - self.weights[1] * continuous

    def _bounds(self, batch: Batch, verdict: Tensor) -> tuple[Tensor, Tensor]:
        return self.codes.bounds(batch["z"][:, self.noise_dim :], verdict[:, -self.codes.guess_dim :])

    # --- what a trained one can do ----------------------------------------------------------------------------------

    def classes(self, n: int, y: Tensor | None = None) -> Tensor | None:
        """The values of the first categorical part, long (n,); None where the latents choose them.

        Raises:
            UserError: `y` is not one value for each sample.
        """
        return None if y is None else super().classes(n, y)

    def latents(self, n: int, seed: int | None = None, temperature: float = 1.0, y: Tensor | None = None) -> Tensor:
        """Noise and codes, (n, noise and code dimensions).

        Arguments:
            n: how many.
            seed: they are a function of it; None draws on.
            temperature: factor on the noise; codes keep their range.
            y: values (n,) of the first categorical part; None draws them.
        """
        generator = self.generator_for(seed)
        noise = torch.randn(n, self.noise_dim, device=self.device, generator=generator)
        codes = self.codes.draw(torch.rand(n, self.codes.parts, device=self.device, generator=generator))
        return self._with_value(torch.cat([temperature * noise, codes], dim=1), y)

    def decode(self, z: Tensor, y: Tensor | None = None) -> Tensor:
        """Data of latents (B, noise and code dimensions), (B, *shape); `y` (B,) sets the first categorical part.

        Raises:
            UserError: `y` is not one value for each latent.
        """
        return self.generator(self._with_value(z, y))

    def _with_value(self, z: Tensor, y: Tensor | None) -> Tensor:
        """Latents whose first categorical part has the values `y`; None leaves them as they are."""
        chosen = self.classes(len(z), y)
        if chosen is None or self.num_classes is None:
            return z
        value = F.one_hot(chosen, self.num_classes).to(z.dtype)
        return torch.cat([z[:, : self.noise_dim], value, z[:, self.noise_dim + self.num_classes :]], dim=1)

    def guess(self, x: Tensor) -> Tensor:
        """The likeliest value of the first categorical part of each datum, (B, *shape) -> (B,)."""
        verdict = self.critic(x)[:, -self.codes.guess_dim :]
        return verdict[:, : self.codes.categories[0]].argmax(1)
