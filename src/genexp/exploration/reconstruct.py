"""Test data above what the model makes of their latents."""

from typing import Any

import torch

from genexp.errors import UserError
from genexp.exploration.subject import Subject, as_rows


def explore(subject: Subject, n: int) -> tuple[str, float]:
    """Data of the `ref` split, which no training has seen, each above its reconstruction; their mean squared error.

    Arguments:
        subject: the trained model.
        n: how many, the first of the split.

    Raises:
        UserError: if the family does not encode.
    """
    model: Any = subject.model
    if not hasattr(model, "reconstruct"):
        raise UserError(f"{subject.name} does not encode data: take what=invert, which searches for their latents.")
    split = subject.data.split("ref")
    x, y = split.x[:n].to(model.device), split.y[:n]
    with torch.no_grad():
        again = model.reconstruct(x).float().cpu()
        z = model.encode(x).float().cpu() if hasattr(model, "encode") else None
    error = (again - x.cpu()).square().flatten(1).mean(dim=1)
    subject.picture("reconstruct", as_rows(x.cpu(), again), "data and their reconstructions", in_columns=True)
    subject.numbers("reconstruct", {"split": "ref"}, x=x, reconstructions=again, latents=z, classes=y, mse=error)
    return "mse", float(error.mean())
