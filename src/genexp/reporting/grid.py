"""Pictures of samples: image grids and scatter plots, without torchvision and without a display."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from genexp import atomic
from genexp.errors import UserError
from genexp.evaluation.pictured import Backdrop, Neighbours

COLOURS = 10
"""Classes that are told apart by colour; further ones begin again."""
SHORT_SIDE = 32
"""Small images are enlarged to about this many pixels."""


def picture(
    x: Tensor,
    path: Path | str,
    backdrop: Backdrop | None = None,
    columns: int | None = None,
    y: Tensor | None = None,
) -> None:
    """Save samples as a PNG: a sheet of images, or points over the truth.

    Arguments:
        x: images (N, C, H, W) in [-1, 1] or points (N, D).
        path: of the PNG.
        backdrop: what a protocol gives for points.
        columns: images in a row; None for a square sheet.
        y: classes of points (N,), shown as colours.

    Raises:
        UserError: if x is neither.
    """
    with atomic.replacing(Path(path)) as temporary:
        if x.ndim == 4:
            image_grid(x, columns).save(temporary)
        elif backdrop is None:
            scatter(x, temporary, y=y)
        else:
            scatter(x, temporary, backdrop.points, backdrop.log_prob, y=y)


def image_grid(x: Tensor, columns: int | None = None, scale: int | None = None, border: int = 1) -> Image.Image:
    """A sheet of images, in rows from the top left.

    Arguments:
        x: images (N, C, H, W) in [-1, 1], C = 1 (grey) or 3 (RGB); NaN is shown black.
        columns: images in a row; None for a square sheet.
        scale: each pixel becomes scale × scale pixels; None enlarges small images to a visible size.
        border: black pixels between images.

    Raises:
        UserError: if x is no batch of grey or RGB images.
    """
    if x.ndim != 4 or x.shape[1] not in (1, 3) or len(x) == 0:
        raise UserError(f"A grid needs images (N, 1 or 3, H, W), but got shape {tuple(x.shape)}.")
    count, channels, height, width = x.shape
    columns = min(columns or int(np.ceil(np.sqrt(count))), count)
    scale = scale or max(1, round(SHORT_SIDE / min(height, width)))
    grey = ((x.detach().cpu().float() + 1.0) * 127.5).nan_to_num(0.0).round().clamp(0, 255).to(torch.uint8)
    tiles = grey.permute(0, 2, 3, 1).numpy().repeat(scale, axis=1).repeat(scale, axis=2)  # (N, sH, sW, C)
    tall, wide = height * scale + border, width * scale + border
    rows = -(-count // columns)
    sheet = np.zeros((rows * tall + border, columns * wide + border, channels), dtype=np.uint8)
    for i, tile in enumerate(tiles):
        top, left = i // columns * tall + border, i % columns * wide + border
        sheet[top : top + height * scale, left : left + width * scale] = tile
    return Image.fromarray(sheet[..., 0] if channels == 1 else sheet)


def neighbour_strip(neighbours: Neighbours, path: Path | str) -> None:
    """Save a PNG of samples, the nearest to the training data first, each above the image that it is nearest to."""
    sheet = image_grid(torch.cat([neighbours.samples, neighbours.nearest]), columns=len(neighbours.samples))
    with atomic.replacing(Path(path)) as temporary:
        sheet.save(temporary)


def scatter(
    x: Tensor,
    path: Path | str,
    reference: Tensor | None = None,
    log_prob: Callable[[Tensor], Tensor] | None = None,
    title: str | None = None,
    y: Tensor | None = None,
) -> None:
    """Save a picture of points over real ones.

    Of more than two dimensions the first two principal axes are shown, and of one the cumulative shares.

    Arguments:
        x: generated points (N, D); those that are not finite are left out.
        path: of the PNG.
        reference: real points (M, D), grey below; they also fix the axes and the section of the plane that is shown.
        log_prob: the true density's log_prob of points (K, 2), drawn as contours in the plane alone.
        title: above the picture; None says which axes are shown where D is not 2.
        y: classes of the generated points (N,), each in a colour of its own; None for one colour.

    Raises:
        UserError: if these are no points.
    """
    if x.ndim != 2 or x.shape[1] == 0:
        raise UserError(f"A scatter plot needs points (N, D), but got shape {tuple(x.shape)}.")
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    points = x.detach().cpu().float()
    finite = torch.isfinite(points).all(dim=1)
    points, colours = points[finite], _colours(None if y is None else y.cpu()[finite])
    frame = reference.detach().cpu().float() if reference is not None else points
    dim = x.shape[1]
    if dim == 1:
        frame, points, log_prob = _cumulative(frame), _cumulative(points), None
        title = title or "cumulative shares"
    elif dim > 2:
        (frame, points), log_prob = _in_plane(frame, points), None
        title = title or f"first two principal axes of {dim}"
    low, high = _section(frame)
    figure = Figure(figsize=(4, 4), dpi=120, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    if reference is not None:
        axes.scatter(frame[:, 0].numpy(), frame[:, 1].numpy(), s=2, c="0.75", linewidths=0, label="real")
    if log_prob is not None:
        _contours(axes, log_prob, low, high)
    axes.scatter(
        points[:, 0].numpy(),
        points[:, 1].numpy(),
        s=2,
        **colours,
        linewidths=0,
        alpha=0.6,
        label="generated",
    )
    axes.set(xlim=(low[0], high[0]), ylim=(low[1], high[1]), aspect="auto" if dim == 1 else "equal", title=title or "")
    axes.legend(loc="upper right", markerscale=4, fontsize="small")
    figure.savefig(path)


def _colours(y: Tensor | None) -> dict[str, Any]:
    """How a scatter plot colours points of classes (N,), or of none."""
    if y is None:
        return {"c": "tab:blue"}
    return {"c": (y % COLOURS).numpy(), "cmap": f"tab{COLOURS}", "vmin": 0, "vmax": COLOURS - 1}


def _contours(axes: Any, log_prob: Callable[[Tensor], Tensor], low: list[float], high: list[float]) -> None:
    """Lines at 1, 10 and 50 % of a density's largest value in a section of the plane."""
    across, up = (np.linspace(low[i], high[i], 200) for i in range(2))
    plane = torch.from_numpy(np.stack(np.meshgrid(across, up), axis=-1).reshape(-1, 2)).float()
    with torch.no_grad():
        density = log_prob(plane).double().exp().reshape(200, 200).numpy()
    if density.max() > 0:
        levels = density.max() * np.array([0.01, 0.1, 0.5])
        axes.contour(across, up, density, levels=levels, colors="0.4", linewidths=0.5)


def _cumulative(points: Tensor) -> Tensor:
    """Points on a line (N, 1) in order, each with the share of points up to it, (N, 2)."""
    shares = torch.arange(1, len(points) + 1) / max(len(points), 1)
    return torch.stack([points[:, 0].sort().values, shares], dim=1)


def _in_plane(frame: Tensor, points: Tensor) -> tuple[Tensor, Tensor]:
    """Both on the first two principal axes of the first, (M, 2) and (N, 2); an axis that is missing is all zeros."""
    centre = frame.double().mean(dim=0) if len(frame) else torch.zeros(frame.shape[1], dtype=torch.float64)
    directions = torch.linalg.svd(frame.double() - centre, full_matrices=False)[2][:2]  # (at most 2, D)
    axes = torch.zeros(2, frame.shape[1], dtype=torch.float64)
    for i, direction in enumerate(directions):
        axes[i] = direction * direction[direction.abs().argmax()].sign()  # an axis has no sign of its own
    in_frame, in_points = (((rows.double() - centre) @ axes.T).float() for rows in (frame, points))
    return in_frame, in_points


def _section(frame: Tensor) -> tuple[list[float], list[float]]:
    """The bounding box with a margin; the unit square when there are no points."""
    if len(frame) == 0:
        return [-1.0, -1.0], [1.0, 1.0]
    low, high = frame.amin(dim=0), frame.amax(dim=0)
    sides = high - low
    margin = 0.1 * sides.clamp(min=max(1e-3, 0.1 * float(sides.max())))  # points on a line keep a strip around them
    return (low - margin).tolist(), (high + margin).tolist()
