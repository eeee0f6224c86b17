import math

import pytest
import torch
from torch import nn

from genexp.errors import UserError
from genexp.training.ema import EMA


def test_half_life_of_999_and_9999():
    """E1: the share of a weight halves after ln 0.5 / ln alpha steps: 692.8 and 6931."""
    assert math.log(0.5) / math.log(0.999) == pytest.approx(692.8, abs=0.05)
    assert math.log(0.5) / math.log(0.9999) == pytest.approx(6931, abs=0.5)
    assert EMA(half_life=692.8 * 64, warm_up=False).decay_at(1, 64) == pytest.approx(0.999, abs=1e-6)


def test_weights_follow_the_recursion():
    layer = nn.Linear(2, 1, bias=False)
    average = EMA(decay=0.9, warm_up=False)
    average.attach({"layer": layer})
    expected = layer.weight.detach().clone()
    for step in range(1, 6):
        with torch.no_grad():
            layer.weight.copy_(torch.full((1, 2), float(step)))
        average.update(step, 1)
        expected = 0.9 * expected + 0.1 * step
    torch.testing.assert_close(average.state_dict()["layer.weight"], expected)


def test_variance_ratio_on_noise():
    """E1: averaging independent noise divides its variance by (1 + a) / (1 - a)."""
    generator = torch.Generator().manual_seed(0)
    module = nn.Module()
    module.weight = nn.Parameter(torch.zeros(20_000))
    average = EMA(decay=0.9, warm_up=False)
    average.attach({"m": module})
    for step in range(1, 200):
        with torch.no_grad():
            module.weight.copy_(torch.randn(20_000, generator=generator))
        average.update(step, 1)
    assert average.state_dict()["m.weight"].var().item() == pytest.approx(0.1 / 1.9, rel=0.03)


def test_buffers_are_copied_and_weights_come_back_bit_for_bit():
    norm = nn.BatchNorm1d(3)
    average = EMA(decay=0.5)
    average.attach({"norm": norm})
    norm(torch.randn(8, 3))
    with torch.no_grad():
        norm.weight.add_(1.0)
    average.update(1, 8)
    torch.testing.assert_close(average.state_dict()["norm.running_mean"], norm.running_mean, rtol=0, atol=0)
    assert average.state_dict()["norm.num_batches_tracked"] == 1
    raw = {name: tensor.clone() for name, tensor in norm.state_dict().items()}
    with average.applied():
        assert not torch.equal(norm.weight, raw["weight"])
    assert all(torch.equal(tensor, raw[name]) for name, tensor in norm.state_dict().items())
    with torch.no_grad():
        norm.weight.add_(1.0)
    average.update(2, 8)  # the average still follows the module after a swap
    with average.applied():
        assert norm.weight.mean() > 1.0


def test_warm_up_forgets_the_first_weights():
    average = EMA(decay=0.999)
    assert average.decay_at(1, 1) == pytest.approx(2 / 11)
    assert average.decay_at(10**6, 1) == 0.999


@pytest.mark.parametrize("arguments", [{}, {"decay": 0.9, "half_life": 10}, {"decay": 1.0}, {"half_life": 0}])
def test_impossible_settings_are_refused(arguments):
    with pytest.raises(UserError):
        EMA(**arguments)
