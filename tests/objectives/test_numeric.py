"""Inverses and integrals against their closed forms, and their derivatives against finite differences."""

import pytest
import torch

from genexp.objectives.numeric import KNOTS, Integral, MonotoneInverse, knots, with_slope

T = torch.tensor([0.013, 0.4, 1.0, 2.7, 900.0], dtype=torch.float64)


def test_the_table_has_zero_in_it():
    assert knots()[KNOTS // 2] == 0


@pytest.mark.parametrize("at_knots", [False, True])
def test_inverse_of_the_exponential(at_knots):
    t = knots()[2000:6000:7].exp() if at_knots else T
    torch.testing.assert_close(MonotoneInverse(torch.exp, torch.exp)(t), t.log(), rtol=0, atol=1e-13)


def test_inverse_has_exact_derivatives_of_every_order():
    inverse = MonotoneInverse(lambda v: v + v.exp(), lambda v: 1 + v.exp())
    t = T.clone().requires_grad_()
    v = inverse(t)
    torch.testing.assert_close(v + v.exp(), t)
    (first,) = torch.autograd.grad(v.sum(), t, create_graph=True)
    (second,) = torch.autograd.grad(first.sum(), t, create_graph=True)
    (third,) = torch.autograd.grad(second.sum(), t)
    e = v.exp()
    torch.testing.assert_close(first, 1 / (1 + e))
    torch.testing.assert_close(second, -e / (1 + e) ** 3)
    torch.testing.assert_close(third, (2 * e**2 - e) / (1 + e) ** 5)


def test_inverse_across_a_jump_and_beyond_the_range():
    """For h = tanh(v) below 1 and tanh(v) + 1 above it: flat at 1 for the values between."""
    inverse = MonotoneInverse(lambda v: v.tanh() + (v > 1).to(v.dtype), lambda v: 1 - v.tanh() ** 2, steps=48)
    t = torch.tensor([0.3, 1.0, 1.5, 1.9, -7.0], dtype=torch.float64, requires_grad=True)
    v = inverse(t)
    expected = [0.3, 0.0, 0.0, 0.9]
    assert v[0].item() == pytest.approx(torch.tensor(0.3, dtype=torch.float64).atanh().item(), abs=1e-12)
    assert v[1:3].tolist() == pytest.approx([1.0, 1.0], abs=1e-12)
    assert v[3].item() == pytest.approx(torch.tensor(expected[3], dtype=torch.float64).atanh().item(), abs=1e-12)
    assert v[4].item() < -18  # where tanh is -1 in float64
    (slope,) = torch.autograd.grad(v[:4].sum(), t)
    assert slope[1:3].tolist() == [0, 0]
    assert slope[0].item() == pytest.approx(1 / (1 - 0.09))


def test_inverse_in_single_precision_is_exact_to_its_last_digit():
    found = MonotoneInverse(torch.exp, torch.exp)(T.float())
    assert found.dtype == torch.float32
    torch.testing.assert_close(found.double(), T.float().double().log(), rtol=1e-7, atol=1e-9)


@pytest.mark.parametrize(
    ("integrand", "integral"),
    [
        (torch.exp, torch.expm1),
        (torch.cos, torch.sin),
        (lambda v: torch.exp(-2 * v), lambda v: -torch.expm1(-2 * v) / 2),
    ],
)
def test_integrals_and_their_derivatives(integrand, integral):
    x = torch.linspace(-6, 6, 37, dtype=torch.float64).requires_grad_()
    value = Integral(integrand)(x)
    torch.testing.assert_close(value, integral(x), rtol=1e-9, atol=1e-9)
    (first,) = torch.autograd.grad(value.sum(), x, create_graph=True)
    assert torch.equal(first, integrand(x))  # the integrand itself
    (second,) = torch.autograd.grad(first.sum(), x)
    expected = torch.autograd.functional.jacobian(lambda y: integrand(y).sum(), x.detach())
    torch.testing.assert_close(second, expected)


def test_a_value_with_a_slope_of_its_own():
    x = torch.tensor([1.0, 2.0], requires_grad=True)
    y = with_slope(x, x**2, torch.tensor([5.0, 6.0]))
    (first,) = torch.autograd.grad(y.sum(), x, create_graph=True)
    (second,) = torch.autograd.grad(first.sum(), x)
    assert (y.tolist(), first.tolist(), second.tolist()) == ([5.0, 6.0], [1.0, 4.0], [2.0, 4.0])
