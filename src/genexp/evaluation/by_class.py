"""Scores of samples that were asked for classes: whether they are of their class, and how good each class is.

They are columns beside the others, which read the same samples without their classes. The classifier is that of the
frozen features, or the true density: it errs on real data too, so that the row of the perfect anchor is the ceiling.
"""

import dataclasses
import math
from collections.abc import Callable, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from genexp.data.module import DataModule
from genexp.evaluation.metrics.distances import squared_distances
from genexp.evaluation.metrics.frechet import frechet_distance_corrected
from genexp.evaluation.metrics.jackknife import error_of_mean
from genexp.evaluation.scores import Scores, finite_or_none

Array = NDArray[np.float64]
Classes = NDArray[np.int64]
Look = Callable[[Tensor], tuple[Array, Classes | None]]

ACCURACY = "class_accuracy"


def labels_like(data: DataModule, split: str, rng: np.random.Generator, size: tuple[int, ...]) -> Tensor | None:
    """Classes of that size drawn from those of a split; None if the data have none."""
    if data.num_classes == 0:
        return None
    classes = data.split(split).y.numpy()
    return torch.from_numpy(classes[rng.integers(0, len(classes), size=size)])


class ClassMetrics:
    """The metrics of samples of given classes; here there are none."""

    names: tuple[str, ...] = ()

    def measure(self, draw: Tensor, y: Tensor) -> dict[str, float]:
        """The metrics of one draw (n, *shape) that was asked for classes (n,)."""
        return {}

    def quick(self, draw: Tensor, y: Tensor) -> dict[str, float]:
        """Those of them that cost next to nothing, for the fast score."""
        return {}

    def anchors(self) -> dict[str, Callable[[np.random.Generator], Classes]]:
        """For each anchor whose samples have classes: those of the draw that a generator in the same state makes."""
        return {}

    def add(self, scores: Scores, draws: Sequence[Tensor], y: Sequence[Tensor]) -> Scores:
        """The scores with the mean of each metric over draws (n, *shape) of classes (n,), and its error."""
        if scores.failure is not None:
            return scores.with_columns(**dict.fromkeys(self.names))
        measured = [self.measure(x.detach().cpu(), classes.cpu()) for x, classes in zip(draws, y, strict=True)]
        columns = {name: np.array([metrics[name] for metrics in measured]) for name in self.names}
        errors = {name: error for name, values in columns.items() if math.isfinite(error := error_of_mean(values))}
        more = scores.with_columns(**{name: finite_or_none(float(values.mean())) for name, values in columns.items()})
        return dataclasses.replace(more, errors={**scores.errors, **errors})


class ImageClassMetrics(ClassMetrics):
    """Of images: the share that the frozen classifier sees as their class, and the mean Fréchet distance of a class.

    Arguments:
        look: features (N, d) and classes (N,) of images, as the protocol sees them; None for no classes.
        reference: features (N, d) of the reference.
        classes: those of the reference (N,).
        anchors: see `ClassMetrics.anchors`.
    """

    def __init__(
        self,
        look: Look,
        reference: Array,
        classes: Classes,
        anchors: dict[str, Callable[[np.random.Generator], Classes]],
    ) -> None:
        self._look, self._reference, self._classes, self._anchors = look, reference, classes, anchors
        self._distance = f"fd{reference.shape[1]}c_class"
        self.names = (ACCURACY, self._distance)

    def measure(self, draw: Tensor, y: Tensor) -> dict[str, float]:
        """Accuracy, and the mean over classes of the corrected distance; NaN where it is not defined."""
        features, seen = self._look(draw)
        return {
            ACCURACY: _share(seen, y.numpy()),
            self._distance: mean_class_distance(features, y.numpy(), self._reference, self._classes),
        }

    def quick(self, draw: Tensor, y: Tensor) -> dict[str, float]:
        """The accuracy."""
        return {ACCURACY: _share(self._look(draw)[1], y.numpy())}

    def anchors(self) -> dict[str, Callable[[np.random.Generator], Classes]]:
        """Those whose samples come from labelled images."""
        return self._anchors


class PointClassMetrics(ClassMetrics):
    """Of points from a mixture of Gaussians of one variance: the share whose likeliest component is their class.

    Arguments:
        centres: means (K, D) of the components.
        std: their standard deviation.
        weights: their weights (K,), not normalised; None for equal ones.
        anchors: see `ClassMetrics.anchors`.
    """

    names = (ACCURACY,)

    def __init__(
        self,
        centres: Array,
        std: float,
        weights: Sequence[float] | None,
        anchors: dict[str, Callable[[np.random.Generator], Classes]],
    ) -> None:
        self._centres, self._std, self._anchors = centres, std, anchors
        self._log_weights = np.log(np.ones(len(centres)) if weights is None else np.asarray(weights))

    def measure(self, draw: Tensor, y: Tensor) -> dict[str, float]:
        """The accuracy."""
        distances = squared_distances(draw.double().numpy(), self._centres)  # (N, K)
        return {ACCURACY: _share((self._log_weights - distances / (2 * self._std**2)).argmax(axis=1), y.numpy())}

    def quick(self, draw: Tensor, y: Tensor) -> dict[str, float]:
        """The accuracy."""
        return self.measure(draw, y)

    def anchors(self) -> dict[str, Callable[[np.random.Generator], Classes]]:
        """Those whose samples come from points of known modes."""
        return self._anchors


def mean_class_distance(x: Array, y: Classes, reference: Array, classes: Classes) -> float:
    """The mean over classes of the corrected Fréchet distance between the two sets' rows of the class.

    Classes with fewer than two rows in either set are left out.

    Arguments:
        x: features (N, d).
        y: the class of each row (N,).
        reference: features (M, d).
        classes: the class of each (M,).

    Returns:
        the mean; NaN if no class is left.
    """
    pairs = [(x[y == k], reference[classes == k]) for k in np.unique(classes)]
    distances = [frechet_distance_corrected(b, a) for a, b in pairs if min(len(a), len(b)) >= 2]
    return float(np.mean(distances)) if distances else math.nan


def _share(seen: Classes | None, wanted: Classes) -> float:
    return math.nan if seen is None else float((seen == wanted).mean())
