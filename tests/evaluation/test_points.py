import math
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from hydra.utils import instantiate
from omegaconf import OmegaConf

from genexp.errors import UserError
from genexp.evaluation.points import PointProtocol
from genexp.evaluation.scores import fingerprint_difference

CONF = Path(__file__).parents[2] / "conf" / "evaluation" / "points.yaml"
STD = 0.05


class Ring:
    """Eight Gaussians on the unit circle."""

    def __init__(self) -> None:
        angles = torch.arange(8) * math.pi / 4
        self.modes, self.std = torch.stack([angles.cos(), angles.sin()], dim=1), STD

    def log_prob(self, x):
        normal = -((x[:, None] - self.modes) ** 2).sum(-1) / (2 * STD**2) - math.log(2 * math.pi * STD**2)
        return normal.logsumexp(dim=1) - math.log(8)

    def sample(self, n, seed):
        generator = torch.Generator().manual_seed(seed)
        modes = self.modes[torch.randint(8, (n,), generator=generator)]
        return modes + STD * torch.randn(n, 2, generator=generator)


class UnitSquare:
    """Uniform: a density without modes, and none outside."""

    def log_prob(self, x):
        inside = ((x >= 0) & (x <= 1)).all(dim=1)
        return torch.where(inside, 0.0, -math.inf)

    def sample(self, n, seed):
        return torch.rand(n, 2, generator=torch.Generator().manual_seed(seed))


class Source:
    num_classes, levels, shape = 0, None, (2,)

    def __init__(self, density):
        self.name, self.density = type(density).__name__.lower(), density
        self.parts = {
            name: SimpleNamespace(x=density.sample(4000, seed), y=torch.zeros(4000).long())
            for seed, name in enumerate(("train", "val", "ref", "floor"))
        }

    def split(self, name):
        return self.parts[name]

    def content_id(self):
        return self.name


def prepared(source, **settings):
    protocol = PointProtocol(**{"n": 4000, "draws": 1, **settings})
    protocol.prepare(source)
    return protocol


@pytest.fixture(scope="module")
def ring():
    return prepared(Source(Ring()))


@pytest.fixture(scope="module")
def square():
    return prepared(Source(UnitSquare()), pairwise_n=1000)


def test_a_perfect_sampler_reads_the_null_values(ring):
    scores = ring.score(Ring().sample(4000, 10)[None])
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
    """A share of independent samples: the jackknife must find sqrt(p (1 - p) / n), with 10 blocks to about a quarter."""
    samples = torch.stack([Ring().sample(4000, 20 + i) for i in range(4)])
    errors = [ring.score(draw[None]).errors["hq"] for draw in samples]
    p = 1 - math.exp(-4.5)
    assert np.mean(errors) == pytest.approx(math.sqrt(p * (1 - p) / 4000), rel=0.35)


def test_a_dropped_mode_is_seen(ring):
    samples = Ring().sample(4000, 11)
    samples[(samples - Ring().modes[0]).norm(dim=1) < 0.5] = Ring().modes[4]
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
    perfect = square.score(UnitSquare().sample(4000, 10)[None])
    assert list(perfect.metrics) == ["nll_true", "off_support", "sw2", "mmd", "mmd_p", "energy"]
    assert perfect.metrics["nll_true"] == 0
    assert abs(perfect.metrics["energy"]) < 4 * perfect.errors["energy"]
    moved = square.score((UnitSquare().sample(4000, 10) + 0.25)[None]).metrics
    assert moved["off_support"] == pytest.approx(1 - 0.75**2, abs=0.03)
    # |v|²/d with |v|² = 2 · 0.25²; 200 directions know the mean of cos² to 5 %, 4000 points the shift to 2.6 %
    assert moved["sw2"] == pytest.approx(0.25**2, rel=0.2)
    assert moved["energy"] > 10 * perfect.errors["energy"]


def test_fast_scores_against_val(ring, square):
    assert list(ring.fast(Ring().sample(2000, 5))) == ["modes", "modes_strict", "hq", "mode_kl", "std_ratio"]
    fast = square.fast(UnitSquare().sample(2000, 5))
    assert list(fast) == ["energy", "nll_true", "off_support"]
    assert abs(fast["energy"]) < 0.01


def test_failures_are_recorded(ring):
    samples = Ring().sample(4000, 10)[None].clone()
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
        other = prepared(Source(Ring()), **change)
        assert fingerprint_difference(ring.fingerprint(), other.fingerprint()).startswith(next(iter(change)))


def test_images_are_refused(digits):
    with pytest.raises(UserError, match="evaluation=images"):
        prepared(digits)


def test_the_config_builds_the_default(tmp_path):
    node = OmegaConf.create({"paths": {"cache": str(tmp_path)}, "evaluation": OmegaConf.load(CONF)})
    protocol = instantiate(node.evaluation, _convert_="all")
    default = PointProtocol()
    for built in (protocol, default):
        built.prepare(Source(UnitSquare()))
    assert protocol.fingerprint() == default.fingerprint()
