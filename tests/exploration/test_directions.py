"""Closed-form directions against decoders whose answer is known."""

import pytest
import torch
from torch import nn

from genexp.errors import UserError
from genexp.exploration.directions import directions, first_affine
from genexp.models.base import GenerativeModel
from genexp.networks.dcgan import DCGANDecoder


class Decoder(GenerativeModel):
    def __init__(self, network, latent_dim, num_classes=None):
        super().__init__((2,))
        self.network, self.latent_dim, self.num_classes = network.double(), latent_dim, num_classes
        self.eval()

    def latents(self, n, seed=None, temperature=1.0):
        z = torch.randn(n, self.latent_dim, dtype=torch.float64, generator=self.generator_for(seed))
        return temperature * z

    def decode(self, z, y=None):
        if self.num_classes is None:
            return self.network(z)
        return self.network(torch.cat([z, torch.eye(self.num_classes, dtype=z.dtype)[self.classes(len(z), y)]], 1))


def test_of_a_linear_decoder_they_are_the_singular_vectors():
    torch.manual_seed(0)
    model = Decoder(nn.Linear(5, 7), 5)
    z = model.latents(1, 0)
    found = directions(model, z, None, 3)
    _, singular, rows = torch.linalg.svd(model.network.weight.double())
    torch.testing.assert_close(found.eigenvalues, singular[:3].square())
    torch.testing.assert_close((found.vectors * rows[:3]).sum(dim=1).abs(), torch.ones(3, dtype=torch.float64))
    moved = model.decode(z + 1.5 * found.vectors) - model.decode(z)
    torch.testing.assert_close(moved.norm(dim=1), 1.5 * singular[:3])
    assert (found.vectors.gather(1, found.vectors.abs().argmax(1, keepdim=True)) > 0).all()


def test_the_first_layer_counts_and_not_what_follows():
    torch.manual_seed(1)
    first = nn.Linear(4, 6)
    plain, deep = Decoder(first, 4), Decoder(nn.Sequential(first, nn.ReLU(), nn.Linear(6, 2)), 4)
    weight, name = first_affine(deep, deep.latents(1, 0), None)
    torch.testing.assert_close(weight, first.weight)
    assert name == "network.0"
    torch.testing.assert_close(
        directions(deep, deep.latents(1, 0), None, 4).vectors, directions(plain, plain.latents(1, 0), None, 4).vectors
    )


def test_a_transposed_convolution_of_one_pixel_is_an_affine_map():
    model = Decoder(DCGANDecoder(latent_dim=6, shape=(1, 8, 8), width=4, base=2), 6)
    weight, name = first_affine(model, model.latents(1, 0), None)
    torch.testing.assert_close(weight, model.network.layers[0].weight.flatten(1).T)
    assert name == "network.layers.0"


def test_normalised_weights_are_those_that_the_layer_uses():
    torch.manual_seed(2)
    model = Decoder(nn.utils.parametrizations.spectral_norm(nn.Linear(4, 6)), 4)
    weight, _ = first_affine(model, model.latents(1, 0), None)
    torch.testing.assert_close(weight, model.network.weight)
    assert not torch.allclose(weight, model.network.parametrizations.weight.original, rtol=0.05)


def test_of_latents_beside_a_class_only_the_latents_are_moved():
    torch.manual_seed(3)
    model = Decoder(nn.Linear(4 + 3, 5), 4, num_classes=3)
    weight, _ = first_affine(model, model.latents(1, 0), torch.tensor([2]))
    torch.testing.assert_close(weight, model.network.weight[:, :4])


class FirstHalf(nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.second = nn.Linear(2, 3), nn.Linear(2, 3)

    def forward(self, z):
        return self.first(z[:, :2]) + self.second(z[:, 2:])


def test_a_layer_that_reads_some_latents_gives_directions_among_these():
    model = Decoder(FirstHalf(), 4)
    found = directions(model, model.latents(1, 0), None, 2)
    assert (found.vectors[:, 2:] == 0).all()
    torch.testing.assert_close(found.vectors.norm(dim=1), torch.ones(2, dtype=torch.float64))


class Bilinear(nn.Module):
    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(3, 3))

    def forward(self, z):
        return z @ self.weight * z


@pytest.mark.parametrize(
    "network",
    [Bilinear(), nn.Sequential(nn.Tanh(), nn.Linear(3, 3)), nn.Softplus()],
    ids=["not affine", "not of the latents", "no weights"],
)
def test_a_decoder_that_begins_otherwise_is_refused(network):
    model = Decoder(network, 3)
    with pytest.raises(UserError, match="closed-form directions"):
        directions(model, model.latents(1, 0), None, 2)
