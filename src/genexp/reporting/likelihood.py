"""The likelihood column: bits per dimension on the reference split, with the kind of number that it is."""

import math
from typing import Any

import torch

from genexp.data.module import DataModule
from genexp.models.base import GenerativeModel
from genexp.objectives.likelihood import dequantise
from genexp.training.randomness import mix

CHUNK = 500


def bits_per_dim_row(model: GenerativeModel, data: DataModule, samples: int, seed: int) -> dict[str, Any]:
    """`bpd`, its kind and its number of Monte Carlo samples; a dash (None) for families without a likelihood.

    Grey levels are dequantised with uniform noise, so that bpd counts bits of the discrete data. For continuous data
    the number is the negative log-density in bits per dimension.

    Arguments:
        model: the model, in eval mode.
        data: where the reference split is.
        samples: importance samples of a bound.
        seed: the noise is a function of it.
    """
    x = data.split("ref").x
    generator = torch.Generator().manual_seed(mix(seed, 7))
    if data.levels is not None:
        x = dequantise(x, data.levels, torch.rand(x.shape, generator=generator))
    with torch.no_grad():
        parts = [model.log_prob(part, samples=samples, seed=mix(seed, 8, i)) for i, part in enumerate(x.split(CHUNK))]
    likelihoods = [part for part in parts if part is not None]
    if not likelihoods:
        return {"bpd": None, "bpd_kind": "none"}
    dims = math.prod(data.shape)
    bits = [
        -part.value / (dims * math.log(2.0)) if data.levels is None else part.bits_per_dim(dims, data.levels)
        for part in likelihoods
    ]
    bpd = torch.cat(bits).double().mean().item()
    return {"bpd": bpd, "bpd_kind": likelihoods[0].kind, "bpd_samples": likelihoods[0].samples}
