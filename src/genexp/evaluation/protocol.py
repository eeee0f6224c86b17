"""The protocol: what every family's samples go through, whoever made them.

A protocol is prepared once with a data set; after that it reads samples and never sees a model. All rows of a
table go through the same protocol, so every random number that it draws is the same for all of them, and
comes from its own generators.
"""

import math
import sys
import time
import typing
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from genexp.data.module import DataModule
from genexp.errors import UserError
from genexp.evaluation.anchors import same_rows
from genexp.evaluation.by_class import ClassMetrics, labels_like
from genexp.evaluation.metrics.jackknife import error_of_mean, jackknife_error
from genexp.evaluation.pictured import Backdrop, Neighbours
from genexp.evaluation.scores import Scores, fingerprint_id, finite_or_none, read_scores, write_scores

Array = NDArray[np.float64]

VERSION = 2
"""Raised when a metric or an anchor changes its numbers: cached anchors and old scores are then outdated."""


def at_least(least: int, **values: int) -> None:
    """Check numbers of a protocol by their keys.

    Raises:
        UserError: if one is no whole number, or too small.
    """
    for name, value in values.items():
        if isinstance(value, bool) or not isinstance(value, int):
            raise UserError(f"evaluation.{name}={value} is no whole number: give one of at least {least}.")
        if value < least:
            raise UserError(f"evaluation.{name}={value} is too few: give at least {least}.")


class Protocol(ABC):
    """What the protocols of images and points share.

    Arguments:
        n: samples per draw; None for as many as the reference has.
        draws: independent draws of n samples; a score is the mean over them.
        fast_n: samples of the fast score.
        seed: of the scorer's own random numbers (folds, permutations, projections, anchors).
        jackknife_blocks: blocks of the headline's standard error.
        kde_bandwidth: standard deviation of the kernel of the KDE anchor.
        cache_dir: where anchors and trained features are kept; None keeps nothing on disk.

    Raises:
        UserError: if a number is out of range.
    """

    kind: str

    def __init__(
        self,
        n: int | None,
        draws: int,
        fast_n: int,
        seed: int,
        jackknife_blocks: int,
        kde_bandwidth: float,
        cache_dir: str | Path | None,
    ) -> None:
        if n is not None:
            at_least(50, n=n)
        at_least(50, fast_n=fast_n)
        at_least(1, draws=draws)
        at_least(2, jackknife_blocks=jackknife_blocks)
        at_least(0, seed=seed)
        self.n, self.draws, self.fast_n, self.seed = n, draws, fast_n, seed
        self.jackknife_blocks, self.kde_bandwidth = jackknife_blocks, kde_bandwidth
        self.cache_dir = Path(cache_dir) if cache_dir is not None else None
        self._data: DataModule | None = None
        self._content = ""
        self._reference_size = 0
        self._anchors: dict[str, Scores] | None = None
        self._by_class = ClassMetrics()

    @property
    def data(self) -> DataModule:
        """The data set that the protocol was prepared with.

        Raises:
            RuntimeError: if it was not.
        """
        if self._data is None:
            raise RuntimeError("prepare(data) comes before everything else")
        return self._data

    @property
    def size(self) -> int:
        """Samples per draw: n, or as many as the reference has."""
        return self.n or self._reference_size

    def prepare(self, data: DataModule) -> None:
        """Compute what does not depend on samples; a second call with the same data is free.

        Raises:
            UserError: if the data do not suit the protocol.
        """
        content = data.content_id()
        if self._data is not None and self._content == content:
            return
        self._data, self._content, self._anchors = data, content, None
        self._reference_size = len(data.split("ref").x)
        try:
            self._prepare(data)
            if self.jackknife_blocks > self.size // 2:
                raise UserError(
                    f"evaluation.jackknife_blocks={self.jackknife_blocks} leaves less than two of {self.size} samples "
                    "to a block: give fewer."
                )
        except BaseException:
            self._data = None  # half prepared is not prepared
            raise

    def score(self, samples: Tensor, y: Tensor | None = None) -> Scores:
        """Score `samples` (draws, n, *shape), mean over draws; NaN and infinity become a recorded failure.

        Arguments:
            samples: the draws.
            y: the classes (draws, n) that they were asked for; they add columns and change no other.

        Raises:
            UserError: if the shape is another one.
        """
        expected = (self.draws, self.size, *self.data.shape)
        if tuple(samples.shape) != expected:
            raise UserError(f"The protocol scores samples of shape {expected}, but got {tuple(samples.shape)}.")
        scores = self._score(list(samples))
        return scores if y is None else self._by_class.add(scores, list(samples), list(y))

    def fast(self, samples: Tensor, y: Tensor | None = None) -> dict[str, float]:
        """A few cheap metrics of `samples` (fast_n, *shape) against `val`; NaN if a sample is not finite.

        For watching a training and choosing checkpoints; the reference split stays untouched.

        Arguments:
            samples: generated ones.
            y: the classes (fast_n,) that they were asked for; they add the share that was met.
        """
        if not torch.isfinite(samples).all():
            return dict.fromkeys(self._fast_names(), math.nan)
        return {**self._fast(samples), **({} if y is None else self._by_class.quick(samples.detach().cpu(), y))}

    def labels(self) -> Tensor | None:
        """Classes (draws, n) for a conditional model, drawn from the reference's; None without classes.

        Uniform classes would be scored as a defect where the data's are not.
        """
        return labels_like(self.data, "ref", self._rng(0, 1), (self.draws, self.size))

    def fast_labels(self) -> Tensor | None:
        """Classes (fast_n,) for the fast score of a conditional model, drawn from those of `val`."""
        return labels_like(self.data, "val", self._rng(0, 2), (self.fast_n,))

    def backdrop(self) -> Backdrop | None:
        """What a picture of the samples is drawn over; None for images."""
        return None

    def neighbours(self, samples: Tensor, count: int = 16) -> Neighbours | None:
        """Some of `samples` (N, *shape) with their nearest training data; None where there is no picture of that.

        Arguments:
            samples: generated ones.
            count: how many to choose, evenly spaced from the nearest to the farthest.
        """
        return None

    def anchors(self, classes: bool = False) -> dict[str, Scores]:
        """The scores of the reference generators, computed once per fingerprint.

        Arguments:
            classes: also those columns that samples of given classes have, for the generators that know their classes.
        """
        if self._anchors is None:
            path = self._anchors_path()
            self._anchors = read_scores(path)
            if self._anchors is None:
                print(f"genexp: scoring the reference generators of {self.data.name} once", file=sys.stderr, flush=True)
                self._anchors = {
                    name: self._score(self._anchor_draws(make, i))
                    for i, (name, make) in enumerate(self._baselines().items())
                }
                write_scores(self._anchors, path)
        return self._class_anchors(self._anchors) if classes and self.data.num_classes else self._anchors

    def _class_anchors(self, plain: dict[str, Scores]) -> dict[str, Scores]:
        path = self._anchors_path("-classes")
        found = read_scores(path)
        if found is None:
            found, knowing = dict(plain), self._by_class.anchors()
            for i, (name, make) in enumerate(self._baselines().items()):
                if name in knowing:
                    draws = self._anchor_draws(make, i)
                    classes = [torch.from_numpy(knowing[name](self._rng(2, i, d))) for d in range(len(draws))]
                    found[name] = self._by_class.add(plain[name], draws, classes)
            write_scores(found, path)
        return found

    def fingerprint(self) -> dict[str, typing.Any]:
        """Everything that a score depends on apart from the samples, as plain JSON values."""
        return {
            "protocol": self.kind,
            "version": VERSION,
            "data": self.data.name,
            "content": self._content,
            "reference": "ref",
            "n": self.size,
            "draws": self.draws,
            "levels": self.data.levels,
            "seed": self.seed,
            "headline": self.headline,
            "jackknife_blocks": self.jackknife_blocks,
            "kde_bandwidth": self.kde_bandwidth,
            **self._fingerprint(),
        }

    @property
    @abstractmethod
    def headline(self) -> str:
        """The name of the metric that ranks."""

    @abstractmethod
    def _prepare(self, data: DataModule) -> None: ...

    @abstractmethod
    def _fingerprint(self) -> dict[str, typing.Any]: ...

    @abstractmethod
    def _names(self) -> list[str]: ...

    @abstractmethod
    def _fast_names(self) -> list[str]: ...

    @abstractmethod
    def _measure(self, draw: Tensor, rng: np.random.Generator) -> tuple[dict[str, float], float]:
        """The metrics of one draw (n, *shape) and the standard error of the headline."""

    @abstractmethod
    def _fast(self, samples: Tensor) -> dict[str, float]: ...

    @abstractmethod
    def _baselines(self) -> dict[str, Callable[[np.random.Generator], Array]]:
        """For each anchor, a function that makes one draw of flat samples (n, D), scaled as the data."""

    def _score(self, draws: Sequence[Tensor]) -> Scores:
        started = time.perf_counter()
        draws = [draw.detach().cpu() for draw in draws]
        bad = sum(int((~torch.isfinite(draw.flatten(1))).any(dim=1).sum()) for draw in draws)
        if bad:
            total = sum(len(draw) for draw in draws)
            return Scores(
                metrics=dict.fromkeys(self._names()),
                fingerprint=self.fingerprint(),
                failure=f"{bad} of {total} samples contain NaN or infinite values",
                seconds=time.perf_counter() - started,
            )
        measured = [self._measure(draw, self._rng(1, i)) for i, draw in enumerate(draws)]
        columns = {name: np.array([metrics[name] for metrics, _ in measured]) for name in self._names()}
        headline_error = math.sqrt(sum(error**2 for _, error in measured)) / len(measured)
        errors = {name: error_of_mean(values) for name, values in columns.items()}
        errors[self.headline] = headline_error
        return Scores(
            metrics={name: finite_or_none(float(values.mean())) for name, values in columns.items()},
            errors={name: error for name, error in errors.items() if math.isfinite(error)},
            fingerprint=self.fingerprint(),
            seconds=time.perf_counter() - started,
        )

    def _jackknife(self, statistic: Callable[[NDArray], float], rows: NDArray) -> float:
        return jackknife_error(statistic, rows, self.jackknife_blocks)

    def _rng(self, *stream: int) -> np.random.Generator:
        """A generator of its own for each use, so that one more draw changes no other number."""
        return np.random.default_rng([self.seed, *stream])

    def _anchor_draws(self, make: Callable[[np.random.Generator], Array], index: int) -> list[Tensor]:
        made = (make(self._rng(2, index, i)) for i in range(self.draws))
        draws = [torch.from_numpy(rows).float() for rows in made]
        if all(same_rows(draws[0].numpy(), draw.numpy()) for draw in draws[1:]):
            draws = draws[:1]  # the split has no more than n rows: the same set again says nothing new
        return [draw.reshape(len(draw), *self.data.shape) for draw in draws]

    def _anchors_path(self, ending: str = "") -> Path | None:
        if self.cache_dir is None:
            return None
        return self.cache_dir / "anchors" / f"{self.data.name}-{fingerprint_id(self.fingerprint())}{ending}.json"
