"""The protocol of images: Fréchet distance, two-sample tests, precision and recall, classes, memorisation.

Pixels are on the data's own grid and in units of [0, 1]: an image off the grid would be told from real ones
by its rounding alone. Features rank the models, pixels (pooled where images are large) detect what features do
not see, and the distances to the training set show copies, which every other number rewards.
"""

import math
import typing
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from genexp.data.module import DataModule
from genexp.errors import UserError
from genexp.evaluation import anchors
from genexp.evaluation.by_class import ClassMetrics, ImageClassMetrics
from genexp.evaluation.features import Extractor, extractor_for
from genexp.evaluation.metrics.c2st import c2st_knn_auc, c2st_logreg_auc
from genexp.evaluation.metrics.classes import class_histogram, modes_covered, total_variation
from genexp.evaluation.metrics.frechet import frechet_distance, frechet_distance_corrected
from genexp.evaluation.metrics.memorisation import duplicate_share, nearest_distances, nearest_rows
from genexp.evaluation.metrics.mmd import median_bandwidth, mmd_permutation_test
from genexp.evaluation.metrics.prdc import prdc
from genexp.evaluation.metrics.ranks import mann_whitney
from genexp.evaluation.pictured import Neighbours
from genexp.evaluation.pixels import PART, PixelGrid, SplitImages, SplitPixels
from genexp.evaluation.protocol import Array, Protocol, at_least

MODE_THRESHOLD = 0.2
"""A class counts as covered with this part of its share: one sample would be the classifier's noise."""
COPY_QUANTILE = 0.01
"""The null value of `copy_rate`."""
MOST_TRAIN = 60_000
"""Training images, the first ones, that distances and anchors look at: larger sets would take minutes per score."""
_TRAIN_PART = 10_000


@dataclass(frozen=True)
class ImageSet:
    """As the metrics see images: pooled pixels (N, D) in [0, 1], features (N, d), shares (K,) of classes if any."""

    pixels: Array
    features: Array
    class_shares: Array | None


class ImageProtocol(Protocol):
    """Scores images; `fd32c`, the corrected Fréchet distance in 32 features, is the headline.

    Arguments:
        n: samples per draw, at most the size of the reference, of which then only n are used: coverage can
            only be compared where both sets have the same size. None for as many as the reference has.
        draws: independent draws of n samples; a score is the mean over them.
        fast_n: samples of the fast score, which reads the `val` split.
        k: the neighbour that sets the radii of precision, recall, density and coverage.
        permutations: of the MMD test; its smallest p-value is 1 / (permutations + 1).
        pairwise_n: at most this many rows of each set enter MMD, the nearest-neighbour test and the distances
            to the training set, whose cost or memory grows with the square.
        seed: of the scorer's own random numbers.
        jackknife_blocks: blocks of the headline's standard error.
        kde_bandwidth: standard deviation, in pixels of [0, 1], of the KDE anchor.
        cache_dir: where anchors and trained features are kept; None keeps nothing on disk.
        features: a function (data, cache_dir) that gives the extractor.

    Raises:
        UserError: if a number is out of range.
    """

    kind = "images"

    def __init__(
        self,
        n: int | None = None,
        draws: int = 4,
        fast_n: int = 500,
        k: int = 5,
        permutations: int = 200,
        pairwise_n: int = 1000,
        seed: int = 0,
        jackknife_blocks: int = 10,
        kde_bandwidth: float = 0.1,
        cache_dir: str | Path | None = None,
        features: Callable[..., Extractor] = extractor_for,
    ) -> None:
        super().__init__(n, draws, fast_n, seed, jackknife_blocks, kde_bandwidth, cache_dir)
        at_least(1, k=k, permutations=permutations)
        at_least(50, pairwise_n=pairwise_n)
        self.k, self.permutations, self.pairwise_n = k, permutations, pairwise_n
        self._features = features

    @property
    def headline(self) -> str:
        """`fd32c`, with the number of features of the extractor."""
        return f"fd{self.extractor.dim}c"

    def neighbours(self, samples: Tensor, count: int = 16) -> Neighbours | None:
        """Some of `samples` (N, C, H, W) with their nearest training images in features; None if one is not finite."""
        samples = samples[: self.pairwise_n].detach().cpu()
        if not torch.isfinite(samples).all():
            return None
        mine, held_out = self._look(samples)[0], self._ref.features[: self.pairwise_n]
        rows, distances = np.zeros(len(mine), dtype=np.int64), np.full(len(mine), np.inf)
        of_held_out = np.full(len(held_out), np.inf)
        start = 0
        for part in self._train.split(PART):  # the features of a large training set would not fit
            features = self._look(part)[0]
            near, distance = nearest_rows(mine, features)
            rows = np.where(distance < distances, start + near, rows)
            distances = np.minimum(distances, distance)
            of_held_out = np.minimum(of_held_out, nearest_distances(held_out, features))
            start += len(part)
        order = distances.argsort(kind="stable")
        chosen = order[np.unique(np.linspace(0, len(order) - 1, count).round().astype(np.int64))]
        ratio = distances[chosen] / (float(np.median(of_held_out)) or 1.0)
        return Neighbours(samples[chosen], self._train[torch.from_numpy(rows[chosen])], ratio)

    def _prepare(self, data: DataModule) -> None:
        if len(data.shape) != 3:
            raise UserError(
                f"{data.name} has shape {tuple(data.shape)}, not (C, H, W): choose evaluation=points for it."
            )
        reference, val = SplitImages(data, "ref"), SplitImages(data, "val")
        if self.n is not None and self.n > len(reference):
            raise UserError(f"evaluation.n={self.n} is more than the reference has: give at most {len(reference)}.")
        if min(len(reference), len(val)) <= self.k:
            raise UserError(f"{data.name} has too few images in ref or val: both need more than {self.k}.")
        if self.size <= self.k:
            raise UserError(f"evaluation.k={self.k} needs more neighbours than {self.size} samples have: give fewer.")
        self.extractor = self._features(data, self.cache_dir)
        self._grid = PixelGrid(data.shape, data.levels)
        self._ref = self._see(reference[: self.size])
        self._val = self._see(val[: self.fast_n])
        self._train = SplitImages(data, "train", MOST_TRAIN)
        self._train_grey = torch.cat([self._grid.pool(self._grid.snap(part)) for part in self._train.split(PART)])
        self._bandwidths = [median_bandwidth(self._ref.pixels) * scale for scale in (1.0, 0.25)]
        self._by_class = self._class_scores() if data.num_classes else ClassMetrics()
        self._held_out_distances: Array | None = None  # what a training's fast scores do not need is not computed

    def _fingerprint(self) -> dict[str, typing.Any]:
        # What small images and sets do not need is not named: their fingerprints stay what they were.
        pooling = {"pixel_pooling": self._grid.pooling} if self._grid.pooling > 1 else {}
        train = {} if self._train.whole else {"train_images": len(self._train)}
        return {
            "features": self.extractor.name,
            "features_version": self.extractor.version,
            "features_sha256": self.extractor.sha256,
            "k": self.k,
            "permutations": self.permutations,
            "pairwise_n": self.pairwise_n,
            **pooling,
            **train,
        }

    def _names(self) -> list[str]:
        dim = self.extractor.dim
        names = [f"fd{dim}c", f"fd{dim}", "fd_pix", "mmd_pix", "mmd_pix_p"]
        names += ["precision", "recall", "density", "coverage", "c2st_feat_auc", "c2st_knn_auc"]
        names += ["class_tv", f"modes_{MODE_THRESHOLD}"] if self._ref.class_shares is not None else []
        return [*names, "copy_rate", "ct_z", "ct_auc", "dup_share"]

    def _fast_names(self) -> list[str]:
        classes = ["class_tv"] if self._val.class_shares is not None else []
        return [self.headline, "coverage", "recall", *classes, "dup_share"]

    def _measure(self, draw: Tensor, rng: np.random.Generator) -> tuple[dict[str, float], float]:
        ref, seen, some = self._ref, self._see(draw), self.pairwise_n
        dim = self.extractor.dim
        headline = partial(frechet_distance_corrected, ref.features)
        mmd, p = mmd_permutation_test(seen.pixels[:some], ref.pixels[:some], self._bandwidths, rng, self.permutations)
        metrics = {
            f"fd{dim}c": headline(seen.features),
            f"fd{dim}": frechet_distance(seen.features, ref.features),
            "fd_pix": frechet_distance(seen.pixels, ref.pixels),
            "mmd_pix": mmd,
            "mmd_pix_p": p,
            **prdc(ref.features, seen.features, self.k),
            "c2st_feat_auc": c2st_logreg_auc(ref.features, seen.features, rng),
            "c2st_knn_auc": c2st_knn_auc(ref.pixels[:some], seen.pixels[:some], rng),
            **self._class_metrics(seen),
            **self._memorisation(seen.pixels[:some]),
            "dup_share": duplicate_share(seen.pixels),
        }
        return metrics, self._jackknife(headline, seen.features)

    def _class_metrics(self, seen: ImageSet) -> dict[str, float]:
        shares, reference = seen.class_shares, self._ref.class_shares
        if shares is None or reference is None:
            return {}
        return {
            "class_tv": total_variation(shares, reference),
            f"modes_{MODE_THRESHOLD}": float(modes_covered(shares, reference, MODE_THRESHOLD)),
        }

    def _memorisation(self, pixels: Array) -> dict[str, float]:
        """`copy_rate` and `c_t` of `metrics.memorisation`, each distance computed once and not four times."""
        if self._held_out_distances is None:
            self._held_out_distances = self._distances(self._ref.pixels[: self.pairwise_n])
        distances, held_out = self._distances(pixels), self._held_out_distances
        z, auc = mann_whitney(distances, held_out)
        threshold = np.quantile(held_out, COPY_QUANTILE)
        return {"copy_rate": float((distances < threshold).mean()), "ct_z": z, "ct_auc": auc}

    def _distances(self, pixels: Array) -> Array:
        """Distances (N,) of pixels (N, D) to their nearest training image, without all of these in float64."""
        parts = (self._grid.unit(part).numpy() for part in self._train_grey.split(_TRAIN_PART))
        return np.minimum.reduce([nearest_distances(pixels, part) for part in parts])

    def _fast(self, samples: Tensor) -> dict[str, float]:
        val, seen = self._val, self._see(samples)
        same = min(len(seen.features), len(val.features))
        if same <= self.k:
            return dict.fromkeys(self._fast_names(), math.nan)
        neighbours = prdc(val.features[:same], seen.features[:same], self.k)
        metrics = {
            self.headline: frechet_distance_corrected(seen.features, val.features),
            "coverage": neighbours["coverage"],
            "recall": neighbours["recall"],
            "dup_share": duplicate_share(seen.pixels),
        }
        if seen.class_shares is not None and val.class_shares is not None:
            metrics["class_tv"] = total_variation(seen.class_shares, val.class_shares)
        return metrics

    def _class_scores(self) -> ImageClassMetrics:
        n, ref = self.size, SplitImages(self.data, "ref")
        train, floor = self._train.labels.numpy(), SplitImages(self.data, "floor").labels.numpy()
        known: dict[str, Callable[[np.random.Generator], NDArray[np.int64]]] = {
            "perfect": lambda rng: anchors.subset(floor, n, rng),
            "copycat": lambda rng: anchors.subset(train, n, rng),
            "kde": lambda rng: anchors.centres(train, n, rng),
        }
        return ImageClassMetrics(self._look, self._ref.features, ref.labels[: self.size].numpy(), known)

    def _baselines(self) -> dict[str, Callable[[np.random.Generator], Array]]:
        n, train = self.size, SplitPixels(self._train, self._grid)
        floor = SplitPixels(SplitImages(self.data, "floor"), self._grid)
        low, high = np.zeros(math.prod(self.data.shape)), np.ones(math.prod(self.data.shape))
        makers: dict[str, Callable[[np.random.Generator], Array]] = {
            "perfect": lambda rng: anchors.subset(floor, n, rng),
            "copycat": lambda rng: anchors.subset(train, n, rng),
            "kde": lambda rng: anchors.kernel_density(train, n, self.kde_bandwidth, rng),
            "gaussian": lambda rng: anchors.gaussian(train, n, rng),
            "uniform": lambda rng: anchors.uniform(low, high, n, rng),
        }
        return {name: _from_pixels(make) for name, make in makers.items()}

    def _look(self, x: Tensor) -> tuple[Array, NDArray[np.int64] | None]:
        """Features (N, d) and classes (N,) of images, the latter None if the extractor knows none."""
        looks = [
            self.extractor.look((2.0 * self._grid.unit(self._grid.snap(part)) - 1.0).float()) for part in x.split(PART)
        ]
        classes = [seen for _, seen in looks if seen is not None]
        return np.concatenate([features for features, _ in looks]), np.concatenate(classes) if classes else None

    def _see(self, x: Tensor) -> ImageSet:
        """Images (N, C, H, W) in [-1, 1] as the metrics see them."""
        pixels, features, classes = [], [], []
        for part in x.split(PART):
            grey = self._grid.snap(part)
            pixels.append(self._grid.unit(self._grid.pool(grey)).numpy())
            part_features, part_classes = self.extractor.look((2.0 * self._grid.unit(grey) - 1.0).float())
            features.append(part_features)
            if part_classes is not None:
                classes.append(part_classes)
        shares = class_histogram(np.concatenate(classes), self.data.num_classes) if classes else None
        return ImageSet(np.concatenate(pixels), np.concatenate(features), shares)


def _from_pixels(make: Callable[[np.random.Generator], Array]) -> Callable[[np.random.Generator], Array]:
    """The same draw in [-1, 1]."""
    return lambda rng: 2.0 * make(rng) - 1.0
