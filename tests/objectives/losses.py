"""Every adversarial loss that the tests of all losses run on."""

from genexp.objectives.adversarial import (
    FGAN,
    Hinge,
    LeastSquares,
    LikelihoodRatio,
    NonSaturating,
    Pair,
    QuadraticPotential,
    Relativistic,
    Saturating,
    Wasserstein,
)
from genexp.objectives.adversarial.relativistic import COMPARISONS, PAIRINGS
from genexp.objectives.divergences import TABLE
from genexp.objectives.ratio_pairs import PAIRS

STANDARD = [NonSaturating(), Saturating(), Hinge(), LeastSquares(), LeastSquares(-1, 1, 0), Wasserstein()]
COMPARING = [Relativistic(pairing, comparison) for pairing in PAIRINGS for comparison in COMPARISONS]
PAIR = [Pair(comparison) for comparison in COMPARISONS]
F_GANS = [
    FGAN(name, activation=activation, generator_loss=generator)
    for name, row in TABLE.items()
    for activation in ("log_ratio", "domain")
    for generator in ("alternative", "minimax")
    if row.smooth or activation == "domain"
]
OWN = [FGAN(f="u*log(u) - 2*log((1 + u)/2)", activation="domain"), FGAN(f="abs(u - 1) + (u - 1)**2")]
RATIOS = [LikelihoodRatio(name) for name in PAIRS] + [
    LikelihoodRatio("ratio_kl", activation="domain"),
    LikelihoodRatio("log_js", beta="log(1 + exp(t))"),
    LikelihoodRatio(omega="r**2/(1 + r**2)", rho="1/(t + 1)"),
    LikelihoodRatio(omega="r**2/(1 + r**2)", rho="1/(t + 1)", activation="domain"),
]
LOSSES = [*STANDARD, *COMPARING, QuadraticPotential(), *F_GANS, *OWN, *RATIOS]
"""Losses on scores of single points; those of pairs are `PAIR`."""


def name_of(loss) -> str:
    return str(loss).replace(" ", "").replace("'", "")
