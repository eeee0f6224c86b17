"""The trust region of a generator's update."""

from dataclasses import dataclass

import torch
from torch import Tensor

from genexp.objectives.penalties.base import GeneratorPenalty


@dataclass(frozen=True)
class TrustRegion(GeneratorPenalty):
    r"""Samples stay near those of the generator that the critic was fitted to.

    $$E_z \tfrac1d \|G(z) - G^\circ(z)\|^2$$

    over the $d$ dimensions of a sample, with $G^\circ$ the generator before the step's first update, and the same
    latents. In the variational view of a GAN the generator minimises the critic's loss *plus*
    $\mathrm{KL}(q \| q^\circ)$, because the critic is the best one only for the $q^\circ$ it was fitted to; Gaussians
    around the samples make that term this one. Value and gradient are zero in the first update, so the plan must make
    two or more of them on the same latents: `plan.generator=2 plan.same_latents=true`.

    Arguments:
        weight: the factor $\lambda = 1/2\sigma^2$, per dimension.
        interval: evaluated every so many steps.

    Raises:
        UserError: the weight is negative, or the interval is below 1.

    References:
        Variational Inference: A Unified Framework of Generative Models and Some Revelations (Su, 2018),
        https://arxiv.org/abs/1807.05936
    """

    weight: float = 5.0
    interval: int = 1

    def __call__(self, fake: Tensor, reference: Tensor) -> Tensor:
        """Returns the mean squared distance, over the batch and all dimensions."""
        wide = torch.promote_types(fake.dtype, torch.float32)
        return (fake.to(wide) - reference.detach().to(wide)).square().mean()
