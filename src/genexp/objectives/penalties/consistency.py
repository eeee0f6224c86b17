"""Consistency: a critic should score a datum and its augmented copy alike."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import ClassVar, Protocol

import torch
import torch.nn.functional as F
from torch import Tensor

from genexp.errors import UserError
from genexp.objectives.augmentation.transforms import moved_pixels, picked
from genexp.objectives.penalties.base import Critic, CriticPenalty, Step, precise


class Augmentation(Protocol):
    """A random map of data that leaves alone what they show."""

    def __call__(self, x: Tensor, uniform: Callable[..., Tensor]) -> Tensor:
        """Maps data (B, ...) to data (B, ...), with numbers from `uniform(n, *shape)`."""
        ...


@dataclass(frozen=True)
class Nudge:
    """Images moved by whole pixels, one distance for each image and direction; points with noise on them.

    Pixels that come in from outside repeat the edge.

    Arguments:
        shift: the largest distance as a share of the image's size, at least one pixel.
        flip: also mirror half of the images, where left and right mean nothing (photographs, not digits).
        noise: what is added to each coordinate of a point is uniform in [-noise, noise).

    Raises:
        UserError: a number is out of range.

    Example:
        >>> x = torch.arange(4.0).reshape(1, 1, 2, 2)
        >>> Nudge()(x, lambda *shape: torch.full(shape, 0.999)).flatten().tolist()  # one pixel up and to the left
        [3.0, 3.0, 3.0, 3.0]
    """

    shift: float = 0.125
    flip: bool = False
    noise: float = 0.05

    def __post_init__(self) -> None:
        if not 0 < self.shift <= 0.5 or not self.noise > 0:
            raise UserError(
                f"Nudge: shift={self.shift}, noise={self.noise}: give a shift in (0, 0.5] and a noise above 0."
            )

    def __call__(self, x: Tensor, uniform: Callable[..., Tensor]) -> Tensor:
        """Maps images (B, C, H, W), or points (B, D), to data of the same shape."""
        if x.ndim != 4:
            return x + self.noise * (2 * uniform(*x.shape).to(x) - 1)
        draws = uniform(len(x), 3).to(x.device)
        rows, columns = self._window(x.shape[2], draws[:, 0]), self._window(x.shape[3], draws[:, 1])
        if self.flip:
            columns = torch.where(draws[:, 2:] < 0.5, columns.flip(1), columns)
        return picked(x, rows, columns)

    def _window(self, size: int, draws: Tensor) -> Tensor:
        """The pixels (B, size) that take the places 0, ..., `size` - 1 of each image."""
        return moved_pixels(size, self.shift, draws).clamp(0, size - 1)


@dataclass(frozen=True)
class Consistency(CriticPenalty):
    r"""The critic scores a datum and its augmented copy $T(x)$ alike, and so must look at what $T$ leaves alone.

    $$E_p\,(D(x) - D(T(x)))^2 + c\,E_q\,(D(G(z)) - D(T(G(z))))^2$$

    With $c = 0$ it is CR-GAN's; with $c > 0$, balanced (bCR), the generator is kept from drawing the augmentation's
    traces.

    Arguments:
        weight: the factor of the penalty.
        samples: the factor $c$ on samples.
        augment: the map $T$, an `Augmentation`.
        interval: evaluated every so many steps.

    Raises:
        UserError: a number is out of range.

    References:
        Consistency Regularization for Generative Adversarial Networks (Zhang et al., 2019),
        https://arxiv.org/abs/1910.12027
        Improved Consistency Regularization for GANs (Zhao et al., 2020), https://arxiv.org/abs/2002.04724
    """

    per_sample: ClassVar[bool] = False
    bounds_critic: ClassVar[bool] = False
    weight: float = 10.0
    samples: float = 0.0
    augment: Augmentation = field(default_factory=Nudge)
    interval: int = 1

    def __post_init__(self) -> None:
        super().__post_init__()
        self.check_range(samples=self.samples)

    def __call__(self, critic: Critic, real: Tensor, fake: Tensor, step: Step) -> Tensor:
        """Returns the mean squared difference of the scores of data (and samples) and of their copies."""
        total = self._difference(critic, precise(real), step)
        return total + self.samples * self._difference(critic, precise(fake), step) if self.samples else total

    def _difference(self, critic: Critic, x: Tensor, step: Step) -> Tensor:
        copies = self.augment(x, step.uniform)
        with torch.autocast(x.device.type, enabled=False):
            # two passes: BatchNorm normalises data and copies each by their own statistics
            return F.mse_loss(critic(copies), critic(x))
