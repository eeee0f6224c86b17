"""Latents of data, found by optimisation."""

import math
import sys
from dataclasses import dataclass

import torch
from rich.console import Console
from rich.progress import Progress
from torch import Tensor

from genexp.errors import UserError
from genexp.exploration.draws import decode
from genexp.exploration.subject import Subject, as_rows
from genexp.models.base import GenerativeModel
from genexp.training.randomness import mix

SOURCES = ("data", "samples")


@dataclass(frozen=True)
class Inversion:
    """What was found.

    Attributes:
        latents: (n, latent_dim).
        recovered: what they decode to, (n, *shape).
        mse: mean squared error of each, (n,).
    """

    latents: Tensor
    recovered: Tensor
    mse: Tensor


def explore(subject: Subject, n: int, of: str, restarts: int, steps: int, lr: float) -> tuple[str, float]:
    """Data above what the model makes of the latents that come nearest to them; the mean squared error.

    Arguments:
        subject: the trained model.
        n: how many.
        of: `data`, the first of the `ref` split, which no training has seen; or the model's own `samples`.
        restarts: latents that the search for each datum starts from.
        steps: of Adam.
        lr: its learning rate, which a cosine takes to zero.

    Raises:
        UserError: if the family does not decode latents, a setting is out of range, or the data are fewer.
    """
    if of not in SOURCES:
        raise UserError(f"of={of} is unknown: choose {' or '.join(SOURCES)}.")
    starts = torch.stack([subject.latents(n, mix(subject.seed, 1, k)) for k in range(restarts)])
    classes = subject.classes(n)
    if of == "samples":
        x = subject.decode(subject.latents(n)[:, None], classes)[:, 0]
    else:
        split = subject.data.split("ref")
        if n > len(split.x):
            raise UserError(f"n={n} is more than the {len(split.x)} data of the ref split: give at most that.")
        x = split.x[:n]
        if classes is not None and subject.chosen is None:
            classes = split.y[:n].to(classes.device)
    found = invert(subject.model, x, starts, classes, steps, lr, progress=sys.stderr.isatty())
    pairs = as_rows(x, found.recovered)
    subject.picture(f"invert-{of}", pairs, f"{of} and what their latents decode to", in_columns=True)
    facts = {"of": of, "restarts": restarts, "steps": steps, "lr": lr}
    subject.numbers(
        f"invert-{of}", facts, x=x, latents=found.latents, recovered=found.recovered, mse=found.mse, classes=classes
    )
    return "mse", float(found.mse.mean())


def invert(
    model: GenerativeModel,
    x: Tensor,
    starts: Tensor,
    classes: Tensor | None,
    steps: int,
    lr: float,
    progress: bool = False,
) -> Inversion:
    r"""Minimise $\|G(z) - x\|^2$ for each datum by Adam, from several latents at once; the best end is kept.

    All searches are one batch. They do not touch each other: the gradient of the summed error with respect to one
    latent is that of its own error, and Adam works number by number.

    Arguments:
        model: a family with `decode`, in eval mode.
        x: data, (n, *shape).
        starts: latents to start from, (restarts, n, latent_dim).
        classes: long (n,) in a conditional family.
        steps: of Adam.
        lr: the learning rate, which a cosine takes to zero.
        progress: show a bar.

    Raises:
        UserError: if a number is out of range.
    """
    if steps < 1 or lr <= 0 or len(starts) < 1:
        raise UserError(f"steps={steps} lr={lr} restarts={len(starts)}: give 1 or more steps and restarts, lr above 0.")
    restarts, n = starts.shape[:2]
    target = x.to(model.device).repeat(restarts, *[1] * (x.ndim - 1))  # (restarts * n, *shape)
    of_each = None if classes is None else classes.repeat(restarts)
    z = starts.flatten(0, 1).clone().requires_grad_(True)
    optimizer = torch.optim.Adam([z], lr=lr)
    with torch.enable_grad(), Progress(console=Console(stderr=True), transient=True, disable=not progress) as bar:
        task = bar.add_task("inverting", total=steps)
        for step in range(steps):
            optimizer.param_groups[0]["lr"] = lr * 0.5 * (1 + math.cos(math.pi * step / steps))
            error = (decode(model, z, of_each) - target).square().flatten(1).mean(dim=1)
            (z.grad,) = torch.autograd.grad(error.sum(), z)
            optimizer.step()
            bar.advance(task)
    with torch.no_grad():
        recovered = decode(model, z, of_each)
        error = (recovered - target).square().flatten(1).mean(dim=1).unflatten(0, (restarts, n))
        error = error.nan_to_num(math.inf)
        rows = error.argmin(dim=0) * n + torch.arange(n, device=error.device)
    return Inversion(z.detach()[rows].cpu(), recovered[rows].float().cpu(), error.amin(dim=0).cpu())
