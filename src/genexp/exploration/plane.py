"""Paths of points in the plane, over real ones."""

from pathlib import Path

from torch import Tensor


def plot_paths(x: Tensor, real: Tensor, title: str, place: Path) -> None:
    """Save a PNG of paths; each ends in a dot.

    Arguments:
        x: paths (R, S, 2).
        real: real points (M, 2), grey below; they fix the section of the plane that is shown.
        title: above the picture.
        place: of the PNG.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(4, 4), dpi=120, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    axes.scatter(real[:, 0].numpy(), real[:, 1].numpy(), s=2, c="0.75", linewidths=0)
    for row in x.detach().cpu().float():
        (line,) = axes.plot(row[:, 0].numpy(), row[:, 1].numpy(), linewidth=1.2, marker=".", markersize=2)
        axes.plot(*row[-1].tolist(), marker="o", markersize=4, color=line.get_color())
    low, high = real.amin(dim=0), real.amax(dim=0)
    margin = 0.1 * (high - low)
    axes.set(
        xlim=(float(low[0] - margin[0]), float(high[0] + margin[0])),
        ylim=(float(low[1] - margin[1]), float(high[1] + margin[1])),
        aspect="equal",
        title=title,
    )
    figure.savefig(place)
