"""What a person watches while a run trains: the fast score and a grid of samples."""

from pathlib import Path
from typing import Any

from lightning.pytorch import Callback, Trainer
from torch import Tensor

from genexp.evaluation.protocol import Protocol
from genexp.models.sampling import draw
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
                samples = draw(model, self.protocol.fast_n, self.seed)
                scores = self.protocol.fast(samples)
                path = save_picture(samples, self.protocol, self.folder / f"step-{clock.step:08d}.png")
            self.rows.add_scores({f"fast/{name}": value for name, value in scores.items()})
            show_samples(trainer.loggers, path, samples, clock.step)


def save_picture(samples: Tensor, protocol: Protocol, path: Path) -> Path:
    """A grid of images, or a scatter of points over the data's truth."""
    path.parent.mkdir(parents=True, exist_ok=True)
    picture(samples[:GRID] if samples.ndim == 4 else samples, path, protocol.backdrop())
    return path
