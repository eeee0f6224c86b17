"""Spectral normalisation: the norm, its gradient, and a power iteration that moves once when it is told to."""

import pytest
import torch
from torch import nn
from torch.nn.utils import parametrizations, parametrize

from genexp.networks.spectral import Scaled, advance, is_normalised, normalise

LAYERS = {
    "linear": lambda: nn.Linear(30, 20),
    "conv": lambda: nn.Conv2d(3, 8, 4),
    "transposed": lambda: nn.ConvTranspose2d(8, 3, 4),
    "embedding": lambda: nn.Embedding(7, 5),
}


def matrix(layer):
    weight = layer.weight.detach()
    return (weight.transpose(0, 1) if isinstance(layer, nn.ConvTranspose2d) else weight).flatten(1)


@pytest.mark.parametrize("make", LAYERS.values(), ids=LAYERS)
def test_the_weight_has_a_spectral_norm_of_one(make):
    torch.manual_seed(0)
    layer = make()
    before = matrix(layer)
    normalise(layer, warm_up=200)
    assert torch.linalg.matrix_norm(matrix(layer), 2).item() == pytest.approx(1.0, abs=1e-3)
    torch.testing.assert_close(matrix(layer) * torch.linalg.matrix_norm(before, 2), before, rtol=1e-3, atol=1e-4)


def test_the_gradient_takes_the_vectors_as_constants():
    r"""The derivative of sigma is u v^T, so that of W / sigma is G / sigma - <G, W> u v^T / sigma²."""
    torch.manual_seed(0)
    layer = nn.Linear(6, 4, bias=False).double()
    normalise(layer, warm_up=3)
    norm, original = layer.parametrizations.weight[0], layer.parametrizations.weight.original
    upstream = torch.randn(4, 6, dtype=torch.float64)
    (layer.weight * upstream).sum().backward()
    sigma = norm.u @ original.detach() @ norm.v
    inner = (upstream * original.detach()).sum()
    torch.testing.assert_close(original.grad, upstream / sigma - inner * torch.outer(norm.u, norm.v) / sigma**2)


def test_it_is_torchs_own_with_one_forward_pass_for_each_update():
    torch.manual_seed(0)
    ours, theirs = nn.Linear(6, 4), nn.Linear(6, 4)
    theirs.load_state_dict(ours.state_dict())
    normalise(ours, warm_up=15)
    parametrizations.spectral_norm(theirs)
    kept = theirs.parametrizations.weight[0]
    mine = ours.parametrizations.weight[0]
    kept._u.copy_(mine.u), kept._v.copy_(mine.v)
    x = torch.randn(5, 6)
    optimizers = [torch.optim.SGD(layer.parameters(), lr=0.5) for layer in (ours, theirs)]
    for _ in range(4):
        advance(ours)  # torch iterates in the forward pass itself
        for layer, optimizer in zip((ours, theirs), optimizers, strict=True):
            optimizer.zero_grad()
            layer(x).square().mean().backward()
            optimizer.step()
        torch.testing.assert_close(ours.parametrizations.weight.original, theirs.parametrizations.weight.original)


def test_forward_passes_change_nothing_in_either_mode():
    torch.manual_seed(0)
    network = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 1))
    normalise(network, warm_up=1)
    x = torch.randn(5, 4)
    state = {key: value.clone() for key, value in network.state_dict().items()}
    first = network(x)
    assert torch.equal(first, network(x))
    assert torch.equal(first, network.eval()(x))
    assert all(torch.equal(value, state[key]) for key, value in network.state_dict().items())
    advance(network)
    assert not torch.equal(first, network(x))
    names = [name for name, _ in network.named_buffers()]
    assert names == [f"{layer}.parametrizations.weight.0.{vector}" for layer in (0, 2) for vector in "uv"]


def test_autocast_leaves_the_norm_in_float32():
    torch.manual_seed(0)
    layer = nn.Linear(4, 8)
    normalise(layer, warm_up=5)
    expected = layer.weight.detach().clone()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(layer.weight, expected)


def test_who_is_normalised():
    plain = nn.Sequential(nn.Linear(2, 2))
    assert not is_normalised(plain)
    assert is_normalised(nn.Sequential(parametrizations.spectral_norm(nn.Linear(2, 2))))
    assert is_normalised(nn.Sequential(nn.utils.spectral_norm(nn.Linear(2, 2))))
    normalise(plain, warm_up=1)
    assert is_normalised(plain)
    assert parametrize.is_parametrized(plain[0], "weight")


def test_scaled_multiplies():
    layer = nn.Linear(2, 1)
    x = torch.randn(3, 2)
    assert torch.equal(Scaled(layer, 10.0)(x), 10 * layer(x))
