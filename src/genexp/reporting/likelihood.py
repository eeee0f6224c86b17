"""The likelihood columns: bits per dimension on the reference split, with the kind of number that it is."""

import math
from typing import Any

import torch
from torch import Tensor

from genexp.data.module import DataModule
from genexp.errors import UserError
from genexp.evaluation.annealed import annealed_likelihood
from genexp.models.base import GenerativeModel
from genexp.objectives.likelihood import LEBESGUE, Likelihood, dequantise
from genexp.training.randomness import mix

CHUNK = 500
ANNEALED_CHAINS = 8


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
    with torch.no_grad():
        parts = [
            model.log_prob(part, samples=samples, seed=mix(seed, 8, i))
            for i, part in enumerate(_reference(data, seed).split(CHUNK))
        ]
    likelihoods = [part for part in parts if part is not None]
    if not likelihoods:
        return {"bpd": None, "bpd_kind": "none"}
    bpd = _mean_bits(likelihoods, data)
    return {"bpd": bpd, "bpd_kind": likelihoods[0].kind, "bpd_samples": likelihoods[0].samples}


def refuse_annealing(model: GenerativeModel, steps: int) -> None:
    """Whether this family has what annealed importance sampling needs, before anything is drawn.

    Raises:
        UserError: if steps are wanted and it has not.
    """
    if steps > 0 and not hasattr(model, "log_likelihood"):
        raise UserError(
            f"ais_steps={steps} needs a decoder with a likelihood, which {type(model).__name__} has not: "
            "leave ais_steps=0."
        )


def annealed_row(model: Any, data: DataModule, steps: int, seed: int) -> dict[str, Any]:
    """`bpd_ais`, from annealed importance sampling of the decoder alone; nothing for 0 steps.

    The data are dequantised as for `bpd`: where `bpd_ais` is clearly lower, that much of `bpd` is the encoder's fault.

    Arguments:
        model: in eval mode, with `log_likelihood(x, z)` and latents of a standard normal prior, `latent_dim` of them.
        data: where the reference split is.
        steps: temperatures between the prior and the posterior.
        seed: the noise is a function of it.
    """
    refuse_annealing(model, steps)
    if steps == 0:
        return {}
    parts = [
        annealed_likelihood(model.log_likelihood, part, model.latent_dim, steps, ANNEALED_CHAINS, seed=mix(seed, 9, i))
        for i, part in enumerate(_reference(data, seed).split(CHUNK))
    ]
    measure = "lebesgue" if data.levels is None else LEBESGUE
    likelihoods = [Likelihood(part.value, "lower bound", measure, ANNEALED_CHAINS) for part in parts]
    return {
        "bpd_ais": _mean_bits(likelihoods, data),
        "bpd_ais_kind": "lower bound",
        "bpd_ais_steps": steps,
        "bpd_ais_ess": torch.cat([part.effective_chains for part in parts]).mean().item(),
    }


def _reference(data: DataModule, seed: int) -> Tensor:
    """The reference split, grey levels dequantised with the same noise for every model of a seed."""
    x = data.split("ref").x
    if data.levels is None:
        return x
    generator = torch.Generator().manual_seed(mix(seed, 7))
    return dequantise(x, data.levels, torch.rand(x.shape, generator=generator))


def _mean_bits(likelihoods: list[Likelihood], data: DataModule) -> float:
    dims = math.prod(data.shape)
    bits = [
        -part.value / (dims * math.log(2.0)) if data.levels is None else part.bits_per_dim(dims, data.levels)
        for part in likelihoods
    ]
    return torch.cat(bits).double().mean().item()
