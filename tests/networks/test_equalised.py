import math

import pytest
import torch
from torch import nn

from genexp.networks.dcgan import DCGANDecoder
from genexp.networks.equalised import equalised
from genexp.networks.spectral import advance, normalise

LAYERS = {"linear": (lambda: nn.Linear(24, 10), 24), "convolution": (lambda: nn.Conv2d(6, 4, 3), 54)}


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(0)


@pytest.mark.parametrize(("make", "fan_in"), LAYERS.values(), ids=LAYERS)
def test_weights_are_stored_at_unit_variance_and_used_scaled(make, fan_in):
    layer = make()
    equalised(layer, gain=3.0)
    stored = layer.parametrizations.weight.original
    torch.testing.assert_close(layer.weight, stored * 3.0 / math.sqrt(fan_in))
    assert stored.std().item() == pytest.approx(1.0, abs=0.15)
    assert layer.bias.abs().max() == 0


def test_a_multiplier_changes_the_steps_and_not_the_function():
    """Under Adam, whose first step is the learning rate for every stored number, the layer moves by lr_multiplier."""
    moves = []
    for multiplier in (1.0, 0.01):
        torch.manual_seed(0)
        layer = nn.Linear(24, 10).double()
        equalised(layer, lr_multiplier=multiplier)
        assert layer.weight.std().item() == pytest.approx(math.sqrt(2 / 24), rel=0.15)
        before = layer.weight.detach().clone(), layer.bias.detach().clone()
        optimizer = torch.optim.Adam(layer.parameters(), lr=1e-3)
        layer(torch.randn(4, 24, dtype=torch.float64)).sum().backward()
        optimizer.step()
        moves.append(
            [(now - then).abs().max().item() for now, then in zip((layer.weight, layer.bias), before, strict=True)]
        )
    assert moves[1] == pytest.approx([0.01 * move for move in moves[0]], rel=1e-2)


def test_it_is_an_initialisation_of_any_network():
    decoder = DCGANDecoder(64, (1, 16, 16), width=16, norm="none", init=equalised)
    stored = [p for name, p in decoder.named_parameters() if name.endswith("original")]
    assert len(stored) == 3
    assert torch.cat([p.flatten() for p in stored]).std().item() == pytest.approx(1.0, abs=0.02)


def test_spectral_norms_are_those_of_the_scaled_weight():
    layer = nn.Linear(24, 10)
    equalised(layer)
    normalise(layer, warm_up=1)
    for _ in range(100):
        advance(layer)
    assert torch.linalg.matrix_norm(layer.weight, 2).item() == pytest.approx(1.0, abs=1e-3)
