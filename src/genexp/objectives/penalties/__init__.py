r"""Penalties: terms added to the loss of one player.

Calling a penalty returns its *unweighted* value; the training step adds `penalty.scaled_weight` times that, on the
steps that are multiples of `penalty.interval`. Those of the critic see samples as constants and send no gradient to the
generator.
"""

from genexp.objectives.penalties.base import (
    Critic,
    CriticPenalty,
    GeneratorPenalty,
    Penalty,
    Step,
    input_gradient,
    interpolate,
)
from genexp.objectives.penalties.consistency import Augmentation, Consistency, Nudge
from genexp.objectives.penalties.lecam import LeCam
from genexp.objectives.penalties.slopes import DRAGAN, R1, R2, GradientPenalty, WassersteinDivergence
from genexp.objectives.penalties.terms import Terms
from genexp.objectives.penalties.trust_region import TrustRegion

__all__ = [
    "Augmentation",
    "Consistency",
    "Critic",
    "CriticPenalty",
    "DRAGAN",
    "GeneratorPenalty",
    "GradientPenalty",
    "LeCam",
    "Nudge",
    "Penalty",
    "R1",
    "R2",
    "Step",
    "Terms",
    "TrustRegion",
    "WassersteinDivergence",
    "input_gradient",
    "interpolate",
]
