"""Random numbers that are a function of (seed, step, rank), so that a killed run goes on with the same bits.

Nothing has to be saved but the step: when a step starts, the generators are seeded again. Whatever else draws random
numbers between two steps (a score, a picture) cannot change the training.
"""

import random

import numpy as np
import torch
from torch import Tensor

_MASK = (1 << 64) - 1


def mix(*words: int) -> int:
    """Hash integers to 63 bits by SplitMix64 rounds.

    References:
        Fast Splittable Pseudorandom Number Generators, Steele, Lea and Flood, 2014.
        https://doi.org/10.1145/2714064.2660195

    Example:
        >>> mix(0, 1) != mix(1, 0)
        True
    """
    state = 0
    for word in words:
        state = (state + (word & _MASK) + 0x9E3779B97F4A7C15) & _MASK
        state = ((state ^ (state >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
        state = ((state ^ (state >> 27)) * 0x94D049BB133111EB) & _MASK
        state ^= state >> 31
    return state >> 1


def seed_everything(seed: int) -> None:
    """Seed torch (every device), numpy and Python, once, before the networks are made."""
    torch.manual_seed(mix(seed))
    np.random.seed(mix(seed) % 2**32)  # noqa: NPY002 (a user's own code may draw from it)
    random.seed(mix(seed))


class StepRandomness:
    """The random numbers of one step.

    Two streams: the global generators are seeded from (seed, step, rank), for dropout and a user's own code; `shared`
    is seeded from (seed, step) alike on all ranks, and each rank takes its slice of what one process would draw. With
    it W processes on a batch of B / W each compute what one process computes on the B samples.

    Arguments:
        seed: the run's seed.
        rank: this process's number.
        world_size: the number of processes.
        device: where the numbers are drawn.
    """

    def __init__(self, seed: int, rank: int = 0, world_size: int = 1, device: torch.device | str = "cpu") -> None:
        self.seed, self.rank, self.world_size = seed, rank, world_size
        self.device = torch.device(device)
        self.shared = torch.Generator(self.device)

    def begin(self, step: int) -> None:
        """Seed both streams for `step`."""
        own = mix(self.seed, step, self.rank, 1)
        torch.default_generator.manual_seed(own)
        if self.device.type == "cuda":
            torch.cuda.manual_seed(own)
        random.seed(own)
        np.random.seed(own % 2**32)  # noqa: NPY002
        self.shared.manual_seed(mix(self.seed, step, 2))

    def _mine(self, draws: Tensor, n: int) -> Tensor:
        return draws if self.world_size == 1 else draws[self.rank * n : (self.rank + 1) * n]

    def normal(self, n: int, *shape: int) -> Tensor:
        """This rank's `n` rows of standard normal numbers, (n, *shape)."""
        draws = torch.randn(self.world_size * n, *shape, generator=self.shared, device=self.device)
        return self._mine(draws, n)

    def normal_alike(self, n: int, *shape: int) -> Tensor:
        """Standard normal numbers, (n, *shape), the same on all ranks."""
        return torch.randn(n, *shape, generator=self.shared, device=self.device)

    def uniform(self, n: int, *shape: int) -> Tensor:
        """This rank's `n` rows of uniform numbers in [0, 1), (n, *shape)."""
        draws = torch.rand(self.world_size * n, *shape, generator=self.shared, device=self.device)
        return self._mine(draws, n)
