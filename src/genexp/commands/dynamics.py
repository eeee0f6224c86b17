"""`genexp dynamics`: what a game does at its equilibrium, and why."""

import json
from typing import TYPE_CHECKING, Any

from genexp import atomic
from genexp import config as configs
from genexp.commands.arguments import refuse_unknown_flags, run_and_settings, take_flag, take_option
from genexp.dynamics.settings import PARTS, compose_dynamics, folder, title
from genexp.errors import UserError
from genexp.runs import Run
from genexp.storage.copies import copied, is_model, put
from genexp.storage.places import shown

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from genexp.dynamics.verdict import Path

USAGE = "genexp dynamics [key=value ...] [--config-dir DIR], or genexp dynamics RUN [key=value ...]"
DEFAULTS = {"eigenvalues": 6, "batch": 256, "weights": "raw", "seed": 0}
HELP = f"""{USAGE}

Of a game that is small enough to be known: a phase portrait under the update plan and the optimizers of genexp train,
the eigenvalues at the equilibrium, and a verdict: converges, circles or diverges. Everything is set by Hydra overrides:

  game=dirac            dirac | scale | gaussian, each with its start, such as game.phi=0.5
  loss= penalty= constraint= plan= optimizer=   the groups of genexp train, with their keys
  optimizer.lr=0.1      the learning rate
  steps=500             steps of the trajectories
  trajectories=3        how many are drawn; the first is measured
  out=DIR               the folder for portrait.png and dynamics.json

Of a trained run: the leading eigenvalues of its game's flow at the newest checkpoint, found without the matrix.

  eigenvalues=6         how many
  batch=256             data and samples that the losses are means over
  weights=raw           raw | ema
  seed=0                of the latents and of the first vector
"""


def main(arguments: list[str]) -> int:
    """Run `genexp dynamics`."""
    arguments = list(arguments)
    if take_flag(arguments, "-h", "--help"):
        print(HELP, end="")
        return 0
    config_dir = take_option(arguments, "--config-dir")
    refuse_unknown_flags(arguments, USAGE)
    if all("=" in argument for argument in arguments):
        return _of_game(arguments, config_dir)
    run, settings = run_and_settings(arguments, DEFAULTS, USAGE)
    _check(settings)
    return _of_run(Run.open(copied(run, is_model)), settings)


def _of_game(overrides: list[str], config_dir: str | None) -> int:
    composed = compose_dynamics(overrides, config_dir)
    import torch

    from genexp.dynamics.arena import build
    from genexp.dynamics.pictures import draw, starts
    from genexp.dynamics.spectrum import spectrum
    from genexp.dynamics.verdict import Path, judge

    torch.set_num_threads(1)  # the tensors have a few numbers
    config = composed.config
    game, arena = build({part: configs.build(config[part], part) for part in PARTS})
    found = spectrum(arena, game.equilibrium)
    paths = [arena.trajectory(start, config.steps) for start in starts(game, config.trajectories)]
    measured = Path((paths[0] - game.equilibrium).norm(dim=1).numpy(), config.steps)
    verdict = judge(found, measured)
    target = folder(composed)
    target.mkdir(parents=True, exist_ok=True)
    draw(game, arena, paths, found, verdict, title(composed), target / "portrait.png")
    numbers = {
        "verdict": verdict.word,
        "reason": verdict.reason,
        "spectral_radius": found.radius,
        "eigenvalues_step": None if found.step is None else _pairs(found.step),
        "eigenvalues_flow": None if found.flow is None else _pairs(found.flow),
        "trajectory": _summary(measured),
        "axes": list(game.axes),
        "config": composed.plain,
    }
    atomic.write_text(target / "dynamics.json", json.dumps(numbers, indent=2) + "\n")
    put([target / "portrait.png", target / "dynamics.json"])
    _show(title(composed), numbers, found.flow, found.step)
    print(f"picture  {shown(target / 'portrait.png')}\nnumbers  {shown(target / 'dynamics.json')}")
    return 0


def _pairs(values: "NDArray[np.complex128]") -> list[list[float]]:
    return [[float(value.real), float(value.imag)] for value in values]


def _summary(path: "Path") -> dict[str, Any]:
    growth = path.growth
    return {
        "steps": len(path.distances) - 1,
        "start": path.start,
        "end": None if path.left else path.end,
        "growth": growth if growth < float("inf") else None,
        "alone": path.word,
    }


def _show(name: str, numbers: dict[str, Any], flow: Any, step: Any) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(title=name, title_justify="left", show_header=False)
    table.add_row("verdict", f"[bold]{numbers['verdict']}[/bold]")
    table.add_row("reason", numbers["reason"])
    radius = numbers["spectral_radius"]
    table.add_row("spectral radius", "none: no derivative" if radius is None else f"{radius:.10g}")
    if step is not None:
        table.add_row("eigenvalues of a step", _listed(step))
    if flow is not None:
        table.add_row("eigenvalues of the flow", _listed(flow))
    trajectory = numbers["trajectory"]
    if trajectory["growth"] is not None:
        table.add_row("measured factor a step", f"{trajectory['growth']:.6g}")
    Console().print(table)


def _listed(values: "NDArray[np.complex128]", most: int = 8) -> str:
    return "  ".join(f"{v.real:.6g}{v.imag:+.6g}i" if v.imag else f"{v.real:.6g}" for v in values[:most])


def _check(settings: dict[str, Any]) -> None:
    for name, least in (("eigenvalues", 1), ("batch", 1), ("seed", 0)):
        if settings[name] < least:
            raise UserError(f"{name}={settings[name]} is out of range: give a whole number of at least {least}.")


def _of_run(run: Run, settings: dict[str, Any]) -> int:
    import numpy as np
    from rich.console import Console
    from rich.table import Table

    from genexp.dynamics.pictures import draw_spectrum
    from genexp.dynamics.trained import at_checkpoint

    found = at_checkpoint(run, **settings)
    target = run.folder / "dynamics"
    target.mkdir(exist_ok=True)
    draw_spectrum(found.eigenvalues, f"flow at step {found.step}", target / "spectrum.png")
    numbers = {
        "step": found.step,
        "weights": found.weights,
        "verdict": found.verdict.word,
        "reason": found.verdict.reason,
        "eigenvalues_flow": _pairs(found.eigenvalues),
        "gradient_norms": found.norms,
        "parameters": found.parameters,
        "settings": settings,
    }
    atomic.write_text(target / "dynamics.json", json.dumps(numbers, indent=2) + "\n")
    table = Table(title=f"{run.folder.name}, step {found.step}", title_justify="left", show_header=False)
    table.add_row("verdict of the flow", f"[bold]{found.verdict.word}[/bold]")
    table.add_row("reason", found.verdict.reason)
    table.add_row("leading eigenvalues", _listed(np.asarray(found.eigenvalues)))
    for name, norm in found.norms.items():
        table.add_row(f"gradient of the {name}", f"{norm:.4g}")
    put([target / "spectrum.png", target / "dynamics.json"])
    Console().print(table)
    print(f"picture  {shown(target / 'spectrum.png')}\nnumbers  {shown(target / 'dynamics.json')}")
    return 0
