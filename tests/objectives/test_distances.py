"""Distances of data: T6.4, and the features of a network."""

import pytest
import torch
from torch import nn

from genexp.errors import UserError
from genexp.objectives.distances import Perceptual, Pixels


def perceptual(**options):
    torch.manual_seed(0)
    layers = [nn.Conv2d(1, 4, 3, padding=1), nn.ReLU(inplace=True), nn.Conv2d(4, 2, 3), nn.BatchNorm2d(2)]
    return Perceptual(nn.Sequential(*layers), ["0", "2"], **options)


@pytest.mark.parametrize("distance", [Pixels(), Pixels("l2"), perceptual(), perceptual(power="l2")], ids=repr)
def test_zero_for_equals_and_symmetric(distance):
    x, y = torch.randn(2, 5, 1, 8, 8)
    assert torch.equal(distance(x, x), torch.zeros(5))
    torch.testing.assert_close(distance(x, y), distance(y, x))
    assert distance(x, y).shape == (5,) and bool((distance(x, y) > 0).all())


def test_it_is_the_mean_of_each_layer_before_those_after_it_change_it():
    distance = perceptual()
    x, y = torch.randn(2, 5, 1, 8, 8)
    first, act, second, _ = distance.features
    maps = [(first(x), first(y))]
    maps.append(tuple(second(act(m.clone())) for m in maps[0]))
    expected = sum((a - b).abs().flatten(1).mean(1) for a, b in [(x, y), *maps])
    torch.testing.assert_close(distance(x, y), expected)


def test_the_network_stands_still_and_the_samples_get_a_gradient():
    distance = perceptual()
    distance.train()
    before = {name: value.clone() for name, value in distance.state_dict().items()}
    x, y = torch.randn(5, 1, 8, 8), torch.randn(5, 1, 8, 8, requires_grad=True)
    distance(x, y).mean().backward()
    assert y.grad.abs().sum() > 0
    assert not any(p.requires_grad for p in distance.parameters())
    assert all(torch.equal(value, before[name]) for name, value in distance.state_dict().items())


def test_grey_images_may_go_into_a_network_of_colour_images():
    network = nn.Sequential(nn.Conv2d(3, 2, 3))
    assert Perceptual(network, ["0"], channels=3)(torch.ones(2, 1, 4, 4), torch.zeros(2, 1, 4, 4)).shape == (2,)


def test_impossible_arguments_end_in_a_sentence():
    with pytest.raises(UserError, match=r"Sequential has no module 7; it has 0"):
        Perceptual(nn.Sequential(nn.Linear(2, 2)), ["0", "7"])
    with pytest.raises(UserError, match=r"loss.power=l3"):
        Pixels("l3")
