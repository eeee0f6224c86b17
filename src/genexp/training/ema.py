"""An exponential moving average of the weights that samples are drawn from.

Lightning's own callback averages the whole module (the critic too), stores the average in the place of the raw weights
and counts optimizer calls; with two optimizers and an even update interval it never updates and then overwrites the
trained weights. This one averages what the family names, counts steps, and only ever reads the raw weights.
"""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from genexp.errors import UserError


class EMA:
    r"""Average weights, $\Theta \leftarrow \alpha \Theta + (1 - \alpha) \theta$ after each step.

    Buffers (BatchNorm statistics) are copied, not averaged. During warm-up the decay is at most $(1 + t) / (10 + t)$,
    so that the first steps are forgotten quickly.

    Arguments:
        decay: $\alpha$; or
        half_life: the number of images after which a weight's share has halved, $\alpha = 0.5^{B / \text{half\_life}}$.
        warm_up: limit the decay at the start.

    Raises:
        UserError: unless exactly one of `decay` in [0, 1) and `half_life` > 0 is given.

    References:
        Progressive Growing of GANs for Improved Quality, Stability, and Variation, Karras et al., 2018.
        https://arxiv.org/abs/1710.10196

    Example:
        >>> EMA(half_life=640).decay_at(step=10**6, images_per_step=64) == 0.5 ** 0.1
        True
    """

    def __init__(self, decay: float | None = None, half_life: float | None = None, warm_up: bool = True) -> None:
        if (decay is None) == (half_life is None):
            raise UserError("ema needs either ema.decay or ema.half_life: set one of them and leave the other null.")
        if decay is not None and not 0 <= decay < 1:
            raise UserError(f"ema.decay={decay} is out of range: give a number in [0, 1).")
        if half_life is not None and not half_life > 0:
            raise UserError(f"ema.half_life={half_life} is out of range: give a positive number of images.")
        self.decay, self.half_life, self.warm_up = decay, half_life, warm_up
        self._raw: dict[str, Tensor] = {}
        self._average: dict[str, Tensor] = {}
        self._pairs: tuple[list[Tensor], list[Tensor]] = ([], [])
        self._copies: tuple[list[Tensor], list[Tensor]] = ([], [])

    def attach(self, modules: dict[str, nn.Module]) -> None:
        """Start the average at the present weights of `modules`."""
        averaged = {f"{key}.{name}": p for key, m in modules.items() for name, p in m.named_parameters()}
        copied = {f"{key}.{name}": b for key, m in modules.items() for name, b in m.named_buffers()}
        self._raw = {**averaged, **copied}
        self._average = {name: tensor.detach().clone() for name, tensor in self._raw.items()}
        self._pairs = ([self._average[n] for n in averaged], [self._raw[n].detach() for n in averaged])
        self._copies = ([self._average[n] for n in copied], [self._raw[n] for n in copied])

    def decay_at(self, step: int, images_per_step: int) -> float:
        """The decay used after `step` steps."""
        decay = 0.5 ** (images_per_step / self.half_life) if self.half_life is not None else self.decay
        assert decay is not None
        return min(decay, (1 + step) / (10 + step)) if self.warm_up else decay

    @torch.no_grad()
    def update(self, step: int, images_per_step: int) -> None:
        """Take in the weights after `step` steps."""
        if self._pairs[0]:
            torch._foreach_lerp_(*self._pairs, 1.0 - self.decay_at(step, images_per_step))
        if self._copies[0]:
            torch._foreach_copy_(*self._copies)

    @contextmanager
    def applied(self) -> Iterator[None]:
        """Let the modules hold the averaged weights for a while; the raw ones come back bit for bit."""
        self._swap()
        try:
            yield
        finally:
            self._swap()

    def _swap(self) -> None:
        for name, raw in self._raw.items():
            raw.data, self._average[name].data = self._average[name].data, raw.data

    def state_dict(self) -> dict[str, Tensor]:
        """The averaged tensors by name."""
        return dict(self._average)

    @torch.no_grad()
    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        """Put saved averages in place.

        Raises:
            KeyError: if a tensor is missing.
        """
        for name, tensor in self._average.items():
            tensor.copy_(state[name])


class NoEMA:
    """No average: samples are drawn from the raw weights."""

    def attach(self, modules: Any) -> None:
        """Nothing to do."""

    def update(self, step: int, images_per_step: int) -> None:
        """Nothing to do."""

    @contextmanager
    def applied(self) -> Iterator[None]:
        """The raw weights."""
        yield

    def state_dict(self) -> dict[str, Tensor]:
        """Empty."""
        return {}

    def load_state_dict(self, state: Iterable[str]) -> None:
        """Nothing to do."""
