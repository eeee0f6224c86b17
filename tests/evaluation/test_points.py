import math
from pathlib import Path

import numpy as np
import pytest
import torch
from hydra.utils import instantiate
from omegaconf import OmegaConf

from genexp.data.densities import Density, GaussianMixture, Ring
from genexp.data.points import Points
from genexp.errors import UserError
from genexp.evaluation.metrics.points import energy_distance
from genexp.evaluation.points import PointProtocol, _energy_of_rows
from genexp.evaluation.scores import fingerprint_difference

CONF = Path(__file__).parents[2] / "conf" / "evaluation" / "points.yaml"
STD = 0.05


class UnitSquare(Density):
    """Uniform: a density without modes, and none outside."""

    dim = 2

    def sample(self, n, generator):
        return torch.rand(n, 2, generator=generator), torch.zeros(n, dtype=torch.long)

    def log_prob(self, x):
        inside = ((x >= 0) & (x <= 1)).all(dim=1)
        return torch.where(inside, 0.0, -math.inf)

    def __repr__(self):
        return "UnitSquare()"


RING = Ring(std=STD)
SQUARE = UnitSquare()


def drawn(density, n, seed):
    return density.sample(n, torch.Generator().manual_seed(seed))[0]


def prepared(density, split_size=4000, **settings):
    protocol = PointProtocol(**{"n": 4000, "draws": 1, **settings})
    name, classes = type(density).__name__.lower(), density.num_classes
    protocol.prepare(Points(name, density, shape=(density.dim,), num_classes=classes, split_size=split_size))
    return protocol


@pytest.fixture(scope="module")
def ring():
    return prepared(RING)


@pytest.fixture(scope="module")
def square():
    return prepared(SQUARE, pairwise_n=1000)


def test_a_perfect_sampler_reads_the_null_values(ring):
    scores = ring.score(drawn(RING, 4000, 10)[None])
    metrics = scores.metrics
    assert list(metrics) == [
        *("modes", "modes_strict", "hq", "mode_kl", "std_ratio", "nll_true", "off_support"),
        *("sw2", "mmd", "mmd_p", "energy"),
    ]
    assert metrics["modes"] == metrics["modes_strict"] == 8
    assert metrics["hq"] == pytest.approx(1 - math.exp(-4.5), abs=0.005)
    assert metrics["mode_kl"] == pytest.approx(0, abs=0.002)
    assert metrics["std_ratio"] == pytest.approx(1, abs=0.03)
    entropy = math.log(8) + 1 + math.log(2 * math.pi * STD**2)  # the modes do not overlap
    assert metrics["nll_true"] == pytest.approx(entropy, abs=0.06)
    assert metrics["off_support"] == 0
    assert abs(metrics["mmd"]) < 0.003
    assert abs(metrics["energy"]) < 0.01


def test_the_error_of_hq_is_binomial(ring):
    """A share of independent samples has the error sqrt(p (1 - p) / n); ten blocks find it to about a quarter."""
    samples = torch.stack([drawn(RING, 4000, 20 + i) for i in range(4)])
    errors = [ring.score(draw[None]).errors["hq"] for draw in samples]
    p = 1 - math.exp(-4.5)
    assert np.mean(errors) == pytest.approx(math.sqrt(p * (1 - p) / 4000), rel=0.35)


def test_a_dropped_mode_is_seen(ring):
    samples = drawn(RING, 4000, 11)
    samples[(samples - RING.modes[0]).norm(dim=1) < 0.5] = RING.modes[4]
    metrics = ring.score(samples[None]).metrics
    assert metrics["modes"] == 7
    assert metrics["mode_kl"] > 0.1
    assert metrics["mmd_p"] < 0.01


def test_anchors_have_no_copycat_and_are_ordered(ring):
    anchors = {name: scores.metrics for name, scores in ring.anchors().items()}
    assert list(anchors) == ["perfect", "kde", "gaussian", "uniform"]
    assert anchors["perfect"]["hq"] > anchors["kde"]["hq"] > anchors["gaussian"]["hq"]
    assert anchors["perfect"]["sw2"] < anchors["gaussian"]["sw2"]
    assert anchors["perfect"]["nll_true"] < anchors["gaussian"]["nll_true"]


def test_a_density_without_modes_is_ranked_by_energy(square):
    assert square.headline == "energy"
    perfect = square.score(drawn(SQUARE, 4000, 10)[None])
    assert list(perfect.metrics) == ["nll_true", "off_support", "sw2", "mmd", "mmd_p", "energy"]
    assert perfect.metrics["nll_true"] == 0
    assert abs(perfect.metrics["energy"]) < 4 * perfect.errors["energy"]
    moved = square.score((drawn(SQUARE, 4000, 10) + 0.25)[None]).metrics
    assert moved["off_support"] == pytest.approx(1 - 0.75**2, abs=0.03)
    assert moved["energy"] > 10 * perfect.errors["energy"]


def test_sw2_of_a_shift():
    """|v|²/d: of the reference itself, moved, only the directions are random; 10,000 know the mean of cos² to 0.7 %."""
    protocol = prepared(SQUARE, split_size=1000, n=1000, pairwise_n=100, projections=10_000)
    moved = protocol.data.split("ref").x + torch.tensor([0.4, 0.3])
    assert protocol.score(moved[None]).metrics["sw2"] == pytest.approx(0.25 / 2, rel=0.03)


def test_modes_have_the_weights_of_the_density():
    mixture = GaussianMixture([[-1.0, 0.0], [1.0, 0.0], [0.0, 1.5]], std=0.1, weights=[6, 3, 1])
    protocol = prepared(mixture, pairwise_n=100)
    perfect = protocol.score(drawn(mixture, 4000, 10)[None]).metrics
    assert perfect["modes_strict"] == 3
    assert perfect["mode_kl"] == pytest.approx(0, abs=4 / 4000)  # its standard deviation is sqrt((K - 1) / 2) / N
    equal = protocol.score(drawn(GaussianMixture(mixture.means, std=0.1), 4000, 10)[None]).metrics
    divergence = sum(math.log(1 / 3 / weight) / 3 for weight in (0.6, 0.3, 0.1))
    assert equal["mode_kl"] == pytest.approx(divergence, rel=0.1)


def test_fast_scores_against_val(ring, square):
    assert list(ring.fast(drawn(RING, 2000, 5))) == ["modes", "modes_strict", "hq", "mode_kl", "std_ratio"]
    fast = square.fast(drawn(SQUARE, 2000, 5))
    assert list(fast) == ["energy", "nll_true", "off_support"]
    assert abs(fast["energy"]) < 0.01


def test_energy_by_rows_is_the_energy_distance():
    x, y = (drawn(RING, n, n).double().numpy() for n in (60, 80))
    rows = np.arange(5, 40)
    assert _energy_of_rows(x, y)(rows) == pytest.approx(energy_distance(x[rows], y))


def test_failures_are_recorded(ring):
    samples = drawn(RING, 4000, 10)[None].clone()
    samples[0, :7] = math.nan
    scores = ring.score(samples)
    assert scores.failure == "7 of 4000 samples contain NaN or infinite values"
    assert ring.score(torch.full((1, 4000, 2), 1e6)).metrics["hq"] == 0


def test_backdrop_is_the_truth(ring):
    backdrop = ring.backdrop()
    assert backdrop.points.shape == (2000, 2)
    assert backdrop.log_prob(torch.zeros(3, 2)).shape == (3,)


def test_the_fingerprint_sees_each_setting(ring):
    for change in ({"projections": 50}, {"pairwise_n": 500}, {"permutations": 10}, {"n": 3000}):
        other = prepared(RING, **change)
        assert fingerprint_difference(ring.fingerprint(), other.fingerprint()).startswith(next(iter(change)))


def test_images_are_refused(digits):
    with pytest.raises(UserError, match="evaluation=images"):
        PointProtocol().prepare(digits)


def test_the_config_builds_the_default(tmp_path):
    node = OmegaConf.create({"paths": {"cache": str(tmp_path)}, "evaluation": OmegaConf.load(CONF)})
    protocol = instantiate(node.evaluation, _convert_="all")
    default = PointProtocol()
    for built in (protocol, default):
        built.prepare(Points("square", SQUARE))
    assert protocol.fingerprint() == default.fingerprint()


@pytest.mark.parametrize("dim", [1, 5])
def test_points_outside_the_plane_have_a_backdrop_and_a_picture(dim, tmp_path):
    """Only the plane was drawn once, and a run on other points ended at its first picture."""
    from genexp.reporting.watch import save_picture

    density = GaussianMixture([[-1.0] * dim, [1.0] * dim], std=0.1)
    protocol = prepared(density, split_size=500, n=200)
    assert protocol.backdrop().points.shape == (500, dim)
    path = save_picture(drawn(density, 200, 1), protocol, tmp_path / "samples" / "step.png")
    assert path.is_file()
    assert protocol.neighbours(drawn(density, 200, 1)) is None  # a source without end has no training set to copy


@pytest.mark.parametrize("name", ["permutations", "pairwise_n", "projections"])
def test_too_few_of_something_is_said_before_anything_is_scored(name):
    with pytest.raises(UserError, match=f"evaluation.{name}=0 is too few"):
        PointProtocol(**{name: 0})
    with pytest.raises(UserError, match=f"evaluation.{name}=2.5 is no whole number"):
        PointProtocol(**{name: 2.5})
