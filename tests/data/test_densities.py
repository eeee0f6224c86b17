"""Every density against grid integrals, its own samples, and other people's formulas."""

import math
from itertools import pairwise

import numpy as np
import pytest
import torch
from scipy import integrate, stats
from torch.distributions import Categorical, Independent, MixtureSameFamily, Normal

from genexp.data.densities import Checkerboard, GaussianMixture, Grid, Ring, SwissRoll, TwoMoons
from genexp.errors import UserError

SMOOTH = [  # noise that a grid of step 0.02 resolves
    GaussianMixture([[-1.0, 0.5], [1.0, 0.0], [0.0, -1.0]], 0.3, [1, 2, 5]),
    Ring(std=0.1),
    Grid(3, 1.5, 0.15),
    TwoMoons(0.1),
    SwissRoll(0.1),
    Checkerboard(),
]
DENSITIES = [*SMOOTH, Ring(), Grid(), TwoMoons(), SwissRoll(), Checkerboard(6, 3.0)]
WIDTH, CELLS = 4.0, 400


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def on_grid(density):
    """Midpoints' log-density (CELLS, CELLS) and the area of a cell."""
    ticks = (torch.arange(CELLS, dtype=torch.float64) + 0.5) * (2 * WIDTH / CELLS) - WIDTH
    points = torch.cartesian_prod(ticks, ticks)
    return density.log_prob(points).reshape(CELLS, CELLS), (2 * WIDTH / CELLS) ** 2


@pytest.mark.parametrize("density", SMOOTH, ids=repr)
def test_integrates_to_one(density):
    log_prob, area = on_grid(density)
    assert float(log_prob.exp().sum() * area) == pytest.approx(1.0, abs=1e-6)


@pytest.mark.parametrize("density", SMOOTH, ids=repr)
def test_samples_follow_the_density(density):
    n, blocks = 40_000, 20
    log_prob, area = on_grid(density)
    expected = log_prob.exp().reshape(blocks, CELLS // blocks, blocks, -1).sum((1, 3)).numpy().ravel() * area * n
    x, _ = density.sample(n, generator())
    observed = np.histogram2d(*x.double().numpy().T, bins=blocks, range=[[-WIDTH, WIDTH]] * 2)[0].ravel()
    assert observed[expected < 1e-9].sum() == 0
    common = expected > 5
    observed = np.append(observed[common], observed[~common].sum())
    expected = np.append(expected[common], expected[~common].sum() + 1e-9)
    if expected[-1] < 1:
        observed, expected = observed[:-1], expected[:-1]
    assert stats.chisquare(observed, expected * observed.sum() / expected.sum()).pvalue > 1e-3


@pytest.mark.parametrize("density", SMOOTH, ids=repr)
def test_mean_log_prob_of_samples_is_minus_the_entropy(density):
    log_prob, area = on_grid(density)
    entropy = -float(torch.special.xlogy(log_prob.exp(), log_prob.exp()).sum() * area)
    own = density.log_prob(density.sample(40_000, generator(1))[0]).double()
    assert float(own.mean()) == pytest.approx(-entropy, abs=4 * float(own.std()) / 200 + 1e-6)


@pytest.mark.parametrize("density", DENSITIES, ids=repr)
def test_samples_have_the_promised_form(density):
    x, y = density.sample(1000, generator(2))
    assert (x.shape, x.dtype, y.shape, y.dtype) == ((1000, 2), torch.float32, (1000,), torch.long)
    assert torch.isfinite(density.log_prob(x)).all()
    assert density.log_prob(x).dtype == torch.float32
    if density.modes is None:
        assert density.num_classes == 0
        assert not y.any()
    else:
        assert density.num_classes == len(density.modes)
        assert (x - density.modes[y]).norm(dim=1).max() < 6 * density.std
    assert torch.equal(x, density.sample(1000, generator(2))[0])


@pytest.mark.parametrize("density", DENSITIES, ids=repr)
def test_single_precision_is_enough(density):
    x = density.sample(2000, generator(3))[0]
    torch.testing.assert_close(density.log_prob(x).double(), density.log_prob(x.double()), rtol=0, atol=1e-3)


def test_mixture_agrees_with_torch_distributions():
    means = torch.randn(5, 3, dtype=torch.float64, generator=generator())
    weights = torch.tensor([1.0, 2.0, 3.0, 4.0, 5.0], dtype=torch.float64)
    density = GaussianMixture(means.tolist(), 0.7, weights.tolist())
    oracle = MixtureSameFamily(Categorical(weights), Independent(Normal(means, torch.full_like(means, 0.7)), 1))
    x = 3 * torch.randn(200, 3, dtype=torch.float64, generator=generator(1))
    torch.testing.assert_close(density.log_prob(x), oracle.log_prob(x), rtol=1e-12, atol=1e-12)


def test_mixture_draws_modes_by_their_weights():
    _, y = GaussianMixture([[0, 0], [1, 1], [2, 2]], 0.1, [1, 2, 5]).sample(80_000, generator())
    assert stats.chisquare(y.bincount(), [10_000, 20_000, 50_000]).pvalue > 1e-3


def test_ring_has_its_moments():
    """On K >= 3 equal spots of a circle the covariance is (radius^2 / 2 + std^2) I."""
    x, _ = Ring(radius=1.5, std=0.2).sample(100_000, generator())
    variance = 1.5**2 / 2 + 0.2**2
    torch.testing.assert_close(x.T.cov(), variance * torch.eye(2), rtol=0, atol=5 * variance * math.sqrt(2 / 100_000))
    torch.testing.assert_close(x.mean(0), torch.zeros(2), rtol=0, atol=5 * math.sqrt(variance / 100_000))


@pytest.mark.parametrize("density", [Ring(), Grid()], ids=repr)
def test_share_within_three_standard_deviations(density):
    n, share = 100_000, 1 - math.exp(-4.5)
    x, _ = density.sample(n, generator())
    nearest = torch.cdist(x.double(), density.modes.double()).min(dim=1).values
    high_quality = float((nearest < 3 * density.std).double().mean())
    assert high_quality == pytest.approx(share, abs=4 * math.sqrt(share * (1 - share) / n))


def test_modes_are_where_they_should_be():
    ring, grid = Ring(), Grid()
    torch.testing.assert_close(ring.modes.norm(dim=1), torch.ones(8))
    torch.testing.assert_close(
        (ring.modes - ring.modes.roll(1, 0)).norm(dim=1), torch.full((8,), 2 * math.sin(math.pi / 8))
    )
    expected = {(float(a), float(b)) for a in (-4, -2, 0, 2, 4) for b in (-4, -2, 0, 2, 4)}
    assert {tuple(mode) for mode in grid.modes.tolist()} == expected


@pytest.mark.parametrize("curve", [TwoMoons(), SwissRoll(), TwoMoons(0.01), SwissRoll(0.02)], ids=repr)
def test_quadrature_agrees_with_adaptive_integration(curve):
    """Near the curve, at its ends and up to ten standard deviations away."""
    on_curve = curve.curve(torch.tensor([0.0, 0.1, 0.37, 0.499999, 0.5, 0.8, 1.0], dtype=torch.float64))
    directions = torch.tensor([[0.0, 0.0], [0.6, 0.8], [-1.0, 0.0]], dtype=torch.float64)
    for far in (1, 5, 10):
        points = (on_curve[:, None] + far * curve.std * directions).reshape(-1, 2)
        for x, log_prob in zip(points, curve.log_prob(points), strict=True):
            assert float(log_prob) == pytest.approx(_adaptive(curve, x.numpy()), abs=1e-3)


def _adaptive(curve, x):
    """Log p(x) by scipy, in pieces that are short against the noise, scaled by the largest integrand."""
    t = torch.linspace(0, 1, 200_001, dtype=torch.float64)
    squares = (curve.curve(t).numpy() - x) ** 2
    largest = float((-squares.sum(1) / (2 * curve.std**2)).max())

    def integrand(s):
        centre = curve.curve(torch.tensor([s], dtype=torch.float64))[0].numpy()
        return math.exp(-((centre - x) ** 2).sum() / (2 * curve.std**2) - largest)

    heights = np.exp(-squares.sum(1) / (2 * curve.std**2) - largest)
    near = np.flatnonzero(heights > 1e-12)
    pieces = np.split(near, np.flatnonzero(np.diff(near) > 1) + 1)
    total = 0.0
    for piece in pieces:
        low, high = max(piece[0] - 1, 0) / 200_000, min(piece[-1] + 1, 200_000) / 200_000
        cuts = [low, *([0.5] if low < 0.5 < high else []), high]
        total += sum(integrate.quad(integrand, a, b, limit=200, epsrel=1e-6)[0] for a, b in pairwise(cuts))
    return math.log(total) + largest - math.log(2 * math.pi * curve.std**2)


def test_checkerboard_is_zero_on_the_other_fields():
    board = Checkerboard()
    x = torch.tensor([[-1.5, -1.5], [-0.5, -1.5], [0.5, -1.5], [2.5, 0.5], [-0.5, -0.5]])
    assert board.log_prob(x).tolist() == pytest.approx([-math.log(8), -math.inf, -math.log(8), -math.inf, -math.log(8)])
    assert torch.isfinite(board.log_prob(board.sample(200_000, generator())[0])).all()


def test_gradients_reach_the_points():
    x = torch.tensor([[0.3, 0.2]], dtype=torch.float64, requires_grad=True)
    (gradient,) = torch.autograd.grad(GaussianMixture([[0, 0]], 0.5).log_prob(x).sum(), x)
    torch.testing.assert_close(gradient, -x.detach() / 0.25)


def test_repr_states_every_parameter():
    others = [Ring(7), Ring(radius=2), Ring(std=0.02), Grid(4), Grid(spacing=1), Grid(std=0.1), TwoMoons(0.06)]
    others += [SwissRoll(0.06), SwissRoll(radius=1), Checkerboard(5), Checkerboard(half_width=1)]
    others += [GaussianMixture([[0, 0]], 1), GaussianMixture([[0, 1]], 1), GaussianMixture([[0, 0]], 2)]
    others += [GaussianMixture([[0, 0], [1, 1]], 1, [1, 2]), GaussianMixture([[0, 0], [1, 1]], 1)]
    names = [repr(density) for density in (*DENSITIES, *others)]
    assert len(set(names)) == len(names)
    assert repr(Ring(radius=1)) == repr(Ring(radius=1.0))


@pytest.mark.parametrize(
    "make",
    [
        lambda: Ring(modes=0),
        lambda: Ring(std=0),
        lambda: Grid(side=-1),
        lambda: TwoMoons(0),
        lambda: SwissRoll(radius=math.nan),
        lambda: Checkerboard(squares=0),
        lambda: GaussianMixture([], 1),
        lambda: GaussianMixture([[0, 1], [2]], 1),
        lambda: GaussianMixture([[0, 1]], 1, [1, 2]),
        lambda: GaussianMixture([[0, 1]], 1, [-1]),
    ],
)
def test_impossible_parameters_are_refused(make):
    with pytest.raises(UserError, match=r"^dataset\.density\."):
        make()
