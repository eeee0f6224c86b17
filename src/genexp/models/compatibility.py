"""Which losses, penalties, constraints and plans go together: the others are refused with the reason."""

from collections.abc import Callable, Mapping

import torch
from torch import nn

from genexp.errors import UserError
from genexp.networks.normalisation import batch_coupled, uncoupled
from genexp.objectives.adversarial import AdversarialLoss
from genexp.objectives.constraints import Constraint
from genexp.objectives.heads import Head
from genexp.objectives.penalties import CriticPenalty, Penalty
from genexp.training.optimizers import OptimizerFactory
from genexp.training.plans import Plan


def check_parts(
    loss: AdversarialLoss,
    penalties: Mapping[str, Penalty],
    constraint: Constraint,
    critic: nn.Module,
) -> None:
    """Check what a GAN is made of.

    Raises:
        UserError: a penalty needs per-sample gradients that the critic does not have; two bounds on the
            critic contradict each other; or nothing bounds it and the loss needs that.
    """
    of_critic = {name: p for name, p in penalties.items() if isinstance(p, CriticPenalty)}
    for name, penalty in of_critic.items():
        if penalty.per_sample and batch_coupled(critic):
            raise UserError(f"penalty={name} needs each sample's own gradient, which {uncoupled(critic)}.")
        if penalty.slope is not None and constraint.fixes_slope:
            raise UserError(
                f"penalty={name} asks for slopes of {penalty.slope:g}, which the constraint "
                f"{type(constraint).__name__} does not let the critic choose: drop one of the two."
            )
    bounded = constraint.bounds_critic or any(p.bounds_critic and p.weight > 0 for p in of_critic.values())
    if loss.needs_constraint and not bounded:
        raise UserError(
            f"loss={type(loss).__name__} is unbounded unless the critic is constrained: "
            "add a penalty or a constraint that bounds it, such as constraint=clip or penalty=gp."
        )


def check_head(head: Head, constraint: Constraint) -> None:
    """Check that what reads the slope of the critic finds one score.

    Raises:
        UserError: the constraint divides a score by its slope, and there are several scores.
    """
    if constraint.reads_slope and head.scores > 1:
        raise UserError(
            f"constraint=gradient divides a critic's score by its slope, and the head gives {head.scores} scores: "
            "use constraint=spectral, or head=linear."
        )


def check_plan(
    plan: Plan, optimizer: OptimizerFactory, loss: AdversarialLoss, penalties: Mapping[str, Penalty]
) -> None:
    """Check that a plan does what its settings and the losses say.

    Raises:
        UserError: the plan needs a zero-sum loss or plain gradient descent, or a penalty another plan.
    """
    name = type(plan).__name__
    of_generator = [key for key, p in penalties.items() if not isinstance(p, CriticPenalty)]
    if of_generator and not getattr(plan, "repeats_latents", False):
        raise UserError(
            f"penalty={of_generator[0]} holds samples against those of the same latents before an update, and this "
            "plan updates the generator once on each: set plan.generator=2 plan.same_latents=true."
        )
    if getattr(plan, "zero_sum", False) and not is_zero_sum(loss):
        raise UserError(
            f"plan={name} turns the critic's gradient round for the generator, but the generator of "
            f"loss={type(loss).__name__} does not minimise what the critic maximises: use plan=single_loss."
        )
    ratio = getattr(plan, "ratio", 1.0)
    if ratio != 1 and optimizer.ignores_scale:
        raise UserError(
            f"plan.ratio={ratio} has no effect under {optimizer.algorithm.__name__}, which divides a gradient's scale "
            "out: set plan.ratio=1 and give optimizer.critic_lr."
        )


def is_zero_sum(loss: AdversarialLoss) -> bool:
    """Whether the generator's gradient with respect to its samples' scores is the critic's, turned round.

    Example:
        >>> from genexp.objectives.adversarial import NonSaturating, Saturating
        >>> is_zero_sum(Saturating()), is_zero_sum(NonSaturating())
        (True, False)
    """
    scores = torch.linspace(-3.0, 3.0, 13, dtype=torch.float64)
    real = scores.flip(0) + 0.25

    def slope(of: Callable[[torch.Tensor], torch.Tensor]) -> torch.Tensor:
        fake = scores.clone().requires_grad_()
        return torch.autograd.grad(of(fake), fake)[0]

    played = loss.between(real[:, None], scores[:, None])
    one, other = slope(lambda fake: played.critic(real, fake)), slope(lambda fake: played.generator(fake, real))
    return bool(torch.allclose(one, -other, rtol=1e-9, atol=1e-12))


def treats_alike(loss: AdversarialLoss) -> bool:
    """Whether a critic's loss is the same when data and samples change places and all scores change signs.

    Example:
        >>> from genexp.objectives.adversarial import LeastSquares, NonSaturating
        >>> treats_alike(NonSaturating()), treats_alike(LeastSquares(a=0, b=1)), treats_alike(LeastSquares(-1, 1))
        (True, False, True)
    """
    real, fake = torch.linspace(-3.0, 2.0, 13, dtype=torch.float64), torch.linspace(-1.0, 3.5, 13, dtype=torch.float64)
    played = loss.between(real[:, None], fake[:, None])
    return bool(torch.isclose(played.critic(real, fake), played.critic(-fake, -real), rtol=1e-9))
