"""Likelihood-ratio GANs: the critic's optimum, the divergence that follows, and the rule for the generator's loss."""

import pytest
import torch
from tests.objectives.discrete import LOG_RATIO, P_COUNTS, P, Q, best_critic, estimate
from tests.objectives.losses import RATIOS, name_of

from genexp.errors import UserError
from genexp.objectives.adversarial import Hinge, LeastSquares, LikelihoodRatio, NonSaturating, Saturating
from genexp.objectives.divergences import TABLE
from genexp.objectives.ratio_pairs import PAIRS

SCORES = 3 * torch.randn(2, 64, dtype=torch.float64)


@pytest.mark.parametrize("loss", RATIOS, ids=name_of)
def test_the_trained_critic_reports_the_true_divergence(loss):
    scores = best_critic(loss)
    kinks = loss.formulas.rho is None
    if loss.known is not None:
        truth = TABLE[loss.known[0]].between(P, Q).item()
        assert estimate(loss, scores) == pytest.approx(truth, abs=1e-2 if kinks else 1e-6)
    else:  # E_p d(r), d' = psi(omega), integrated on a fine grid
        r = torch.linspace(0.2, 4.5, 400_001, dtype=torch.float64)
        slope = loss.statistic.psi(loss.statistic.omega(r.log()))
        d = torch.cumulative_trapezoid(slope, r)
        *at, at_one = (d[(r[1:] - ratio).abs().argmin()] for ratio in (*(Q / P), 1.0))
        assert estimate(loss, scores) == pytest.approx(float((P * torch.stack(at)).sum() - at_one), abs=1e-4)
    if not kinks:
        torch.testing.assert_close(loss._output(scores), loss.statistic.omega(-LOG_RATIO), rtol=1e-4, atol=1e-4)
        same = best_critic(loss, P_COUNTS, P_COUNTS)
        assert estimate(loss, same, P_COUNTS, P_COUNTS) == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize("name", [name for name, pair in PAIRS.items() if pair.rho is not None])
@pytest.mark.parametrize("activation", ["log_ratio", "domain"])
def test_a_pair_of_the_table_equals_the_same_one_given_by_formulas(name, activation):
    """Closed integrals against numeric ones; where the table needs no activation, a formula's pair takes a sigmoid."""
    pair = PAIRS[name]
    if activation == "domain" and name == "share_le_cam":
        pytest.skip("the table's goes on outside of the range of omega")
    losses = [LikelihoodRatio(name, activation=activation), LikelihoodRatio("", pair.omega, pair.rho, None, activation)]
    gradients = []
    for loss in losses:
        scores = SCORES.clone().requires_grad_()
        (gradient,) = torch.autograd.grad(loss.critic(*scores) + 2 * loss.generator(scores[1]), scores)
        gradients.append(gradient)
    torch.testing.assert_close(*gradients, rtol=1e-10, atol=1e-12)
    values = [loss.bound(loss.critic(*SCORES)).item() for loss in losses]
    assert values[0] == pytest.approx(values[1], rel=1e-7, abs=1e-8)
    assert losses[0].known == losses[1].known


@pytest.mark.parametrize("name", PAIRS)
def test_names_say_which_divergence_follows(name):
    loss = LikelihoodRatio(name)
    divergence, factor = loss.known
    assert name.endswith(divergence)
    assert f"{factor:g} x {divergence}" in loss.summary


@pytest.mark.parametrize("name", PAIRS)
def test_the_value_at_the_best_critic_is_an_f_divergence(name):
    """d(r) = phi(omega(r)) + r psi(omega(r)) is the divergence's own function of r, up to its factor."""
    statistic = LikelihoodRatio(name).statistic
    known, factor = LikelihoodRatio(name).known
    t = statistic.omega(-LOG_RATIO)
    value = (P * statistic.phi(t)).sum() + (Q * statistic.psi(t)).sum() - statistic.at_one
    assert value.item() == pytest.approx(factor * TABLE[known].between(P, Q).item(), abs=1e-9)


def test_pairs_that_are_other_losses():
    real, fake = SCORES
    for loss, other in (
        (LikelihoodRatio("log_js"), Saturating()),
        (LikelihoodRatio("share_js"), Saturating()),
        (LikelihoodRatio("log_js", beta="log(1 + exp(t))"), NonSaturating()),
    ):
        torch.testing.assert_close(loss.critic(real, fake), other.critic(real, fake), rtol=1e-12, atol=0)
        torch.testing.assert_close(loss.generator(fake), other.generator(fake), rtol=1e-12, atol=0)
    hinge = LikelihoodRatio("sign_total_variation", beta="t")
    torch.testing.assert_close(hinge.critic(real, fake), Hinge().critic(real, fake))
    torch.testing.assert_close(hinge.generator(fake), Hinge().generator(fake))
    least_squares = LikelihoodRatio("share_le_cam")  # labels 1/2 on data, -1/2 on samples, and no half before squares
    torch.testing.assert_close(least_squares.critic(real, fake), 2 * LeastSquares(-0.5, 0.5, 0.5).critic(real, fake))


def test_the_generator_s_gradient_is_that_of_the_divergence_it_follows():
    """F4: with the critic held at its best, d/dq E_q beta(T) = beta(omega(q/p)), the slope of the divergence."""
    loss = LikelihoodRatio("log_js", beta="t")
    assert loss.followed == ("reverse_kl", 1.0)
    q = Q.clone().requires_grad_()
    best = (P / Q).log()
    cost = (q * torch.stack([loss.generator(score[None]) for score in best])).sum()
    (at_fixed_critic,) = torch.autograd.grad(cost, q)
    (of_divergence,) = torch.autograd.grad((q * (q / P).log()).sum(), q)  # KL(q‖p)
    torch.testing.assert_close(at_fixed_critic - at_fixed_critic.mean(), of_divergence - of_divergence.mean())


def test_a_generator_s_loss_that_is_not_monotone_is_refused_with_the_reason():
    """Least squares with labels -1, 1, 0: beta = (t - 1/2)² in the coding of the table."""
    with pytest.raises(UserError, match=r"falls between q/p = 0\.00\d* and 0\.9.*pushes samples away"):
        LikelihoodRatio("share_le_cam", beta="(t - 1/2)**2")
    LikelihoodRatio("share_le_cam", beta="t**2")
    with pytest.raises(UserError, match="does not grow"):
        LikelihoodRatio("log_js", beta="3")
    with pytest.raises(UserError, match="no real number"):
        LikelihoodRatio("log_js", beta="log(t)")


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"omega": "log(r)"}, "loss.rho is missing"),
        ({"rho": "1"}, "loss.omega is missing"),
        ({"pair": "log"}, "loss.pair=log is unknown"),
        ({"activation": "none"}, "loss.activation=none is unknown"),
        ({"omega": "1/r", "rho": "1"}, "loss.omega=1/r does not grow"),
        ({"omega": "log(r)", "rho": "t"}, "loss.rho=t is not positive at t = -8"),
        ({"omega": "log(t)", "rho": "t"}, "loss.omega=.* has the name t in it"),
        ({"pair": "sign_total_variation", "activation": "log_ratio"}, "choose loss.activation=domain"),
    ],
)
def test_what_cannot_work_is_refused(arguments, sentence):
    with pytest.raises(UserError, match=sentence):
        LikelihoodRatio(**arguments)
