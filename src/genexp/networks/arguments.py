"""What a network's arguments may be: each check ends in one sentence that says what to change."""

from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

from genexp.errors import UserError

Part = TypeVar("Part")


def choose(
    choice: str | Callable[..., Part], named: Mapping[str, Callable[..., Part]], key: str
) -> Callable[..., Part]:
    """Looks a part up by its name, and lets a callable pass: a person's own part needs no registration.

    Arguments:
        choice: a name in `named`, or a callable that builds the part.
        named: the parts that have a name.
        key: the config key that the choice came from, for the error.

    Raises:
        UserError: the name is unknown.
    """
    if callable(choice):
        return choice
    if choice not in named:
        raise UserError(f"{key}={choice} is unknown: choose one of {', '.join(named)}.")
    return named[choice]


def at_least(minimum: int, **values: int) -> None:
    """Checks that counts and widths are not below a minimum.

    Raises:
        UserError: one of them is.
    """
    for key, value in values.items():
        if value < minimum:
            raise UserError(f"{key}={value} is too small: give at least {minimum}.")


def data_shape(shape: Sequence[int]) -> tuple[int, ...]:
    """Returns the shape of one sample, (D,) or (C, H, W), as a tuple of ints.

    Raises:
        UserError: the shape is neither a vector's nor an image's.
    """
    dims = tuple(int(size) for size in shape)
    if len(dims) not in (1, 3) or min(dims) < 1:
        raise UserError(f"A sample is a vector (D,) or an image (C, H, W), not of shape {dims}: reshape the data.")
    return dims


def square_image_shape(shape: Sequence[int], network: str) -> tuple[int, int]:
    """Returns (channels, size) of a square image.

    Arguments:
        shape: the shape of one sample.
        network: the config option that needs images, for the error.

    Raises:
        UserError: the data is not images, or they are not square.
    """
    dims = tuple(int(size) for size in shape)
    if len(dims) != 3:
        raise UserError(f"network={network} needs images (C, H, W), but the data has shape {dims}: use network=mlp.")
    channels, height, width = dims
    if height != width:
        raise UserError(
            f"network={network} needs square images, but the data has shape {dims}: "
            "crop or pad them to a square, or use network=mlp."
        )
    return channels, height
