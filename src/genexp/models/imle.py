r"""Implicit maximum likelihood estimation: every datum draws the nearest sample to itself.

A generator makes many samples of $\epsilon_j \sim N(0, I)$, and the nearest of them all is moved to each datum:

$$\min_G \frac1M \sum_i \min_j d(x_i, G(\epsilon_j)), \qquad
\min_j d_{ij} = \lim_{\sigma \to 0} \; -2\sigma^2 \log \sum_j e^{-d_{ij} / 2\sigma^2}.$$

It is maximum likelihood with Gaussian noise that goes to zero: every datum pulls at some sample, so no mode is left
out, and nothing forbids samples between the modes. On pixels they are blurred. Nearest neighbours are exact; with
several processes each makes the same candidates, for the data of all, and searches them all.

References:
    Implicit Maximum Likelihood Estimation, Li and Malik, 2018. https://arxiv.org/abs/1809.09087

Expected result: `experiment=digits_imle`.
"""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from genexp.errors import UserError
from genexp.models.base import GenerativeModel
from genexp.models.latent import LatentVariableModel
from genexp.objectives.distances import Distance
from genexp.objectives.neighbours import nearest
from genexp.training.plans import Batch


class IMLE(LatentVariableModel):
    """A generator that brings to each datum the nearest of many samples.

    Arguments:
        shape: shape of one datum, (C, H, W) or (D,).
        latent_dim: dimensions of the latents.
        decoder: makes the generator, `decoder(latent_dim=..., shape=...)`.
        loss: the distance that is minimised; the nearest sample is that of the Euclidean distance.
        candidates: samples to choose from, for each datum of a batch; all of a step are compared with all.

    Raises:
        UserError: if a number is out of range, or the loss is no distance.
    """

    averaged = ("decoder",)
    default_plan = "minimize"

    def __init__(
        self,
        shape: Sequence[int],
        latent_dim: int,
        decoder: Callable[..., nn.Module],
        loss: Distance,
        candidates: int = 10,
    ) -> None:
        super().__init__(shape)
        check(self, loss, latent_dim=latent_dim, candidates=candidates)
        self.latent_dim, self.distance, self.candidates = latent_dim, loss, candidates
        self.decoder = decoder(latent_dim=latent_dim, shape=self.shape)

    def players(self) -> dict[str, nn.Module]:
        """One player: the generator."""
        return {"model": self.decoder}

    def loss(self, batch: Batch) -> Tensor:
        """The mean distance of the batch from the nearest samples of fresh latents."""
        x = batch["x"]
        z = self.random.normal_alike(self.candidates * len(x) * self.random.world_size, self.latent_dim)
        with torch.no_grad():
            made = torch.cat([self.decoder(part) for part in z.split(4096)])
        chosen = z[nearest(x.flatten(1), made.flatten(1))]  # (B, latent_dim)
        loss = self.distance(x, self.decoder(chosen)).mean()
        self.record("loss/nearest", loss)
        return loss

    def decode(self, z: Tensor, y: Tensor | None = None) -> Tensor:
        """Data of latents, (B, latent_dim) -> (B, *shape)."""
        return self.decoder(z)


def check(model: GenerativeModel, loss: Distance, **numbers: float) -> None:
    """Check what a model without a critic is made of.

    Raises:
        UserError: the loss is no distance, or a number is not positive.
    """
    if not isinstance(loss, Distance):
        raise UserError(
            f"{type(model).__name__} is trained on a distance, not on {type(loss).__name__}: use loss=pixels."
        )
    for name, value in numbers.items():
        if not value > 0:
            raise UserError(f"model.{name}={value} is out of range: give a positive number.")
