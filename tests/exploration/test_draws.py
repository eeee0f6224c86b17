"""Draws with their latents: what `sample` gives, classes, and the truncated normal."""

import math

import pytest
import torch
from scipy.stats import kstest, truncnorm

from genexp import config as configs
from genexp.assembly import build_model
from genexp.errors import UserError
from genexp.exploration.draws import chosen_classes, decoded, draw_latents, draw_with_latents
from genexp.models.base import GenerativeModel
from genexp.models.sampling import draw


class Shifted(GenerativeModel):
    """Points: the latent, moved by the class; beside it a code that no temperature scales."""

    averaged = ("network",)

    def __init__(self, num_classes=None, network=None):
        super().__init__((2,))
        self.num_classes = num_classes
        self.network = network or torch.nn.Linear(2, 2)

    def latents(self, n, seed=None, temperature=1.0):
        generator = self.generator_for(seed)
        z = temperature * torch.randn(n, 2, generator=generator)
        return torch.cat([z, torch.randint(0, 4, (n, 1), generator=generator).float()], dim=1)

    def decode(self, z, y=None):
        shift = 0.0 if self.num_classes is None else 100.0 * self.classes(len(z), y)[:, None]
        return self.network(z[:, :2]) + 10.0 * z[:, 2:] + shift

    def sample(self, n, y=None, seed=None, temperature=1.0):
        return self.decode(self.latents(n, seed, temperature), y)


class Truncatable(torch.nn.Module):
    def forward(self, z):
        return z

    def truncated(self, z, psi):
        return psi * z


class Flow(GenerativeModel):
    def sample(self, n, y=None, seed=None, temperature=1.0):
        return temperature * torch.randn(n, 2, generator=self.generator_for(seed))


@pytest.mark.parametrize("num_classes", [None, 3])
def test_samples_are_those_that_are_scored_and_their_latents_decode_to_them(num_classes):
    model = Shifted(num_classes)
    made = draw_with_latents(model, 700, seed=5, temperature=0.8)  # more than one chunk
    assert torch.equal(made.samples, draw(model, 700, 5, temperature=0.8))
    assert torch.equal(decoded(model, made.latents, made.classes), made.samples)
    assert (made.classes is None) == (num_classes is None)
    assert not torch.equal(made.samples, draw_with_latents(model, 700, seed=6, temperature=0.8).samples)


def test_a_family_without_latents_gives_its_samples():
    model = Flow((2,))
    made = draw_with_latents(model, 20, seed=1)
    assert made.latents is None and torch.equal(made.samples, draw(model, 20, 1))
    with pytest.raises(UserError, match="no latents to truncate"):
        draw_with_latents(model, 20, seed=1, truncation=0.7)


@pytest.mark.parametrize(("threshold", "temperature"), [(0.7, 1.0), (0.1, 1.0), (1.5, 0.5)])
def test_truncation_draws_of_the_truncated_normal(threshold, temperature):
    z = draw_latents(Shifted(), 3000, seed=2, temperature=temperature, truncation=threshold)
    assert z[:, :2].abs().max() <= threshold * temperature
    truth = truncnorm(-threshold, threshold, scale=temperature)
    assert kstest(z[:, :2].flatten().numpy(), truth.cdf).pvalue > 1e-3
    assert torch.equal(z, draw_latents(Shifted(), 3000, seed=2, temperature=temperature, truncation=threshold))


def test_truncation_leaves_latents_within_the_threshold_and_codes_alone():
    plain, cut = (draw_latents(Shifted(), 400, seed=3, truncation=t) for t in (None, 1.0))
    within = plain[:, :2].abs() <= 1.0
    assert within.any() and not within.all()
    assert torch.equal(cut[:, :2][within], plain[:, :2][within])
    assert torch.equal(cut[:, 2], plain[:, 2]) and plain[:, 2].max() == 3


def test_a_network_that_truncates_by_itself_is_asked_to():
    model = Shifted(network=Truncatable())
    model.latents = lambda n, seed=None, temperature=1.0: torch.randn(n, 2, generator=model.generator_for(seed))
    made = draw_with_latents(model, 30, seed=4, truncation=0.25)
    assert torch.equal(made.samples, 0.25 * made.latents)
    assert made.latents.abs().max() > 0.25


def test_a_family_with_codes_is_truncated_in_its_noise_and_draws_the_class_asked_for():
    torch.manual_seed(0)
    model = build_model(configs.compose_train(["model=info_gan", "network=mlp", "model.continuous=2"]).config).eval()
    classes = torch.tensor([7, 0] * 50)
    plain, cut = (draw_with_latents(model, 100, 3, truncation=t, classes=classes) for t in (None, 0.5))
    noise, codes = slice(0, model.noise_dim), slice(model.noise_dim, None)
    assert cut.latents[:, noise].abs().max() <= 0.5 < plain.latents[:, noise].abs().max()
    assert torch.equal(cut.latents[:, codes], plain.latents[:, codes])
    first = cut.latents[:, codes][:, : model.num_classes]
    assert torch.equal(first.argmax(1), classes)
    assert torch.equal(cut.samples, model.decode(cut.latents))


@pytest.mark.parametrize("threshold", [0.0, -1.0, 1e-6])
def test_a_threshold_that_keeps_nothing_is_refused(threshold, monkeypatch):
    monkeypatch.setattr("genexp.exploration.draws.ROUNDS", 20)
    with pytest.raises(UserError, match="truncation="):
        draw_latents(Shifted(), 10, seed=0, truncation=threshold)


def test_latents_without_gaussians_are_not_truncated():
    model = Shifted()
    model.latents = lambda n, seed=None, temperature=1.0: torch.ones(n, 2)
    with pytest.raises(UserError, match="not Gaussian"):
        draw_latents(model, 10, seed=0, truncation=0.7)


@pytest.mark.parametrize(
    ("chosen", "expected"),
    [(None, [0, 1, 2, 0]), ("all", [0, 1, 2, 0]), (2, [2, 2, 2, 2]), ("2,0", [2, 0, 2, 0]), ([1, 2], [1, 2, 1, 2])],
)
def test_classes_come_in_turn(chosen, expected):
    assert chosen_classes(Shifted(3), chosen, 4).tolist() == expected
    made = draw_with_latents(Shifted(3), 4, 0, classes=chosen_classes(Shifted(3), chosen, 4))
    assert made.classes.tolist() == expected


@pytest.mark.parametrize("chosen", [3, -1, "0,5", "cat", "", [None], math.nan, "1.5"])
def test_unknown_classes_are_refused(chosen):
    with pytest.raises(UserError, match="give one of 0 to 2"):
        chosen_classes(Shifted(3), chosen, 4)


def test_a_family_without_classes_refuses_them():
    assert chosen_classes(Shifted(), None, 4) is None
    with pytest.raises(UserError, match="Shifted is not told classes"):
        chosen_classes(Shifted(), "0,1", 4)
