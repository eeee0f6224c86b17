"""What a person watches while a run trains: the fast score and a grid of samples."""

from pathlib import Path
from typing import Any

from lightning.pytorch import Callback, Trainer
from torch import Tensor

from genexp.evaluation.protocol import Protocol
from genexp.models.base import GenerativeModel
from genexp.models.sampling import class_sheet, draw, labels_for
from genexp.reporting.grid import picture
from genexp.reporting.loggers import show_samples
from genexp.training.callbacks import MetricRows
from genexp.training.randomness import mix

GRID = 64
"""Samples in a picture of images."""


class Watch(Callback):
    """Every `interval` steps: the fast score against the validation split, and a picture, from the averaged weights.

    Arguments:
        protocol: the scorer, prepared on the data.
        rows: what writes the scores; it must come after this callback.
        folder: where the pictures go.
        interval: steps between two scores; 0 never scores.
        seed: the latents' seed, the same at each score.
    """

    def __init__(self, protocol: Protocol, rows: MetricRows, folder: Path, interval: int, seed: int) -> None:
        self.protocol, self.rows, self.folder = protocol, rows, folder
        self.interval, self.seed = interval, mix(seed, 3)

    def on_train_batch_end(self, trainer: Trainer, pl_module: Any, *_: Any) -> None:
        """Score when it is time."""
        clock = pl_module.regime.clock
        if self.interval and clock.due(self.interval) and trainer.is_global_zero:
            with pl_module.stopwatch.phase("score"), pl_module.sampling("ema") as model:
                y = labels_for(model, self.protocol.fast_labels())
                samples = draw(model, self.protocol.fast_n, self.seed, y=y)
                scores = self.protocol.fast(samples, y)
                path = self.folder / f"step-{clock.step:08d}.png"
                save_picture(samples, self.protocol, path, y, class_columns(model, samples, self.seed))
            self.rows.add_scores({f"fast/{name}": value for name, value in scores.items()})
            show_samples(trainer.loggers, path, samples, clock.step)


def class_columns(model: GenerativeModel, samples: Tensor, seed: int) -> tuple[Tensor, int] | None:
    """Images for a picture with a column for each class; None for points, and for a family without classes."""
    return class_sheet(model, seed) if samples.ndim == 4 else None


def save_picture(
    samples: Tensor,
    protocol: Protocol,
    path: Path,
    y: Tensor | None = None,
    sheet: tuple[Tensor, int] | None = None,
) -> Path:
    """A grid of images, or a scatter of points over the data's truth.

    Arguments:
        samples: (N, *shape); of images the first are shown.
        protocol: what scored them.
        path: of the PNG.
        y: classes (N,) of points, shown as colours.
        sheet: other images to show in their place, and how many in a row.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    shown, columns = sheet or (samples[:GRID] if samples.ndim == 4 else samples, None)
    picture(shown, path, protocol.backdrop(), columns, y)
    return path
