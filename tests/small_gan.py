"""A GAN of two small networks that takes steps without a trainer."""

from functools import partial

import torch

from genexp.models.base import Regime
from genexp.models.gan import GAN
from genexp.networks.mlp import MLPDecoder, MLPEncoder
from genexp.objectives.adversarial import NonSaturating
from genexp.objectives.constraints import NoConstraint
from genexp.training.clock import Clock
from genexp.training.ema import NoEMA
from genexp.training.optimizers import OptimizerFactory
from genexp.training.plans import Alternating
from genexp.training.schedules import Constant


def make(loss=None, penalties=None, plan=None, constraint=None, lr=1e-2, algorithm="torch.optim.SGD", head=None) -> GAN:
    """A GAN ready for steps, in float64; the same weights each time."""
    torch.manual_seed(0)
    model = GAN(
        shape=(2,),
        latent_dim=3,
        decoder=partial(MLPDecoder, width=8, depth=2),
        encoder=partial(MLPEncoder, width=8, depth=2),
        loss=loss or NonSaturating(),
        penalties=penalties or {},
        constraint=constraint or NoConstraint(),
        head=head,
    ).double()
    plan = plan or Alternating()
    model.prepare(
        Regime(
            plan=plan,
            optimizer=OptimizerFactory(algorithm, lr=lr, implementation="loop"),
            schedule=Constant(),
            ema=NoEMA(),
            clock=Clock(max_steps=100, images_per_step=16),
            seed=5,
        )
    )
    model.configure_optimizers()
    return model


def batch(n=16):
    """Points in float64; the same each time."""
    generator = torch.Generator().manual_seed(1)
    return {"x": torch.randn(n, 2, dtype=torch.float64, generator=generator), "y": torch.zeros(n)}
