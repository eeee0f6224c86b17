"""Pictures of a game: phase portrait, distance from the equilibrium, eigenvalues."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from genexp import atomic
from genexp.dynamics.arena import Arena
from genexp.dynamics.games import Game
from genexp.dynamics.spectrum import Spectrum
from genexp.dynamics.verdict import Verdict

GRID = 21
"""Arrows along each side of a portrait."""
WIDEST = 2.5
"""A portrait shows so many of the start's distances at most."""
DPI = 80
COLOURS_OF_ALL = 64
"""Colours in a file, which is a third of its size with all of them."""
COLOURS = ("#1f4e9c", "#c0552d", "#3c8d5a", "#8a5aa8", "#9a7d0a", "#5f6b73")


def starts(game: Game, count: int) -> list[Tensor]:
    """Starts of trajectories: the game's own, then turned and nearer ones.

    Arguments:
        game: the game.
        count: how many.
    """
    away, k = game.start - game.equilibrium, game.of_critic
    across = torch.cat([-away[k:], away[:k]])  # a quarter turn between the two players
    angles = [2 * np.pi * i / count for i in range(count)]
    return [game.equilibrium + (np.cos(a) * away + np.sin(a) * across) / (1 + i) for i, a in enumerate(angles)]


def draw(
    game: Game,
    arena: Arena,
    paths: Sequence[Tensor],
    spectrum: Spectrum,
    verdict: Verdict,
    title: str,
    path: Path,
) -> None:
    """Save the picture of a game as a PNG.

    Arguments:
        game: the game; with two parameters it has a field of arrows.
        arena: its arena.
        paths: trajectories (T + 1, n).
        spectrum: at the equilibrium.
        verdict: the verdict.
        title: what was chosen.
        path: of the PNG.
    """
    planes = [(i, game.of_critic + i) for i in range(min(game.of_critic, 2))]
    figure = Figure(figsize=(4 * (len(planes) + 2), 4.2), dpi=DPI, layout="constrained")
    axes = figure.subplots(1, len(planes) + 2)
    for ax, plane in zip(axes, planes, strict=False):
        _portrait(ax, game, arena, paths, plane)
    _distances(axes[-2], game, paths)
    _eigenvalues(axes[-1], spectrum)
    figure.suptitle(f"{title}: {verdict.word}", fontsize=11)
    _save(figure, path)


def draw_spectrum(flow: NDArray[np.complex128], title: str, path: Path) -> None:
    """Save eigenvalues of a flow alone, as a PNG."""
    figure = Figure(figsize=(5, 4.2), dpi=DPI, layout="constrained")
    ax = figure.subplots()
    ax.axvline(0, color="0.6", linewidth=0.8)
    ax.plot(flow.real, flow.imag, "o", color=COLOURS[0], markersize=5)
    ax.set(xlabel="real part", ylabel="imaginary part", title=title)
    _save(figure, path)


def _save(figure: Figure, path: Path) -> None:
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    image = Image.fromarray(np.asarray(canvas.buffer_rgba())).convert("RGB").quantize(COLOURS_OF_ALL)
    with atomic.replacing(path) as temporary:
        image.save(temporary, format="png", optimize=True)


def _portrait(ax: Axes, game: Game, arena: Arena, paths: Sequence[Tensor], plane: tuple[int, int]) -> None:
    """The first step from every point of a grid, and the trajectories."""
    x, y = plane
    centre = game.equilibrium.numpy()
    reach = max(float((game.start - game.equilibrium).norm()), 1e-3)
    seen = max(float((path - game.equilibrium).abs().nan_to_num(1e9, 1e9).max()) for path in paths)
    half = min(1.1 * max(seen, reach), WIDEST * reach)
    if len(centre) == 2:
        xs, ys = (centre[i] + np.linspace(-half, half, GRID) for i in plane)
        moves = np.array([[_first_step(arena, a, b) for a in xs] for b in ys])  # (GRID, GRID, 2)
        if np.any(moves):
            ax.streamplot(xs, ys, moves[..., 0], moves[..., 1], color="0.72", linewidth=0.7, arrowsize=0.8)
    for path, colour in zip(paths, COLOURS * len(paths), strict=False):
        ax.plot(path[:, x], path[:, y], color=colour, linewidth=0.9)
        ax.plot(path[0, x], path[0, y], "o", color=colour, markersize=4)
    ax.plot(centre[x], centre[y], "k+", markersize=11, markeredgewidth=1.6)
    ax.set(xlim=(centre[x] - half, centre[x] + half), ylim=(centre[y] - half, centre[y] + half), aspect="equal")
    ax.set(xlabel=f"critic ${game.axes[x]}$", ylabel=f"generator ${game.axes[y]}$")
    ax.set(title="first steps and trajectories" if len(centre) == 2 else "trajectories")


def _first_step(arena: Arena, a: float, b: float) -> NDArray[np.float64]:
    point = torch.tensor([a, b], dtype=torch.float64)
    return (arena.trajectory(point, 1)[-1] - point).nan_to_num(0.0).numpy()


def _distances(ax: Axes, game: Game, paths: Sequence[Tensor]) -> None:
    for path, colour in zip(paths, COLOURS * len(paths), strict=False):
        distances = (path - game.equilibrium).norm(dim=1).numpy()
        ax.semilogy(np.where(np.isfinite(distances) & (distances > 0), distances, np.nan), color=colour, linewidth=0.9)
    ax.set(xlabel="step", title="distance from the equilibrium")
    ax.grid(alpha=0.3)


def _eigenvalues(ax: Axes, spectrum: Spectrum) -> None:
    if spectrum.step is None and spectrum.flow is None:
        ax.set_axis_off()
        ax.text(0.5, 0.5, "no derivative\nat the equilibrium", ha="center", va="center", transform=ax.transAxes)
        return
    if spectrum.step is None:
        assert spectrum.flow is not None
        values, title = spectrum.flow, "eigenvalues of the flow"
        ax.axvline(0, color="0.5", linewidth=0.8)
    else:
        values, title = spectrum.step, f"eigenvalues of a step, radius {spectrum.radius:.5g}"
        circle = np.exp(1j * np.linspace(0, 2 * np.pi, 400))
        ax.plot(circle.real, circle.imag, color="0.5", linewidth=0.8)
        ax.set(aspect="equal")
    ax.plot(values.real, values.imag, "o", color=COLOURS[0], markersize=5)
    ax.set(xlabel="real part", ylabel="imaginary part", title=title)
    ax.grid(alpha=0.3)
