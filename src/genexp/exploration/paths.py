r"""Paths between latents.

Between two latents $a$ and $b$, for $t$ from 0 to 1:

- linear: $(1 - t) a + t b$, whose norm sags in the middle: of two independent Gaussian latents to
  $\sqrt{1/2}$ of what the decoder was trained on;
- spherical: $\frac{\sin((1 - t) \Omega)}{\sin \Omega} a + \frac{\sin(t \Omega)}{\sin \Omega} b$ with the angle
  $\Omega$ between the two: latents of one norm keep it;
- cos-sin: $\cos(\pi t / 2) a + \sin(\pi t / 2) b$, which of two independent $N(0, I)$ is $N(0, I)$ at each $t$.

All begin at $a$ and end at $b$ to the last bit.

References:
    Sampling Generative Networks, White, 2016, for the spherical path. https://arxiv.org/abs/1609.04468
"""

import math
from collections.abc import Callable, Mapping
from types import MappingProxyType

import torch
from torch import Tensor

from genexp.errors import UserError

PARALLEL = 1e-6
"""The sine of an angle below which the spherical path is the linear one."""

Weights = Callable[[Tensor, Tensor, Tensor], tuple[Tensor, Tensor]]


def linear(a: Tensor, b: Tensor, t: Tensor) -> tuple[Tensor, Tensor]:
    """The weights of `a` and `b` (N, d) at times t (S,): (S, N, 1) each."""
    return (1 - t)[:, None, None].expand(-1, len(a), 1), t[:, None, None].expand(-1, len(a), 1)


def spherical(a: Tensor, b: Tensor, t: Tensor) -> tuple[Tensor, Tensor]:
    """As `linear`; two latents in one line, which have no angle or no plane, are joined by the line."""
    cosine = torch.nn.functional.cosine_similarity(a, b, dim=1).clamp(-1.0, 1.0)
    angle = cosine.acos()[None, :, None]  # (1, N, 1)
    sine = angle.sin()
    safe = sine.clamp(min=PARALLEL)
    straight = linear(a, b, t)
    times = t[:, None, None]
    curved = ((1 - times) * angle).sin() / safe, (times * angle).sin() / safe
    of_a, of_b = (torch.where(sine < PARALLEL, line, curve) for line, curve in zip(straight, curved, strict=True))
    return of_a, of_b


def cos_sin(a: Tensor, b: Tensor, t: Tensor) -> tuple[Tensor, Tensor]:
    """As `linear`."""
    angle = (t * math.pi / 2)[:, None, None].expand(-1, len(a), 1)
    return angle.cos(), angle.sin()


PATHS: Mapping[str, Weights] = MappingProxyType({"linear": linear, "spherical": spherical, "cos-sin": cos_sin})


def between(name: str, a: Tensor, b: Tensor, steps: int) -> Tensor:
    """Latents on the way from each of `a` to its partner in `b`, ends included: (N, steps, d).

    Arguments:
        name: `linear`, `spherical` or `cos-sin`.
        a: the first latents, (N, d).
        b: the last latents, (N, d).
        steps: latents of a path, at least 2.

    Raises:
        UserError: if there is no such path, or it is too short.

    Example:
        >>> a, b = torch.tensor([[1.0, 0.0]]), torch.tensor([[0.0, 1.0]])
        >>> between("spherical", a, b, 3)[0, 1]
        tensor([0.7071, 0.7071])
    """
    if name not in PATHS:
        raise UserError(f"path={name} is unknown: choose one of {', '.join(PATHS)}.")
    if steps < 2:
        raise UserError(f"steps={steps} is out of range: a path has 2 ends or more.")
    first, last = a.double(), b.double()
    t = torch.linspace(0.0, 1.0, steps, dtype=torch.float64, device=a.device)
    of_a, of_b = PATHS[name](first, last, t)
    points = (of_a * first + of_b * last).to(a.dtype).transpose(0, 1).contiguous()  # (N, S, d)
    points[:, 0], points[:, -1] = a, b
    return points


def loop(name: str, keyframes: Tensor, steps: int) -> Tensor:
    """A closed walk through keyframes (K, N, d), `steps` latents from each to the next: (N, K * steps, d).

    The last latent is one step before the first, so that a film of them has no seam.

    Raises:
        UserError: as `between`, or with a single keyframe.
    """
    if len(keyframes) < 2:
        raise UserError(f"keyframes={len(keyframes)} is out of range: a walk needs 2 or more.")
    ways = [between(name, a, b, steps + 1)[:, :-1] for a, b in zip(keyframes, keyframes.roll(-1, 0), strict=True)]
    return torch.cat(ways, dim=1)
