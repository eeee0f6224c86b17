"""The standard losses against their closed forms on four points."""

import math

import pytest
import torch
import torch.nn.functional as F
from tests.objectives.discrete import (
    LOG_RATIO,
    P_COUNTS,
    P,
    Q,
    best_critic,
    critic_loss,
    estimate,
    generator_loss,
)

from genexp.errors import UserError
from genexp.objectives.adversarial import Hinge, LeastSquares, NonSaturating, Saturating


@pytest.mark.parametrize("loss", [NonSaturating(), Saturating()])
def test_gan_optimum_is_the_log_ratio(loss):
    scores = best_critic(loss)
    torch.testing.assert_close(scores.sigmoid(), P / (P + Q), rtol=0, atol=1e-6)
    assert critic_loss(loss, scores).item() == pytest.approx(1.2531915310, abs=1e-6)


def test_gan_values_at_the_optimum():
    assert critic_loss(NonSaturating(), LOG_RATIO).item() == pytest.approx(1.2531915310, abs=1e-9)
    assert generator_loss(NonSaturating(), LOG_RATIO).item() == pytest.approx(0.9572325806, abs=1e-9)
    m = (P + Q) / 2
    js = 0.5 * ((P * (P / m).log()).sum() + (Q * (Q / m).log()).sum()).item()
    assert js == pytest.approx(0.0665514, abs=1e-7)
    assert estimate(Saturating(), LOG_RATIO) == pytest.approx(js, abs=1e-12)
    # zero-sum: the generator's part of 2 JS - log 4 is what depends on it
    real_part = (P * F.softplus(-LOG_RATIO)).sum().item()
    saturating = generator_loss(Saturating(), LOG_RATIO).item() - real_part
    assert saturating == pytest.approx(2 * js - math.log(4), abs=1e-12)


def test_gan_without_a_difference_is_log_4():
    scores = best_critic(NonSaturating(), P_COUNTS, P_COUNTS)
    assert critic_loss(NonSaturating(), scores, P_COUNTS, P_COUNTS).item() == pytest.approx(math.log(4), abs=1e-12)


def test_hinge_optimum_is_the_sign():
    # piecewise linear and convex, with its kinks on this grid: the best of all its points is the minimum
    tables = torch.cartesian_prod(*[torch.tensor([-2.0, -1.0, 0.0, 1.0, 2.0], dtype=torch.float64)] * 4)
    values = torch.stack([critic_loss(Hinge(), scores) for scores in tables])
    sign = (P - Q).sign()
    assert values.min().item() == pytest.approx(1.4, abs=1e-12)  # 2 (1 - TV), TV = 0.3
    assert torch.equal(tables[values.argmin()], sign)
    assert estimate(Hinge(), sign) == pytest.approx(0.3, abs=1e-12)
    assert generator_loss(Hinge(), sign).item() == pytest.approx(-0.2, abs=1e-12)
    assert critic_loss(Hinge(), sign, P_COUNTS, P_COUNTS).item() == pytest.approx(2.0, abs=1e-12)
    assert critic_loss(Hinge(), torch.zeros(4)).item() == 2.0
    assert generator_loss(Hinge(), torch.zeros(4)).item() == 0.0


def test_least_squares_optimum():
    loss = LeastSquares(a=-1, b=1, c=0)
    scores = best_critic(loss)
    torch.testing.assert_close(scores, (P - Q) / (P + Q), rtol=0, atol=1e-6)
    assert critic_loss(loss, scores).item() == pytest.approx(0.8737529138, abs=1e-9)
    assert estimate(loss, scores) == pytest.approx(0.1262470863, abs=1e-9)
    both = 0.5 * (P * scores**2).sum() + generator_loss(loss, scores)
    assert both.item() == pytest.approx(0.1262470863, abs=1e-9)
    torch.testing.assert_close(best_critic(LeastSquares()), P / (P + Q), rtol=0, atol=1e-6)


@pytest.mark.parametrize(("a", "b", "c"), [(0.0, 1.0, 1.0), (-1.0, 1.0, 1.0), (0.2, 5.0, 7.0), (-3.0, 0.5, 0.5)])
def test_any_coding_measures_le_cam(a, b, c):
    loss = LeastSquares(a, b, c)
    torch.testing.assert_close(best_critic(loss), (b * P + a * Q) / (P + Q), rtol=0, atol=1e-6)
    assert estimate(loss, best_critic(loss)) == pytest.approx(0.1262470863, abs=1e-9)


def slopes_at_a_fixed_critic(loss, ratio):
    """What one more sample costs the generator where q/p is `ratio`, at the best critic."""
    best = (loss.b + loss.a * ratio) / (1 + ratio)
    return torch.stack([loss.generator(score[None]) for score in best])


def test_the_warning_of_a_coding_is_about_a_real_reversal():
    ratio = torch.linspace(0.05, 0.95, 19)  # fewer samples than data
    reversed_coding = LeastSquares(-1, 1, 0)
    assert "pushed away from where there are too few" in reversed_coding.summary and LeastSquares().summary is None
    assert (slopes_at_a_fixed_critic(reversed_coding, ratio).diff() < 0).all()  # the fewer, the dearer
    assert (slopes_at_a_fixed_critic(LeastSquares(), ratio).diff() > 0).all()


@pytest.mark.parametrize(("labels", "sentence"), [((1, 0, 0), "b=0 must be above"), ((0, 1, 0), "no label to wish")])
def test_codings_that_are_not_real_high_are_refused(labels, sentence):
    with pytest.raises(UserError, match=sentence):
        LeastSquares(*labels)
