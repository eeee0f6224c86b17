"""What goes together trains; what does not is refused with the reason."""

import pytest
import torch
from tests.objectives.losses import LOSSES, name_of
from tests.small_gan import batch, make
from torch import nn
from torch.nn.utils import parametrizations

from genexp.errors import UserError
from genexp.models.compatibility import check_parts, is_zero_sum
from genexp.objectives.adversarial import FGAN, Hinge, LeastSquares, NonSaturating, Saturating, Wasserstein
from genexp.objectives.constraints import GradientNormalisation, NoConstraint, SpectralNormalisation, WeightClip
from genexp.objectives.penalties import (
    DRAGAN,
    R1,
    R2,
    Consistency,
    GradientPenalty,
    LeCam,
    TrustRegion,
    WassersteinDivergence,
)
from genexp.training.plans import Alternating, GradientReversal, Simultaneous, SingleLoss

COUPLED = nn.Sequential(nn.Linear(2, 4), nn.BatchNorm1d(4), nn.Linear(4, 1))
PLAIN = nn.Linear(2, 1)


@pytest.fixture(autouse=True)
def double():
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


@pytest.mark.parametrize("penalty", [GradientPenalty(), R1(), R2(), WassersteinDivergence(), DRAGAN()], ids=repr)
def test_per_sample_gradients_and_batch_norm(penalty):
    with pytest.raises(UserError, match="penalty=mine needs each sample's own gradient, which BatchNorm"):
        check_parts(NonSaturating(), {"mine": penalty}, NoConstraint(), COUPLED)
    check_parts(NonSaturating(), {"mine": penalty}, NoConstraint(), PLAIN)


@pytest.mark.parametrize("penalty", [Consistency(), LeCam()], ids=lambda penalty: type(penalty).__name__)
def test_penalties_on_scores_and_batch_norm(penalty):
    check_parts(NonSaturating(), {"mine": penalty}, NoConstraint(), COUPLED)


@pytest.mark.parametrize("constraint", [WeightClip(), GradientNormalisation()], ids=repr)
def test_two_bounds_on_one_slope(constraint):
    for penalty in (GradientPenalty(), DRAGAN()):
        with pytest.raises(UserError, match="penalty=mine asks for slopes of 1, which the constraint"):
            check_parts(NonSaturating(), {"mine": penalty}, constraint, PLAIN)
    for penalty in (R1(), GradientPenalty(target=0.0), GradientPenalty(one_sided=True)):
        check_parts(NonSaturating(), {"mine": penalty}, constraint, PLAIN)
    check_parts(NonSaturating(), {"mine": GradientPenalty()}, SpectralNormalisation(), PLAIN)


@pytest.mark.parametrize("penalty", [Consistency(), TrustRegion()], ids=lambda penalty: type(penalty).__name__)
def test_a_wasserstein_loss_needs_a_bound(penalty):
    with pytest.raises(UserError, match="unbounded unless the critic is constrained"):
        check_parts(Wasserstein(), {"mine": penalty}, NoConstraint(), PLAIN)
    for constraint in (WeightClip(), SpectralNormalisation(), GradientNormalisation()):
        check_parts(Wasserstein(), {"mine": penalty}, constraint, PLAIN)
    for bound in (R1(), WassersteinDivergence(), LeCam()):
        check_parts(Wasserstein(), {"mine": penalty, "bound": bound}, NoConstraint(), PLAIN)


def test_two_normalisations_of_one_critic():
    with pytest.raises(UserError, match="spectral norm of 1 already"):
        GradientNormalisation().prepare(parametrizations.spectral_norm(nn.Linear(2, 1)))


@pytest.mark.parametrize("plan", [SingleLoss, GradientReversal])
def test_a_ratio_needs_plain_gradient_descent(plan):
    with pytest.raises(UserError, match="plan.ratio=2.0 has no effect under Adam"):
        make(Saturating(), plan=plan(ratio=2.0), algorithm="torch.optim.Adam")
    make(Saturating(), plan=plan(ratio=2.0))
    make(Saturating(), plan=plan(), algorithm="torch.optim.Adam")


def test_who_plays_for_the_same_sum():
    zero_sum = [Saturating(), Wasserstein(), FGAN("kl", generator_loss="minimax")]
    others = [NonSaturating(), Hinge(), LeastSquares(), FGAN("kl")]
    assert all(map(is_zero_sum, zero_sum))
    assert not any(map(is_zero_sum, others))


@pytest.mark.parametrize("loss", LOSSES, ids=name_of)
def test_gradient_reversal_walks_the_path_of_simultaneous_updates_or_is_refused(loss):
    constraint = WeightClip(bound=1.0) if loss.needs_constraint else NoConstraint()
    if not is_zero_sum(loss):
        with pytest.raises(UserError, match="does not minimise what the critic maximises"):
            make(loss, plan=GradientReversal(), constraint=constraint)
        return
    models = [
        make(loss, {"r1": R1(), "lecam": LeCam()}, plan, constraint) for plan in (GradientReversal(), Simultaneous())
    ]
    for model in models:
        for _ in range(3):
            model.step(batch())
    for one, two in zip(models[0].parameters(), models[1].parameters(), strict=True):
        torch.testing.assert_close(one, two, rtol=0, atol=1e-12)


def test_a_trust_region_needs_a_plan_that_stays_on_its_latents():
    for plan in (Alternating(), Alternating(generator=2), Alternating(same_latents=True), Simultaneous()):
        with pytest.raises(UserError, match="set plan.generator=2 plan.same_latents=true"):
            make(penalties={"trust_region": TrustRegion()}, plan=plan)
    make(penalties={"trust_region": TrustRegion()}, plan=Alternating(generator=2, same_latents=True))
