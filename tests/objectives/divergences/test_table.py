"""Every row of the table: its closed forms belong together, and give the known values."""

import math

import pytest
import torch
from scipy.special import lambertw
from tests.objectives.discrete import P, Q

from genexp.objectives.divergences import TABLE, divergence_of, recognise
from genexp.objectives.divergences.base import ends, onto
from genexp.objectives.expressions import Compiled, read, variable

ON_FOUR_POINTS = {
    "kl": 0.242697919,
    "reverse_kl": 0.322121730,
    "pearson": 0.425,
    "neyman": 1.014583333,
    "squared_hellinger": 0.136979198,
    "jeffreys": 0.564819649,
    "js": 0.066551415,
    "js_doubled": 0.133102830,
    "gan": -1.253191531,
    "le_cam": 0.1262470863,
    "total_variation": 0.3,
}
OF_GAUSSIANS = {  # N(0, 1) from N(1, 1)
    "kl": 0.5,
    "reverse_kl": 0.5,
    "pearson": math.e - 1,
    "neyman": math.e - 1,
    "squared_hellinger": 2 * (1 - math.exp(-1 / 8)),
    "jeffreys": 1.0,
    "js": 0.111421,
    "total_variation": 0.382925,
}
V = torch.linspace(-4, 4, 33, dtype=torch.float64)
ROWS = pytest.mark.parametrize("row", TABLE.values(), ids=TABLE)


@ROWS
def test_value_on_four_points(row):
    assert row.between(P, Q).item() == pytest.approx(ON_FOUR_POINTS[row.name], abs=1e-9)
    assert row.between(P, P).item() == pytest.approx(row.at_one, abs=1e-12)


@pytest.mark.parametrize("name", OF_GAUSSIANS)
def test_the_dual_at_the_best_critic_of_two_gaussians(name):
    """Where log p/q = 1/2 - x; the integral over a fine grid."""
    row, x = TABLE[name], torch.linspace(-12, 13, 500_001, dtype=torch.float64)
    p, q = ((-((x - mean) ** 2) / 2).exp() / math.sqrt(2 * math.pi) for mean in (0.0, 1.0))
    score = 0.5 - x
    if not row.smooth:  # its critic is a sign
        score = score.sign() * 40
    real, fake = (row.log_ratio_real, row.log_ratio_fake) if row.smooth else (row.activation, row.on_domain)
    value = torch.trapezoid(p * real(score) - q * fake(score), x)
    assert value.item() == pytest.approx(OF_GAUSSIANS[name], abs=2e-6)


@ROWS
def test_f_is_its_formula_and_its_slopes_are_its_derivatives(row):
    u = V.exp().requires_grad_()
    f = row.f(u)
    (slope,) = torch.autograd.grad(f.sum(), u, create_graph=True)
    off_kink = (u - 1).abs() > 1e-9
    torch.testing.assert_close(row.log_ratio_real(V)[off_kink], slope.detach()[off_kink])
    torch.testing.assert_close(row.log_ratio_fake(V)[off_kink], (u * slope - f).detach()[off_kink])
    assert f[(u - 1).abs() < 1e-9].item() == pytest.approx(row.at_one, abs=1e-12)
    v = V.clone().requires_grad_()
    if row.smooth:
        (curvature,) = torch.autograd.grad(row.log_ratio_real(v).sum(), v)
        torch.testing.assert_close(row.curvature(V), curvature)
    if row.at_one == 0:
        torch.testing.assert_close(divergence_of(row.formula).f(V.exp()), f.detach())


@ROWS
def test_the_other_formulas_are_the_functions(row):
    assert (row.conjugate_formula is None) == (row.closed_conjugate is None)
    v, t = variable("v", positive=False), variable("t", positive=False)
    torch.testing.assert_close(Compiled(read(row.activation_formula, v, "v"), v)(V), row.activation(V))
    if row.conjugate_formula is not None:
        outputs = row.activation(V)
        torch.testing.assert_close(Compiled(read(row.conjugate_formula, t, "t"), t)(outputs), row.conjugate(outputs))


@ROWS
def test_conjugate_identity(row):
    """f*(f'(u)) = u f'(u) - f(u), by the closed form and by the numeric one."""
    if not row.smooth:
        pytest.skip("f' takes two values alone")
    t = row.log_ratio_real(V)
    torch.testing.assert_close(row.conjugate(t), row.log_ratio_fake(V), rtol=1e-9, atol=1e-9)
    torch.testing.assert_close(row.numeric_conjugate(t), row.log_ratio_fake(V), rtol=1e-9, atol=1e-9)


@ROWS
def test_conjugate_is_the_supremum(row):
    """Fenchel: f*(t) >= u t - f(u) for all u, with equality somewhere on a fine grid."""
    u = torch.linspace(-30, 30, 200_001, dtype=torch.float64).exp()
    for t in row.activation(torch.tensor([-1.5, -0.3, 0.0, 0.4, 1.2], dtype=torch.float64)):
        largest = (u * t - row.f(u)).max().item()
        assert row.conjugate(t[None]).item() == pytest.approx(largest, abs=1e-6)


@ROWS
def test_activation_grows_onto_the_domain(row):
    values = row.activation(V)
    assert (values.diff() > 0).all()
    _, high = ends(row.log_ratio_real)
    assert (values < high).all()
    if math.isfinite(high):
        assert row.activation(torch.tensor([30.0], dtype=torch.float64)).item() == pytest.approx(high, abs=1e-9)


def test_numeric_conjugate_has_exact_derivatives():
    row = TABLE["jeffreys"]
    assert row.closed_conjugate is None
    t = torch.tensor([-3.0, -0.2, 0.0, 1.5, 4.0], dtype=torch.float64, requires_grad=True)
    value = row.conjugate(t)
    w = torch.tensor(lambertw(torch.exp(1 - t).detach().numpy()).real)  # f*(t) = w + 1/w + t - 2
    torch.testing.assert_close(value, w + 1 / w + t - 2)
    (first,) = torch.autograd.grad(value.sum(), t, create_graph=True)
    torch.testing.assert_close(first, 1 / w)
    assert torch.autograd.gradgradcheck(row.conjugate, (t,))


@ROWS
def test_a_multiple_is_recognised_in_either_direction(row):
    name, factor = recognise(row.ratio_slope, TABLE)
    assert row.between(P, Q).item() - row.at_one == pytest.approx(factor * TABLE[name].between(P, Q).item(), abs=1e-9)
    assert recognise(lambda r: 3 * row.ratio_slope(r) + 7, TABLE) == (name, pytest.approx(3 * factor))
    assert recognise(lambda r: -row.ratio_slope(r), TABLE) is None


@pytest.mark.parametrize(
    ("low", "high", "at"),
    [
        (-math.inf, math.inf, 0.7),
        (-math.inf, 2.0, 2 - math.exp(-0.7)),
        (-1.0, 3.0, 1 + 2 * math.tanh(0.7)),
        (0.0, math.inf, 0.7),
    ],
)
def test_maps_onto_an_interval(low, high, at):
    assert onto(low, high)(torch.tensor(0.7, dtype=torch.float64)).item() == pytest.approx(at)


def test_ends_are_limits():
    assert ends(torch.tanh) == pytest.approx((-1.0, 1.0), abs=1e-12)
    assert ends(lambda v: v) == (-math.inf, math.inf)
    assert ends(lambda v: 1 - torch.exp(-v / 2)) == (-math.inf, pytest.approx(1.0, abs=1e-14))
