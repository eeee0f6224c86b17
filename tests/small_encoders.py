"""The GANs that encode, of small networks in float64, ready for steps without a trainer."""

from functools import partial

import torch
from tests.small_gan import make as make_gan

from genexp.models.ali import ALI
from genexp.models.bigan_qp import BiGANQP
from genexp.models.energy_gan import EnergyGAN
from genexp.models.o_gan import OGAN
from genexp.models.vae_gan import VAEGAN
from genexp.networks.mlp import MLPDecoder, MLPEncoder
from genexp.objectives.adversarial import NonSaturating, QuadraticPotential, Saturating, Wasserstein
from genexp.objectives.constraints import NoConstraint
from genexp.objectives.penalties import R1

SMALL = {"code_dim": 5, "head_width": 6}
FAMILIES = {
    "o_gan": (OGAN, {"loss": QuadraticPotential(2.0, "squared")}),
    "ali": (ALI, {"loss": NonSaturating(), **SMALL}),
    "bigan": (ALI, {"loss": NonSaturating(), "stochastic": False, "generator_loss": "variational", **SMALL}),
    "bigan_qp": (BiGANQP, {"loss": QuadraticPotential(), **SMALL}),
    "vae_gan": (VAEGAN, {"loss": NonSaturating(), "code_dim": 5}),
    "energy_gan": (EnergyGAN, {"loss": Wasserstein(), "penalties": {"r1": R1()}}),
}


def make(family, plan=None, lr=1e-2, shape=(2,), **options):
    """A model of three latent dimensions; the same weights each time."""
    kind, own = FAMILIES[family]
    torch.manual_seed(0)
    options = {
        "decoder": partial(MLPDecoder, width=8, depth=2),
        "encoder": partial(MLPEncoder, width=8, depth=2),
        "penalties": {},
        "constraint": NoConstraint(),
        **own,
        **options,
    }
    model = kind(shape=shape, latent_dim=3, **options).double()
    model.prepare(make_gan(Saturating(), plan=plan, lr=lr).regime)  # a loss that goes with every plan
    model.configure_optimizers()
    return model
