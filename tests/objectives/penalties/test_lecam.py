"""LeCam: its running means, its anchors, and the divergence that it makes of a Wasserstein loss."""

import pytest
import torch

from genexp.errors import UserError
from genexp.objectives.penalties import LeCam, Step

P = torch.tensor([0.1, 0.2, 0.3, 0.4], dtype=torch.float64)
Q = torch.tensor([0.4, 0.1, 0.25, 0.25], dtype=torch.float64)


def step(real, fake, mean=lambda value: value):
    return Step(mean=mean, scores=(torch.tensor(real), torch.tensor(fake)))


def test_running_means_have_no_bias_of_their_start():
    lecam = LeCam(decay=0.9)
    means = [1.0, 3.0, -2.0]
    for value in means:
        lecam.observe(step([value - 1, value + 1], [-value, -value]))
    shares = [0.9 ** (2 - i) for i in range(3)]
    expected = sum(s * m for s, m in zip(shares, means, strict=True)) / sum(shares)
    anchors = lecam.sums / lecam.mass
    assert anchors.tolist() == pytest.approx([expected, -expected], rel=1e-6)
    assert set(lecam.state_dict()) == {"sums", "mass"}


def test_each_side_is_held_near_the_others_mean():
    lecam = LeCam()
    lecam.observe(step([2.0], [-1.0]))
    now = step([3.0, -5.0], [0.0, 4.0])
    one_sided = ((3 + 1) ** 2 + 0 + (2 - 0) ** 2 + 0) / 2  # -5 lies below samples' -1, and 4 above data's 2
    assert lecam(None, None, None, now).item() == pytest.approx(one_sided)
    lecam.one_sided = False
    assert lecam(None, None, None, now).item() == pytest.approx(((3 + 1) ** 2 + 4**2 + 2**2 + 2**2) / 2)


def test_the_means_are_those_over_all_processes():
    lecam = LeCam()
    lecam.observe(step([2.0], [-1.0], mean=lambda value: value + 10))
    assert (lecam.sums / lecam.mass).tolist() == pytest.approx([12.0, 9.0])


def test_the_critic_of_a_wasserstein_loss_finds_the_triangular_divergence():
    """Anchors a and -a: D* = (1/2w - a) (p - q)/(p + q), the gain a multiple of sum (p - q)²/(p + q)."""
    weight, anchor = 0.3, 0.5
    lecam = LeCam(weight=weight, one_sided=False).double()
    lecam.observe(step([anchor], [-anchor]))
    scores = ((0.5 / weight - anchor) * (P - Q) / (P + Q)).requires_grad_()
    triangular = ((P - Q) ** 2 / (P + Q)).sum()

    def total(scores):
        """Sums over the four points, weighed by p and q; `mean` of four copies would weigh them alike."""
        real = scores.repeat_interleave((20 * P).round().long())
        fake = scores.repeat_interleave((20 * Q).round().long())
        penalty = lecam(None, None, None, Step(scores=(real, fake)))
        return fake.mean() - real.mean() + lecam.weight * penalty

    value = total(scores)
    (gradient,) = torch.autograd.grad(value, scores)
    assert gradient.abs().max() < 1e-12
    assert value.item() == pytest.approx(
        (2 * weight * anchor**2 - weight * (0.5 / weight - anchor) ** 2 * triangular).item()
    )


def test_it_works_in_float32_and_needs_scores():
    lecam = LeCam()
    half = Step(scores=(torch.randn(4).bfloat16(), torch.randn(4).bfloat16()))
    lecam.observe(half)
    assert lecam(None, None, None, half).dtype == torch.float32
    with pytest.raises(ValueError, match="scores"):
        lecam(None, None, None, Step())
    with pytest.raises(UserError, match="decay=1"):
        LeCam(decay=1.0)
