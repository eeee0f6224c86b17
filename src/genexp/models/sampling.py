"""Samples for a scorer that never sees the model."""

import torch
from torch import Tensor

from genexp.models.base import GenerativeModel
from genexp.training.randomness import mix


def draw(model: GenerativeModel, n: int, seed: int, chunk: int = 500, temperature: float = 1.0) -> Tensor:
    """`n` samples as a function of `seed`, (n, *shape) on the CPU.

    Arguments:
        model: the model, already in eval mode with the weights to use.
        n: how many.
        seed: the samples are a function of it (and of `chunk`).
        chunk: samples made at once.
        temperature: factor on the standard deviation of the latents.
    """
    with torch.no_grad():
        parts = [
            model.sample(min(chunk, n - start), seed=mix(seed, start), temperature=temperature).float().cpu()
            for start in range(0, n, chunk)
        ]
    return torch.cat(parts)
