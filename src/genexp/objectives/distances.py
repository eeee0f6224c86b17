r"""How far a sample is from a datum, for models that are trained on reconstructions.

A distance compares two batches (B, ...) and returns one number for each pair, (B,).
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor, nn

from genexp.errors import UserError


class Distance(ABC):
    """A distance of data. Subclass it for one of your own; a module may be one too."""

    @abstractmethod
    def __call__(self, x: Tensor, y: Tensor) -> Tensor:
        """The distances of two batches (B, ...), (B,) in float32 at least, with a graph to both."""


POWERS = {"l1": torch.abs, "l2": torch.square}


def per_sample(difference: Tensor, power: Literal["l1", "l2"]) -> Tensor:
    """The mean of |d| (`l1`) or of its square (`l2`) over the dimensions of each sample, (B, ...) -> (B,)."""
    wide = difference.to(torch.promote_types(difference.dtype, torch.float32))
    return POWERS[power](wide).flatten(1).mean(1)


@dataclass(frozen=True)
class Pixels(Distance):
    """The mean over the dimensions of the absolute difference, or of its square.

    Arguments:
        power: `l1` or `l2`.

    Raises:
        UserError: the power is unknown.

    Example:
        >>> Pixels("l2")(torch.zeros(2, 1, 2, 2), torch.full((2, 1, 2, 2), 3.0)).tolist()
        [9.0, 9.0]
    """

    power: Literal["l1", "l2"] = "l1"

    def __post_init__(self) -> None:
        if self.power not in POWERS:
            raise UserError(f"loss.power={self.power} is unknown: choose one of {', '.join(POWERS)}.")

    def __call__(self, x: Tensor, y: Tensor) -> Tensor:
        """The distances of two batches (B, ...), (B,)."""
        return per_sample(x - y, self.power)


class Perceptual(Distance, nn.Module):
    r"""The distance of pixels and of the features of a network.

    $$d(x, y) = \overline{|x - y|} + \sum_l \overline{|\varphi_l(x) - \varphi_l(y)|},$$

    a bar being the mean over the dimensions. The network is frozen, in eval mode and in the checkpoint.

    Arguments:
        features: any network, of data (B, ...).
        layers: the names of its modules whose outputs are compared, as in `named_modules`.
        power: `l1` or `l2`, of all differences.
        channels: repeat grey images to so many channels; None leaves them.

    Raises:
        UserError: the network has no such module, or the power is unknown.

    References:
        Non-Adversarial Image Synthesis with Generative Latent Nearest Neighbors (Hoshen, Malik, 2018), with VGG-16.
        https://arxiv.org/abs/1812.08985
    """

    def __init__(
        self,
        features: nn.Module,
        layers: Sequence[str],
        power: Literal["l1", "l2"] = "l1",
        channels: int | None = None,
    ) -> None:
        nn.Module.__init__(self)
        self.pixels, self.power, self.channels = Pixels(power), power, channels
        self.features = features.eval().requires_grad_(False)
        known = dict(features.named_modules())
        missing = [name for name in layers if name not in known]
        if missing or not layers:
            raise UserError(
                f"loss.layers={list(layers)}: {type(features).__name__} has no module {(missing or ['none'])[0]}; "
                f"it has {', '.join(name for name in known if name)}."
            )
        self._seen: list[Tensor] = []
        for name in layers:
            known[name].register_forward_hook(self._see)

    def _see(self, module: nn.Module, inputs: Any, output: Tensor) -> None:
        self._seen.append(output.clone())  # a layer after it may change it in place

    def train(self, mode: bool = True) -> "Perceptual":
        """Stays in eval mode."""
        return super().train(False)

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        """The distances of two batches (B, ...), (B,)."""
        total = self.pixels(x, y)
        both = torch.cat([x, y])
        if self.channels is not None and both.ndim == 4:
            both = both.expand(-1, self.channels, -1, -1)
        self._seen = []
        self.features(both)
        for output in self._seen:
            of_x, of_y = output.chunk(2)
            total = total + per_sample(of_x - of_y, self.power)
        self._seen = []
        return total

    __call__ = nn.Module.__call__
