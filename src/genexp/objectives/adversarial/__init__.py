"""Adversarial losses: what a critic minimises, and what a generator minimises. One family in each file."""

from genexp.objectives.adversarial.base import AdversarialLoss, Bound, expectation
from genexp.objectives.adversarial.f_gan import FGAN
from genexp.objectives.adversarial.joint import single_loss
from genexp.objectives.adversarial.likelihood_ratio import LikelihoodRatio
from genexp.objectives.adversarial.relativistic import Pair, Relativistic
from genexp.objectives.adversarial.standard import Hinge, LeastSquares, NonSaturating, Saturating
from genexp.objectives.adversarial.transport import QuadraticPotential, Wasserstein

__all__ = [
    "FGAN",
    "AdversarialLoss",
    "Bound",
    "Hinge",
    "LeastSquares",
    "LikelihoodRatio",
    "NonSaturating",
    "Pair",
    "QuadraticPotential",
    "Relativistic",
    "Saturating",
    "Wasserstein",
    "expectation",
    "single_loss",
]
