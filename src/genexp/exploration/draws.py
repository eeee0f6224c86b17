"""Draws of a trained model that keep their latents, so that decoding these gives the samples again."""

from collections.abc import Callable
from dataclasses import dataclass
from inspect import signature
from typing import Any

import torch
from torch import Tensor, nn

from genexp.errors import UserError
from genexp.models.base import GenerativeModel
from genexp.models.sampling import draw
from genexp.training.randomness import mix

CHUNK = 500
"""Samples made at once, as `genexp.models.sampling.draw` makes them: the samples depend on it."""
ROUNDS = 1000
"""Draws that truncation takes; with a threshold of 0.01 the chance that a latent is still beyond it is 3e-4."""


@dataclass(frozen=True)
class Draw:
    """Samples and what they were made of.

    Attributes:
        samples: (n, *shape) in [-1, 1], on the CPU.
        latents: (n, latent_dim); None for a family without.
        classes: long (n,); None for a family without conditioning.
    """

    samples: Tensor
    latents: Tensor | None
    classes: Tensor | None


def draw_with_latents(
    model: GenerativeModel,
    n: int,
    seed: int,
    temperature: float = 1.0,
    truncation: float | None = None,
    classes: Tensor | None = None,
) -> Draw:
    """`n` samples as a function of `seed`; without truncation those of `genexp.models.sampling.draw`.

    Arguments:
        model: the model, in eval mode with the weights to use.
        n: how many.
        seed: the samples are a function of it.
        temperature: factor on the standard deviation of the latents.
        truncation: latents beyond so many standard deviations are drawn again, see `draw_latents`; a decoder with a
            method `truncated(z, psi)` is asked for psi = `truncation` instead.
        classes: long (n,); None takes a conditional family's classes in turn.

    Raises:
        UserError: if truncation is asked of a family without latents, or is out of range.
    """
    classes = model.classes(n, classes)
    own = None if truncation is None else _own_truncation(model)
    z = draw_latents(model, n, seed, temperature, truncation if own is None else None, classes)
    if z is None:
        if truncation is not None:
            raise UserError(f"{type(model).__name__} has no latents to truncate: leave truncation out.")
        return Draw(draw(model, n, seed, temperature=temperature, y=classes), None, _on_cpu(classes))
    if own is None:
        samples = decoded(model, z, classes)
    else:
        with torch.no_grad():
            samples = torch.cat([own(part, truncation).float().cpu() for part in z.split(CHUNK)])
    return Draw(samples, z.cpu(), _on_cpu(classes))


def draw_latents(
    model: GenerativeModel,
    n: int,
    seed: int,
    temperature: float = 1.0,
    truncation: float | None = None,
    classes: Tensor | None = None,
) -> Tensor | None:
    """Latents (n, latent_dim) as a function of `seed`; None for a family without.

    With `truncation` they are of the truncated normal: each number beyond so many standard deviations is drawn again
    until it lies within. Numbers that are not Gaussian, such as codes and classes among the latents, stay: the
    temperature does not double them.

    Arguments:
        model: the model.
        n: how many.
        seed: the latents are a function of it.
        temperature: factor on the standard deviation.
        truncation: the threshold, in standard deviations; None for none.
        classes: long (n,), for a family whose classes are places among the latents.

    Raises:
        UserError: if the threshold is not positive or so small that the draws do not end, or no number is Gaussian.

    References:
        Large Scale GAN Training for High Fidelity Natural Image Synthesis, Brock, Donahue and Simonyan, 2019, section
        3.1. https://arxiv.org/abs/1809.11096
    """
    if truncation is not None and truncation <= 0:
        raise UserError(f"truncation={truncation} is out of range: give more than 0, such as 0.7.")
    parts = []
    for start in range(0, n, CHUNK):
        size, of_chunk = min(CHUNK, n - start), None if classes is None else classes[start : start + CHUNK]
        with torch.no_grad():
            z = _latents(model, size, mix(seed, start), temperature, of_chunk)
            if z is not None and truncation is not None:
                z = _truncated(model, z, mix(seed, start), temperature, truncation, of_chunk)
        if z is None:
            return None
        parts.append(z)
    return torch.cat(parts)


def decoded(model: GenerativeModel, z: Tensor, classes: Tensor | None = None) -> Tensor:
    """Data (n, *shape) of latents (n, latent_dim), on the CPU.

    Arguments:
        model: a family with `decode`, in eval mode.
        z: the latents.
        classes: long (n,) for a conditional family.
    """
    with torch.no_grad():
        parts = [
            decode(model, z[start : start + CHUNK], None if classes is None else classes[start : start + CHUNK])
            for start in range(0, len(z), CHUNK)
        ]
    return torch.cat([part.float().cpu() for part in parts])


def decode(model: GenerativeModel, z: Tensor, classes: Tensor | None = None) -> Tensor:
    """Data of latents, with gradients; families without conditioning are not told of classes."""
    decoder: Any = model
    return decoder.decode(z) if classes is None else decoder.decode(z, classes)


def chosen_classes(model: GenerativeModel, chosen: Any, n: int) -> Tensor | None:
    """The classes of `n` samples, long (n,), the chosen ones in turn; None for a family without conditioning.

    Arguments:
        model: the model.
        chosen: a class, several as `0,1,2` or a list, `all`, or None for all.
        n: how many samples.

    Raises:
        UserError: if there are no such classes, or the family has none.
    """
    if chosen is None:
        return model.classes(n)
    if model.num_classes is None:
        raise UserError(f"{type(model).__name__} is not told classes: leave class={_shown(chosen)} out.")
    words = chosen if isinstance(chosen, list) else str(chosen).split(",")
    known = range(model.num_classes)
    try:
        picked = list(known) if chosen == "all" else [known[known.index(int(word))] for word in words]
    except (ValueError, TypeError):
        raise UserError(
            f"class={_shown(chosen)} is unknown: give one of 0 to {model.num_classes - 1}, several as 0,1,2, or all."
        ) from None
    return torch.tensor(picked, device=model.device)[torch.arange(n, device=model.device) % len(picked)]


def _latents(model: GenerativeModel, n: int, seed: int, temperature: float, classes: Tensor | None) -> Tensor | None:
    latents: Callable[..., Tensor | None] = model.latents
    if classes is not None and "y" in signature(latents).parameters:
        return latents(n, seed, temperature, y=classes)
    return latents(n, seed, temperature)


def _truncated(
    model: GenerativeModel, z: Tensor, seed: int, temperature: float, truncation: float, classes: Tensor | None
) -> Tensor:
    doubled = _latents(model, len(z), seed, 2.0 * temperature, classes)
    assert doubled is not None
    gaussian = torch.isclose(doubled, 2.0 * z)
    if not gaussian.any():
        raise UserError(f"The latents of {type(model).__name__} are not Gaussian: leave truncation out.")
    for attempt in range(1, ROUNDS):
        beyond = gaussian & (z.abs() > truncation * temperature)
        if not beyond.any():
            return z
        again = _latents(model, len(z), mix(seed, attempt), temperature, classes)
        assert again is not None
        z = torch.where(beyond, again, z)
    raise UserError(f"truncation={truncation} keeps almost no latents: give 0.01 or more.")


def _own_truncation(model: GenerativeModel) -> Any:
    """The method `truncated` of the network that makes the samples; None if there is none."""
    parts: list[nn.Module] = [getattr(model, name) for name in model.averaged]
    return next((part.truncated for part in parts if hasattr(part, "truncated")), None)


def _on_cpu(classes: Tensor | None) -> Tensor | None:
    return None if classes is None else classes.cpu()


def _shown(chosen: Any) -> str:
    return ",".join(map(str, chosen)) if isinstance(chosen, list) else str(chosen)
