"""Bits per dimension of the two baselines that every model of the digits has to beat, on real data."""

import pytest
import torch

from genexp.data.digits import Digits
from genexp.objectives.likelihood import bits_per_dim, dequantise

LEVELS, DIMS = 17, 64


@pytest.fixture(scope="module")
def splits() -> dict[str, torch.Tensor]:
    digits = Digits()
    return {name: digits.split(name).x for name in ("train", "ref", "floor")}


def levels(x: torch.Tensor) -> torch.Tensor:
    return ((x + 1.0) * 8.0).round().long().flatten(1)


@pytest.mark.parametrize("held_out", ["ref", "floor"])
def test_independent_categorical_pixels(splits, held_out):
    """2.4066 on other splits of the same data, exact for discrete data; splits differ by a few hundredths."""
    counts = torch.nn.functional.one_hot(levels(splits["train"]), LEVELS).sum(0).double() + 0.5
    log_prob = (counts / counts.sum(1, keepdim=True)).log().expand(len(splits[held_out]), -1, -1)
    nats = log_prob.gather(2, levels(splits[held_out])[:, :, None]).sum((1, 2))
    assert bits_per_dim(nats, DIMS, LEVELS, range_width=LEVELS).mean().item() == pytest.approx(2.4066, abs=0.04)


@pytest.mark.parametrize("held_out", ["ref", "floor"])
def test_one_gaussian_of_dequantised_pixels(splits, held_out):
    """2.984 on other splits of the same data."""
    generator = torch.Generator().manual_seed(0)
    train, test = (
        dequantise(x, LEVELS, torch.rand(x.shape, generator=generator)).flatten(1).double()
        for x in (splits["train"], splits[held_out])
    )
    gaussian = torch.distributions.MultivariateNormal(train.mean(0), torch.cov(train.T))
    assert bits_per_dim(gaussian.log_prob(test), DIMS, LEVELS).mean().item() == pytest.approx(2.984, abs=0.04)
