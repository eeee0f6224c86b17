import math

import pytest
import torch

from genexp.errors import UserError
from genexp.models.priors import Normal, Ring


def test_the_ring_has_the_moments_that_it_states():
    """In the frame of its component: mean (radius, 0), deviations (along, across); the rest is standard normal."""
    ring = Ring(modes=6, radius=3.0, along=0.5, across=0.2)
    torch.manual_seed(0)
    for k in range(6):
        z = ring(torch.randn(40_000, 3), torch.full((40_000,), k))
        angle = 2 * math.pi * k / 6
        turn = torch.tensor([[math.cos(angle), math.sin(angle)], [-math.sin(angle), math.cos(angle)]])
        local = z[:, :2] @ turn.T
        torch.testing.assert_close(local.mean(0), torch.tensor([3.0, 0.0]), rtol=0, atol=0.02)
        torch.testing.assert_close(local.std(0), torch.tensor([0.5, 0.2]), rtol=0.02, atol=0)
        torch.testing.assert_close(z[:, 2].std(), torch.tensor(1.0), rtol=0.02, atol=0)


def test_the_normal_prior_is_its_noise():
    noise = torch.randn(4, 3)
    assert Normal()(noise, torch.zeros(4, dtype=torch.long)) is noise


def test_impossible_arguments_end_in_a_sentence():
    for options, message in (({"modes": 1}, "prior.modes=1"), ({"across": 0.0}, "prior.across=0.0")):
        with pytest.raises(UserError, match=message):
            Ring(**options)
    with pytest.raises(UserError, match="lies in a plane"):
        Ring().check(1)
