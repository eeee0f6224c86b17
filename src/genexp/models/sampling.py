"""Samples for a scorer that never sees the model."""

import torch
from torch import Tensor

from genexp.models.base import GenerativeModel
from genexp.training.randomness import mix

ROWS, MOST_COLUMNS = 8, 16
"""Samples of a class, and classes, in a picture of all classes."""


def labels_for(model: GenerativeModel, labels: Tensor | None) -> Tensor | None:
    """The data's classes as a model may be asked for them: themselves, or None if it knows no such classes."""
    return labels if model.asked_for_classes else None


def class_sheet(model: GenerativeModel, seed: int) -> tuple[Tensor, int] | None:
    """Samples that show each class, (8 * K, *shape), class after class in turn, and the number K of classes shown.

    In rows of K each column is one class. None for a family without classes; more than 16 are not shown.
    """
    if model.num_classes is None:
        return None
    columns = min(model.num_classes, MOST_COLUMNS)
    return draw(model, ROWS * columns, seed, y=torch.arange(ROWS * columns) % columns), columns


def draw(
    model: GenerativeModel,
    n: int,
    seed: int,
    chunk: int = 500,
    temperature: float = 1.0,
    y: Tensor | None = None,
) -> Tensor:
    """`n` samples as a function of `seed`, (n, *shape) on the CPU.

    Arguments:
        model: the model, already in eval mode with the weights to use.
        n: how many.
        seed: the samples are a function of it (and of `chunk`).
        chunk: samples made at once.
        temperature: factor on the standard deviation of the latents.
        y: class of each, long (n,); None takes a conditional family's classes in turn. Families without
            conditioning ignore it.

    Raises:
        UserError: a conditional family has no such class.
    """
    classes = model.classes(n, y)
    with torch.no_grad():
        parts = [
            model.sample(
                min(chunk, n - start),
                None if classes is None else classes[start : start + chunk],
                mix(seed, start),
                temperature,
            )
            for start in range(0, n, chunk)
        ]
    return torch.cat([part.float().cpu() for part in parts])
