"""Stacked digits: each channel is looked at by itself, and the modes that samples reach are counted.

A classifier of single digits, trained once on the digits' train split, reads each channel. An image's mode is the
number that its channels write, and its features are those of all channels.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from genexp.data.module import DataModule
from genexp.data.stacked import StackedMNIST
from genexp.errors import UserError
from genexp.evaluation.by_class import ClassMetrics
from genexp.evaluation.feature_training import TrainingSettings
from genexp.evaluation.features import Array, Extractor, FrozenFeatures, extractor_for
from genexp.evaluation.images import ImageProtocol, ImageSet
from genexp.evaluation.metrics.classes import kl_divergence
from genexp.evaluation.scores import Scores


class StackedDigits(Extractor):
    """The features and classes of a network of single digits, channel by channel.

    Arguments:
        digits: the network; it must know classes.
        channels: C.
        num_classes: of a single digit, K; an image has one of K ** C.
    """

    def __init__(self, digits: Extractor, channels: int = 3, num_classes: int = 10) -> None:
        self.digits, self.channels, self.num_classes = digits, channels, num_classes
        self.name, self.version, self.sha256 = f"stacked_{digits.name}", digits.version, digits.sha256
        self.dim = channels * digits.dim

    def look(self, x: Tensor) -> tuple[Array, NDArray[np.int64] | None]:
        """Features (N, C d), one channel after another, and classes (N,) of images (N, C, H, W) in [-1, 1]."""
        features, classes = self.digits.look(x.flatten(0, 1).unsqueeze(1))  # (N C, 1, H, W)
        if classes is None:
            raise UserError(f"{self.digits.name} knows no classes: the modes of stacked digits need a classifier.")
        places = self.num_classes ** np.arange(self.channels)[::-1]
        return features.reshape(len(x), self.dim), (classes.reshape(len(x), self.channels) * places).sum(axis=1)


def stacked_extractor(
    data: DataModule, cache_dir: str | Path | None, settings: TrainingSettings | None = None
) -> StackedDigits:
    """The network of the single digits, cached like that of any image set and shared with `dataset=mnist`.

    Arguments:
        data: stacked digits.
        cache_dir: where the trained network is kept; None trains again every time.
        settings: how it is trained.

    Raises:
        UserError: if the data are no stacked digits.
    """
    if not isinstance(data, StackedMNIST):
        raise UserError(f"{data.name} has no stacked digits: choose evaluation=images for it.")
    network: FrozenFeatures = extractor_for(data.digits, cache_dir, settings)
    return StackedDigits(network, data.shape[0], data.digits.num_classes)


class StackedProtocol(ImageProtocol):
    """Scores stacked digits as images, and counts over all draws together the modes that they reach.

    `modes` is the number of modes with a sample, `mode_kl` the Kullback-Leibler divergence in nats of the modes' shares
    from equal ones, less what it is on average for a perfect generator, (K - 1) / 2N of N samples and K modes.
    """

    kind = "stacked digits"

    def _class_scores(self) -> Any:
        return ClassMetrics()  # a mode has a handful of samples: too few for a score of its own

    def _class_metrics(self, seen: ImageSet) -> dict[str, float]:
        """Those of each draw; the shares of its modes are kept for the sum of all."""
        assert seen.class_shares is not None
        self._shares.append(seen.class_shares)
        return super()._class_metrics(seen)

    def _score(self, draws: Sequence[Tensor]) -> Scores:
        self._shares: list[Array] = []
        scores = super()._score(draws)
        if scores.failure is not None:
            return scores.with_columns(modes=None, mode_kl=None)
        return scores.with_columns(**mode_counts(np.mean(self._shares, axis=0), sum(map(len, draws))))


def mode_counts(shares: Array, samples: int) -> dict[str, float]:
    """`modes` and `mode_kl` of the shares (K,) that modes of equal weight have among `samples` samples.

    Example:
        >>> mode_counts(np.array([0.5, 0.5, 0.0, 0.0]), samples=1000)["modes"]
        2.0
    """
    k = len(shares)
    return {
        "modes": float(np.count_nonzero(shares)),
        "mode_kl": kl_divergence(shares, np.full(k, 1 / k)) - (k - 1) / (2 * samples),
    }
