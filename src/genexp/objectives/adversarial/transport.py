r"""Losses that come from transport: the dual of the Wasserstein distance, and the quadratic potential of GAN-QP.

The Wasserstein-1 distance is the least cost of moving $q$ onto $p$; its dual (Kantorovich and Rubinstein) is

$$W_1(p, q) = \min_{\gamma} E_{\gamma}\|x - y\| = \max_{\|D\|_L \le 1} E_p D - E_q D,$$

over critics of slope at most 1. The primal on finite samples is `genexp.evaluation.metrics.transport.w1_lp`.
"""

from dataclasses import dataclass, replace
from typing import ClassVar, Literal, Self

from torch import Tensor

from genexp.errors import UserError
from genexp.objectives.adversarial.base import AdversarialLoss, Bound, expectation, precise


@dataclass(frozen=True)
class Wasserstein(AdversarialLoss):
    r"""The dual of the Wasserstein-1 distance, over critics whose slope something else bounds.

    $$L_D = E f - E r, \qquad L_G = -E f$$

    Over 1-Lipschitz critics $-\min L_D = W_1(p, q)$. Without a constraint the loss has no minimum: train it
    with `penalty=gp` or `constraint=clip`. The estimate $-L_D$ is in units of the critic's slope: clipped weights
    make it a multiple of $W_1$ that depends on the network, and on images it is no estimate of $W_1$ at all.

    References:
        Wasserstein GAN (Arjovsky, Chintala, Bottou, 2017), https://arxiv.org/abs/1701.07875
    """

    needs_constraint: ClassVar[bool] = True

    @property
    def bound(self) -> Bound:
        """W1 = -L_D for a critic of slope at most 1."""
        return Bound("w1")

    def critic(self, real: Tensor, fake: Tensor) -> Tensor:
        """Returns E f - E r."""
        return expectation(fake) - expectation(real)

    def generator(self, fake: Tensor, real: Tensor | None = None) -> Tensor:
        """Returns -E f."""
        return -expectation(fake)


def _l1(difference: Tensor) -> Tensor:
    return difference.abs().mean(1)


def _l2(difference: Tensor) -> Tensor:
    return difference.square().mean(1).sqrt()


def _squared(difference: Tensor) -> Tensor:
    return difference.square().mean(1)


DISTANCES = {"l1": _l1, "l2": _l2, "squared": _squared}
"""Distances of flattened differences (B, D) -> (B,), means over the dimensions."""


@dataclass(frozen=True)
class QuadraticPotential(AdversarialLoss):
    r"""GAN-QP: the critic pays for the square of each difference of scores, less the farther the pair is apart.

    $$L_D = E\Bigl[-(r - f) + \frac{(r - f)^2}{2\lambda\,d(x, G(z))}\Bigr], \qquad L_G = -E f$$

    over the pairs of the batch, $d$ without a graph. The generator's loss is $E(r - f)$ in the paper; what it cannot
    change is left out here. For critics of pairs, which score $\Delta = D(x, y) - D(y, x)$, the best one is
    $\lambda d\,(p_x q_y - p_y q_x)/(p_x q_y + p_y q_x)$, and
    $-L_D = \tfrac\lambda4 \int\!\!\int d\,(p_x q_y - p_y q_x)^2/(p_x q_y + p_y q_x)$; a critic of single
    points, as here, reaches less. For two points at distance $d$ it is $\tfrac12\lambda d$: it grows with the distance
    like $W_1$, and needs no constraint.

    Arguments:
        scale: the factor $\lambda$.
        distance: `l1` is the mean of $|x - y|$ over the dimensions, `l2` the root of the mean of $(x - y)^2$, and
            `squared` that mean itself, as in O-GAN (with $\lambda = 2$).
        least: distances below it count as it, so that equal points divide by no zero.

    Raises:
        UserError: an unknown distance, or a number that is not positive.

    References:
        GAN-QP: A Novel GAN Framework without Gradient Vanishing and Lipschitz Constraint (Su, 2018),
        https://arxiv.org/abs/1811.07296
    """

    scale: float = 10.0
    distance: Literal["l1", "l2", "squared"] = "l1"
    least: float = 1e-3
    apart: ClassVar[Tensor | None] = None

    def __post_init__(self) -> None:
        if self.distance not in DISTANCES:
            raise UserError(f"loss.distance={self.distance} is unknown: choose one of {', '.join(DISTANCES)}.")
        for name, value in (("scale", self.scale), ("least", self.least)):
            if not value > 0:
                raise UserError(f"loss.{name}={value} is out of range: give a positive number.")

    @property
    def bound(self) -> Bound:
        """-L_D, in units of the distance."""
        return Bound("quadratic_potential")

    def between(self, real: Tensor, fake: Tensor) -> "QuadraticPotential":
        """Returns the loss with the distances of the batch's pairs."""
        return self.with_distances(self.distances(real, fake))

    def distances(self, real: Tensor, fake: Tensor) -> Tensor:
        """The distance of each pair, (B, ...) and (B, ...) -> (B,), without a graph."""
        return DISTANCES[self.distance](precise(real.detach() - fake.detach()).flatten(1))

    def with_distances(self, distances: Tensor) -> Self:
        """Returns the loss for pairs so far apart, (B,)."""
        measured = replace(self)
        object.__setattr__(measured, "apart", distances.clamp_min(self.least))
        return measured

    def critic(self, real: Tensor, fake: Tensor) -> Tensor:
        """Returns E[-(r - f) + (r - f)²/(2 λ d)].

        Raises:
            ValueError: the loss has not seen the data of these scores.
        """
        if self.apart is None:
            raise ValueError("GAN-QP's critic weighs scores by distances: call between(data, samples) first")
        difference = real - fake
        return expectation(difference.square() / (2 * self.scale * self.apart) - difference)

    def generator(self, fake: Tensor, real: Tensor | None = None) -> Tensor:
        """Returns -E f."""
        return -expectation(fake)
