"""Random changes of images, differentiable, each a function of the images and of uniform numbers."""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from genexp.errors import UserError


def _share(name: str, **shares: float) -> None:
    for key, share in shares.items():
        if not 0 <= share <= 1:
            raise UserError(f"{name}: {key}={share} is out of range: give a number in [0, 1].")


def _per_image(numbers: Tensor) -> Tensor:
    return numbers[:, None, None, None]


def moved_pixels(size: int, share: float, draws: Tensor) -> Tensor:
    """The pixels that take the places 0, ..., `size` - 1 of each image's side, those outside it included.

    Arguments:
        size: pixels of the side.
        share: the largest distance as a share of it, at least one pixel.
        draws: numbers in [0, 1), one for each image (B,).

    Returns:
        whole numbers (B, size).
    """
    most = max(1, round(share * size))
    distance = (draws * (2 * most + 1)).long() - most  # (B,), in -most, ..., most
    return torch.arange(size, device=draws.device) + distance[:, None]


def picked(x: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
    """Images (B, C, H, W) with pixels taken from the rows (B, H) and columns (B, W) of each."""
    which = torch.arange(len(x), device=x.device)[:, None, None]
    return x.permute(0, 2, 3, 1)[which, rows[:, :, None], columns[:, None, :]].permute(0, 3, 1, 2)


class Transform:
    """A random change of images. Subclass it for one of your own.

    Attributes:
        draws: how many uniform numbers it takes for each image.
    """

    draws: ClassVar[int]

    def check(self, shape: tuple[int, ...]) -> None:
        """Raises UserError if it cannot change images of this shape (C, H, W)."""

    def __call__(self, x: Tensor, u: Tensor) -> Tensor:
        """Maps images (B, C, H, W) to images of the same shape, with numbers `u` (B, draws) in [0, 1)."""
        raise NotImplementedError


@dataclass(frozen=True)
class Colour(Transform):
    r"""Brightness, saturation and contrast.

    $x + b$ with $b$ uniform in $[-\text{brightness}, \text{brightness})$; the distance of each pixel from its own grey
    times a factor uniform in $[1 - \text{saturation}, 1 + \text{saturation})$; the distance of the image from its mean
    times a factor uniform in $[1 - \text{contrast}, 1 + \text{contrast})$. Saturation changes nothing in images of one
    channel.

    Raises:
        UserError: a number is not in [0, 1].

    Example:
        >>> x = torch.tensor([-0.5, 0.5]).reshape(1, 1, 1, 2)
        >>> Colour()(x, torch.tensor([[0.75, 0.5, 0.5]])).flatten().tolist()  # brighter by a quarter
        [-0.25, 0.75]
    """

    draws: ClassVar[int] = 3
    brightness: float = 0.5
    saturation: float = 1.0
    contrast: float = 0.5

    def __post_init__(self) -> None:
        _share("Colour", brightness=self.brightness, saturation=self.saturation, contrast=self.contrast)

    def __call__(self, x: Tensor, u: Tensor) -> Tensor:
        """Maps images (B, C, H, W) to images of the same shape."""
        brightness, saturation, contrast = (_per_image(2 * column - 1) for column in u.unbind(1))
        x = x + self.brightness * brightness
        grey = x.mean(1, keepdim=True)
        x = grey + (1 + self.saturation * saturation) * (x - grey)
        mean = x.mean((1, 2, 3), keepdim=True)
        return mean + (1 + self.contrast * contrast) * (x - mean)


@dataclass(frozen=True)
class Translation(Transform):
    """Moves images by whole pixels; what comes in from outside is 0, the middle of the range.

    Arguments:
        share: the largest distance as a share of the image's size, at least one pixel.

    Raises:
        UserError: the share is not in [0, 1].

    Example:
        >>> x = torch.arange(1.0, 5.0).reshape(1, 1, 2, 2)
        >>> Translation()(x, torch.tensor([[0.999, 0.5]])).flatten().tolist()  # one pixel up
        [3.0, 4.0, 0.0, 0.0]
    """

    draws: ClassVar[int] = 2
    share: float = 0.125

    def __post_init__(self) -> None:
        _share("Translation", share=self.share)

    def __call__(self, x: Tensor, u: Tensor) -> Tensor:
        """Maps images (B, C, H, W) to images of the same shape."""
        height, width = x.shape[2:]
        rows, columns = moved_pixels(height, self.share, u[:, 0]), moved_pixels(width, self.share, u[:, 1])
        inside = ((rows >= 0) & (rows < height))[:, :, None] & ((columns >= 0) & (columns < width))[:, None, :]
        return picked(x, rows.clamp(0, height - 1), columns.clamp(0, width - 1)) * inside[:, None]


@dataclass(frozen=True)
class Cutout(Transform):
    """Sets a rectangle in each image to 0, the middle of the range; it may hang over the edge.

    Arguments:
        share: its height and width as a share of the image's.

    Raises:
        UserError: the share is not in [0, 1].

    Example:
        >>> Cutout(share=0.5)(torch.ones(1, 1, 4, 4), torch.tensor([[0.5, 0.0]]))[0, 0].sum(1).tolist()
        [4.0, 3.0, 3.0, 4.0]
    """

    draws: ClassVar[int] = 2
    share: float = 0.5

    def __post_init__(self) -> None:
        _share("Cutout", share=self.share)

    def __call__(self, x: Tensor, u: Tensor) -> Tensor:
        """Maps images (B, C, H, W) to images of the same shape."""
        rows, columns = self._hole(x.shape[2], u[:, 0]), self._hole(x.shape[3], u[:, 1])
        return x * ~(rows[:, :, None] & columns[:, None, :])[:, None]

    def _hole(self, size: int, draws: Tensor) -> Tensor:
        """Whether the pixels (B, size) along one side are in the rectangle, whose centre is anywhere in the image."""
        length = round(self.share * size)
        start = (draws * (size + 1 - length % 2)).long() - length // 2  # (B,)
        pixels = torch.arange(size, device=draws.device) - start[:, None]
        return (pixels >= 0) & (pixels < length)


@dataclass(frozen=True)
class Mirror(Transform):
    """Mirrors half of the images left to right.

    Example:
        >>> Mirror()(torch.tensor([1.0, 2.0]).reshape(1, 1, 1, 2), torch.zeros(1, 1)).flatten().tolist()
        [2.0, 1.0]
    """

    draws: ClassVar[int] = 1

    def __call__(self, x: Tensor, u: Tensor) -> Tensor:
        """Maps images (B, C, H, W) to images of the same shape."""
        return torch.where(_per_image(u[:, 0] < 0.5), x.flip(3), x)


@dataclass(frozen=True)
class QuarterTurns(Transform):
    """Turns images by 0, 90, 180 or 270 degrees, each as often.

    Raises:
        UserError: on `check`, if the images are not square.
    """

    draws: ClassVar[int] = 1

    def check(self, shape: tuple[int, ...]) -> None:
        """Raises UserError unless images of this shape (C, H, W) are square."""
        if shape[1] != shape[2]:
            raise UserError(f"Quarter turns need square images, not {shape}: take them out of augment.transforms.")

    def __call__(self, x: Tensor, u: Tensor) -> Tensor:
        """Maps square images (B, C, H, W) to images of the same shape."""
        turns = _per_image((4 * u[:, 0]).long())
        x = torch.where(turns % 2 == 1, x.rot90(1, (2, 3)), x)
        return torch.where(turns >= 2, x.flip(2, 3), x)
