"""A convex function of the user's: what is found, and what is refused."""

import pytest
import torch
from tests.objectives.discrete import P, Q

from genexp.errors import UserError
from genexp.objectives.divergences import TABLE, divergence_of, with_closed_conjugate

V = torch.linspace(-3, 3, 25, dtype=torch.float64)


@pytest.mark.parametrize("name", [name for name in TABLE if name != "gan"])
def test_the_formulas_of_the_table_come_out_as_in_the_table(name):
    row, own = TABLE[name], divergence_of(TABLE[name].formula)
    assert own.smooth == row.smooth
    assert own.between(P, Q).item() == pytest.approx(row.between(P, Q).item(), abs=1e-12)
    off_kink = V[V.abs() > 1e-9]
    for part in ("log_ratio_real", "log_ratio_fake"):
        torch.testing.assert_close(getattr(own, part)(off_kink), getattr(row, part)(off_kink), rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize(
    "name", ["kl", "reverse_kl", "pearson", "neyman", "squared_hellinger", "js", "js_doubled", "le_cam"]
)
def test_closed_conjugates_are_found(name):
    row, own = TABLE[name], with_closed_conjugate(divergence_of(TABLE[name].formula))
    assert own.closed_conjugate is not None
    t = row.log_ratio_real(V)
    torch.testing.assert_close(own.conjugate(t), row.conjugate(t), rtol=1e-9, atol=1e-12)
    torch.testing.assert_close(own.numeric_conjugate(t), row.conjugate(t), rtol=1e-9, atol=1e-9)
    below = row.log_ratio_real(torch.tensor([-40.0], dtype=torch.float64)) - 1.0
    torch.testing.assert_close(own.conjugate(below), row.conjugate(below), rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize(
    "formula", ["u*log(u) - 2*log((1 + u)/2)", "(u - 1)*log(u)", "abs(u - 1)/2", "max(u, 1/u) - 1"]
)
def test_where_there_is_no_closed_conjugate_it_is_numeric(formula):
    own = with_closed_conjugate(divergence_of(formula))
    assert own.closed_conjugate is None
    u = torch.linspace(-12, 12, 400_001, dtype=torch.float64).exp()
    low, high = (float(own.log_ratio_real(torch.tensor([v], dtype=torch.float64))) for v in (-1.5, 1.5))
    for t in torch.linspace(low, high, 7, dtype=torch.float64)[1:-1]:
        value = t.clone().requires_grad_()
        conjugate = own.conjugate(value[None])
        best = (u * t - own.f(u)).argmax()
        assert conjugate.item() == pytest.approx((u * t - own.f(u))[best].item(), abs=1e-6)
        (slope,) = torch.autograd.grad(conjugate.sum(), value)
        assert slope.item() == pytest.approx(u[best].item(), rel=1e-3)  # the envelope theorem


@pytest.mark.parametrize(
    ("formula", "sentence"),
    [
        ("sqrt(u) - 1", r"is not convex near u ="),
        ("u*log(u) + sign(u - 2)/2 + 1/2", r"is not convex near u = 2"),
        ("(u - 1)**3", r"is not convex near u ="),
        ("u*log(u) + 1", r"is 1 at u = 1, where it must be 0: subtract 1\."),
        ("u*log(u) - (u + 1)*log(u + 1)", r"subtract -2\*log\(2\)\."),
        ("log(u - 2)", r"is no real number at u = "),
        ("exp(exp(u)) - exp(e)", r"is no real number at u = "),
        ("u - 1", r"is straight around u = 1"),
        ("max(u - 2, 0)", r"is straight around u = 1"),
        ("u*log(u)*v", r"has the name v in it"),
    ],
)
def test_what_is_no_divergence_is_refused(formula, sentence):
    with pytest.raises(UserError, match=sentence):
        divergence_of(formula)


def test_subtracting_what_the_sentence_says_is_enough():
    with pytest.raises(UserError, match=r"subtract -2\*log\(2\)"):
        divergence_of("u*log(u) - (u + 1)*log(u + 1)")
    shifted = divergence_of("u*log(u) - (u + 1)*log(u + 1) - (-2*log(2))")
    assert shifted.between(P, Q).item() == pytest.approx(2 * TABLE["js"].between(P, Q).item())
