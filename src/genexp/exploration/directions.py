r"""Closed-form latent directions.

The first affine layer of a decoder maps latents to $W z + b$. A step along a unit vector $v$ changes its output by
$\|W v\|$, whatever the latent: the eigenvectors of $W^\top W$ are the directions that change most, in order, and their
eigenvalues the squares of how much.

References:
    Closed-Form Factorization of Latent Semantics in GANs (SeFa), Shen and Zhou, 2021.
    https://arxiv.org/abs/2007.06600
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from genexp.errors import UserError
from genexp.exploration.draws import decode
from genexp.exploration.subject import Subject
from genexp.models.base import GenerativeModel

TOLERANCE = 1e-4
"""Largest error of affinity, relative to the layer's output."""


@dataclass(frozen=True)
class Directions:
    """Unit vectors, the most telling first.

    Attributes:
        vectors: (K, latent_dim).
        eigenvalues: of $W^T W$, (K,).
        layer: the name of the layer of W.
    """

    vectors: Tensor
    eigenvalues: Tensor
    layer: str


@dataclass(frozen=True)
class _Layer:
    name: str
    module: nn.Module
    seen: Tensor  # what it was given for some latents, (B, ...)


def explore(subject: Subject, count: int, steps: int, reach: float) -> None:
    """A row for each direction: a latent moved along it, from one side to the other.

    Arguments:
        subject: the trained model.
        count: how many directions; as many as the latents have dimensions, at most.
        steps: data in a row; the middle one of an odd number is the latent itself.
        reach: how far to either side, in standard deviations of the latents.

    Raises:
        UserError: if the decoder does not begin with an affine layer, or a number is out of range.
    """
    z = subject.latents(1)
    count = min(count, z.shape[1])
    if steps < 2 or reach <= 0:
        raise UserError(f"steps={steps} reach={reach}: give 2 steps or more and a reach of more than 0.")
    classes = subject.classes(1)
    found = directions(subject.model, z, classes, count)
    offsets = torch.linspace(-reach, reach, steps, device=z.device)
    moved = z + offsets[None, :, None] * found.vectors[:, None, :]  # (count, steps, d)
    of_rows = None if classes is None else classes.expand(count)
    x = subject.decode(moved, of_rows)
    subject.picture("directions", x, f"{count} directions of {found.layer}")
    facts = {"layer": found.layer, "reach": reach}
    subject.numbers("directions", facts, directions=found.vectors, eigenvalues=found.eigenvalues, latents=z, samples=x)


def directions(model: GenerativeModel, z: Tensor, classes: Tensor | None, count: int) -> Directions:
    """The first `count` eigenvectors of $W^T W$, each with its largest component positive.

    Arguments:
        model: a family with `decode`, in eval mode.
        z: a latent (1, latent_dim), to see what the first layer is given.
        classes: its class (1,) in a conditional family.
        count: how many.

    Raises:
        UserError: if the first layer with weights is not an affine map of the latents.
    """
    with torch.no_grad():
        weight, name = first_affine(model, z, classes)
    gram = weight.double().T @ weight.double()
    values, vectors = torch.linalg.eigh(gram)  # ascending
    chosen = vectors.T.flip(0)[:count]
    signs = chosen.gather(1, chosen.abs().argmax(dim=1, keepdim=True)).sign()
    padded = torch.zeros(len(chosen), z.shape[1], dtype=torch.float64, device=z.device)
    padded[:, : weight.shape[1]] = chosen * signs
    return Directions(padded.to(z.dtype), values.flip(0)[:count].to(z.dtype), name)


def first_affine(model: GenerativeModel, z: Tensor, classes: Tensor | None) -> tuple[Tensor, str]:
    """The matrix W (outputs, p) of the first layer that has weights, and its name.

    Any layer is known by what it does: W's columns are its outputs at the unit vectors less that at zero. It reads all
    of the latents, or their first p numbers, perhaps beside a class.

    Raises:
        UserError: if it is not an affine map of the latents.
    """
    layer = _first_layer(model, z, classes)
    given = layer.seen.flatten(1)
    p = min(given.shape[1], z.shape[1])
    refusal = UserError(
        f"{layer.name} is no affine map of the latents: closed-form directions need a decoder with one."
    )
    if not torch.equal(given[:, :p], z[:, :p]):
        raise refusal

    def output(first: Tensor) -> Tensor:
        rows = given.expand(len(first), -1).clone()
        rows[:, :p] = first
        return layer.module(rows.reshape(len(first), *layer.seen.shape[1:])).flatten(1)

    at_zero = output(torch.zeros_like(z[:, :p]))
    weight = (output(torch.eye(p, dtype=z.dtype, device=z.device)) - at_zero).T
    expected, actual = z[:, :p] @ weight.T + at_zero, output(z[:, :p])
    if (actual - expected).abs().max() > TOLERANCE * actual.abs().max():
        raise refusal
    return weight, layer.name


def _first_layer(model: GenerativeModel, z: Tensor, classes: Tensor | None) -> _Layer:
    calls: list[_Layer] = []
    names = {module: name for name, module in model.named_modules()}

    def note(module: nn.Module, given: tuple[Tensor, ...]) -> None:
        if given and given[0].is_floating_point():
            calls.append(_Layer(names[module], module, given[0]))

    hooks = [layer.register_forward_pre_hook(note) for layer in model.modules() if _is_layer(layer)]
    try:
        decode(model, z, classes)
    finally:
        for hook in hooks:
            hook.remove()
    if not calls:
        raise UserError(f"{type(model).__name__} decodes with no layer of weights: it has no closed-form directions.")
    return calls[0]


def _is_layer(module: nn.Module) -> bool:
    """Whether a module has weights and no modules below it but those that make the weights, such as a spectral norm."""
    below = {name for name, _ in module.named_children()}
    return below <= {"parametrizations"} and (bool(below) or any(True for _ in module.parameters(recurse=False)))
