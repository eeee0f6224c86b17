"""The flow of a trained game at its checkpoint: where its leading eigenvalues are."""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from genexp import config as configs
from genexp.assembly import load_trained
from genexp.data.module import DataModule
from genexp.dynamics.arena import Arena, OneDraw
from genexp.dynamics.spectrum import leading
from genexp.dynamics.verdict import Verdict
from genexp.errors import UserError
from genexp.models.base import Regime
from genexp.models.gan import GAN
from genexp.runs import Run
from genexp.training.clock import Clock
from genexp.training.ema import NoEMA
from genexp.training.schedules import Constant

STILL = 1e-3
"""A real part is neither side of zero if it is so small beside the modulus of the largest eigenvalue found."""


@dataclass(frozen=True)
class AtCheckpoint:
    """What the flow of a trained game is like.

    Attributes:
        step: of the checkpoint.
        weights: `raw` or `ema`, as they were found.
        eigenvalues: of the flow's Jacobian, largest real part first.
        norms: of each player's gradient.
        parameters: how many both have.
        verdict: of the flow; the optimizer is left out.
    """

    step: int
    weights: str
    eigenvalues: NDArray[np.complex128]
    norms: dict[str, float]
    parameters: int
    verdict: Verdict


def at_checkpoint(run: Run, eigenvalues: int, batch: int, weights: str, seed: int) -> AtCheckpoint:
    """The flow at a run's newest checkpoint, in float64 and in training mode.

    Arguments:
        run: the run of a GAN.
        eigenvalues: how many leading ones.
        batch: data and samples that the losses are means over.
        weights: `raw` or `ema`.
        seed: of the latents and of the first vector.

    Raises:
        UserError: the run has no checkpoint, is not of two players or has diverged, or has fewer parameters or data
            than asked for.
    """
    trained = load_trained(run, weights)
    model, config = trained.model, trained.config
    if not isinstance(model, GAN):
        raise UserError(
            f"{run.folder} is a run of {type(model).__name__}, which has one player: give the run of a GAN."
        )
    arena = Arena(_prepared(model, config, seed), _batch(configs.build(config.dataset, "dataset"), batch))
    if eigenvalues > arena.size - 2:
        raise UserError(f"eigenvalues={eigenvalues} are more than the run's {arena.size} parameters have.")
    here = torch.cat([parameter.detach().flatten() for parameter in arena.parameters])
    field = arena.flow(here)
    if not field.isfinite().all():
        raise UserError(f"The flow of {run.folder} is not finite at step {trained.step}: the run has diverged.")
    found = leading(arena, here, eigenvalues, seed)
    of_critic = sum(parameter.numel() for parameter in arena.critic)
    norms = {"critic": float(field[:of_critic].norm()), "generator": float(field[of_critic:].norm())}
    return AtCheckpoint(trained.step, trained.weights, found, norms, arena.size, _judged(found))


def _prepared(model: GAN, config: object, seed: int) -> GAN:
    plan, optimizer = (configs.build(getattr(config, name), name) for name in ("plan", "optimizer"))
    model.prepare(Regime(plan, optimizer, Constant(), NoEMA(), Clock(max_steps=2**40, images_per_step=1), seed))
    model.random = OneDraw(seed)
    return model.double().train()


def _batch(data: DataModule, size: int) -> dict[str, torch.Tensor]:
    split = data.split("train")
    if size > len(split.x):
        raise UserError(f"batch={size} is more than the {len(split.x)} data of {data.name}: give at most that.")
    return {"x": split.x[:size].double(), "y": split.y[:size], "index": torch.arange(size)}


def _judged(found: NDArray[np.complex128]) -> Verdict:
    first = complex(found[0])
    turning = complex(found[np.argmax(abs(found.imag))])
    size = float(abs(found).max())
    seen = f"the largest real part is {first.real:.3g}"
    if turning.imag:
        seen += f", and the fastest rotation among the leading ones {abs(turning.imag):.3g}"
    if abs(first.real) <= STILL * size:
        return Verdict("circles", f"To first order the flow neither damps nor drives its slowest direction: {seen}.")
    if first.real < 0:
        return Verdict("converges", f"To first order the flow damps every direction: {seen}.")
    return Verdict("diverges", f"To first order the flow drives at least one direction away: {seen}.")
