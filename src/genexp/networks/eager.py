"""Networks as their own Python code, whoever has compiled them."""

from contextlib import AbstractContextManager
from typing import cast

import torch


def uncompiled() -> AbstractContextManager[None]:
    """Runs what `torch.compile` has wrapped as the Python code it was made from, for as long as the context lasts.

    A graph that AOTAutograd has compiled can be differentiated once. Whatever differentiates a gradient again
    (penalties on slopes, a look-ahead through an update) calls its networks in here; their backward passes may
    run outside.

    Example:
        >>> square = torch.compile(lambda x: x**2, backend="eager")
        >>> x = torch.tensor(3.0, requires_grad=True)
        >>> with uncompiled():
        ...     (slope,) = torch.autograd.grad(square(x), x, create_graph=True)
        >>> torch.autograd.grad(slope, x)[0].item()
        2.0
    """
    return cast(AbstractContextManager[None], torch.compiler.set_stance("force_eager"))
