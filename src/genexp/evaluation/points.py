"""The protocol of points: modes where the truth has them, and distances to a large real sample."""

import math
import typing
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from genexp.data.module import DataModule
from genexp.errors import UserError
from genexp.evaluation import anchors
from genexp.evaluation.by_class import ClassMetrics, PointClassMetrics
from genexp.evaluation.metrics.distances import squared_distances
from genexp.evaluation.metrics.mmd import median_bandwidth, mmd_permutation_test
from genexp.evaluation.metrics.points import energy_distance, mode_statistics, reach, sliced_wasserstein
from genexp.evaluation.pictured import Backdrop
from genexp.evaluation.protocol import Array, Protocol, at_least

MODE_METRICS = ("modes", "modes_strict", "hq", "mode_kl", "std_ratio")


@dataclass(frozen=True)
class Modes:
    """Where the truth has its modes.

    Attributes:
        centres: (K, D).
        std: standard deviation around each.
        weights: (K,), not normalised; None for equal ones.
    """

    centres: Array
    std: float
    weights: Sequence[float] | None


class PointProtocol(Protocol):
    """Scores points (N, D); the features are the coordinates.

    The headline is `hq`, the share of samples within 3 standard deviations of a mode (in the plane), where the data set
    names its modes, and the energy distance elsewhere.

    Arguments:
        n: samples per draw; None for as many as the reference has.
        draws: independent draws of n samples; a score is the mean over them.
        fast_n: samples of the fast score, which reads the `val` split.
        permutations: of the MMD test; its smallest p-value is 1 / (permutations + 1).
        pairwise_n: at most this many rows of each set enter MMD and the energy distance, whose cost grows
            with the square.
        projections: random directions of the sliced Wasserstein distance.
        seed: of the scorer's own random numbers.
        jackknife_blocks: blocks of the headline's standard error.
        kde_bandwidth: standard deviation of the KDE anchor, in standard deviations of the training set.
        cache_dir: where anchors are kept; None keeps nothing on disk.

    Raises:
        UserError: if a number is out of range.
    """

    kind = "points"

    def __init__(
        self,
        n: int | None = 10_000,
        draws: int = 4,
        fast_n: int = 2000,
        permutations: int = 200,
        pairwise_n: int = 2000,
        projections: int = 200,
        seed: int = 0,
        jackknife_blocks: int = 10,
        kde_bandwidth: float = 0.1,
        cache_dir: str | Path | None = None,
    ) -> None:
        super().__init__(n, draws, fast_n, seed, jackknife_blocks, kde_bandwidth, cache_dir)
        at_least(1, permutations=permutations, projections=projections)
        at_least(50, pairwise_n=pairwise_n)
        self.permutations, self.pairwise_n, self.projections = permutations, pairwise_n, projections
        self._modes: Modes | None = None

    @property
    def headline(self) -> str:
        """`hq` or `energy`."""
        return "hq" if self._modes is not None else "energy"

    def backdrop(self) -> Backdrop:
        """Two thousand points of `val` and the true density, which a picture draws in the plane alone."""
        log_prob = None if self.data.density is None else self.data.density.log_prob
        return Backdrop(torch.from_numpy(self._val[:2000]), log_prob)

    def _prepare(self, data: DataModule) -> None:
        if len(data.shape) != 1:
            raise UserError(f"{data.name} has shape {tuple(data.shape)}, not (D,): choose evaluation=images for it.")
        truth, self._modes, self._by_class = data.density, None, ClassMetrics()
        if truth is not None and truth.modes is not None and truth.std is not None:
            # Only mixtures have weights: the modes of another density are equal.
            self._modes = Modes(truth.modes.double().numpy(), truth.std, getattr(truth, "weights", None))
        self._ref = data.split("ref").x.double().numpy()
        self._val = data.split("val").x.double().numpy()
        spread = median_bandwidth(self._ref)
        self._bandwidths = [spread, spread / 4]
        if self._modes is not None and data.num_classes:
            self._by_class = PointClassMetrics(**vars(self._modes), anchors=self._anchor_classes())

    def _fingerprint(self) -> dict[str, typing.Any]:
        dim = math.prod(self.data.shape)
        radius = {} if self._modes is None or dim == 2 else {"radius": round(reach(dim), 6)}
        return {
            **radius,
            "features": "identity",
            "permutations": self.permutations,
            "pairwise_n": self.pairwise_n,
            "projections": self.projections,
        }

    def _names(self) -> list[str]:
        modes = MODE_METRICS if self._modes is not None else ()
        density = ("nll_true", "off_support") if self.data.density is not None else ()
        return [*modes, *density, "sw2", "mmd", "mmd_p", "energy"]

    def _fast_names(self) -> list[str]:
        if self._modes is not None:
            return list(MODE_METRICS)
        return ["energy", *(("nll_true", "off_support") if self.data.density is not None else ())]

    def _measure(self, draw: Tensor, rng: np.random.Generator) -> tuple[dict[str, float], float]:
        points, some = draw.double().numpy(), self.pairwise_n
        mmd, p = mmd_permutation_test(points[:some], self._ref[:some], self._bandwidths, rng, self.permutations)
        metrics = {
            **self._mode_metrics(points),
            **self._density_metrics(draw),
            "sw2": sliced_wasserstein(points, self._ref, rng, self.projections),
            "mmd": mmd,
            "mmd_p": p,
        }
        if self._modes is not None:
            metrics["energy"] = energy_distance(points[:some], self._ref[:some])
            return metrics, self._jackknife(lambda rows: self._mode_metrics(rows)["hq"], points)
        energy = _energy_of_rows(points[:some], self._ref[:some])
        rows = np.arange(min(some, len(points)))
        metrics["energy"] = energy(rows)
        return metrics, self._jackknife(energy, rows)

    def _fast(self, samples: Tensor) -> dict[str, float]:
        samples = samples.detach().cpu()
        points = samples.double().numpy()
        if self._modes is not None:
            return self._mode_metrics(points)
        some = self.pairwise_n // 4  # the time of a fast score, not of a final one
        return {"energy": energy_distance(points[:some], self._val[:some]), **self._density_metrics(samples)}

    def _mode_metrics(self, points: Array) -> dict[str, float]:
        if self._modes is None:
            return {}
        return mode_statistics(points, self._modes.centres, self._modes.std, self._modes.weights)

    def _density_metrics(self, draw: Tensor) -> dict[str, float]:
        """Mean -log p_true where p_true > 0, and the share of samples elsewhere."""
        if self.data.density is None:
            return {}
        with torch.no_grad():
            log_prob = self.data.density.log_prob(draw).double()
        inside = torch.isfinite(log_prob)
        return {
            "nll_true": -float(log_prob[inside].mean()) if inside.any() else math.nan,
            "off_support": 1.0 - float(inside.double().mean()),
        }

    def _anchor_classes(self) -> dict[str, Callable[[np.random.Generator], NDArray[np.int64]]]:
        n, (train, floor) = self.size, (self.data.split(name).y.numpy() for name in ("train", "floor"))
        return {
            "perfect": lambda rng: anchors.subset(floor, n, rng),
            "kde": lambda rng: anchors.centres(train, n, rng),
        }

    def _baselines(self) -> dict[str, Callable[[np.random.Generator], Array]]:
        n = self.size
        train, floor = (self.data.split(name).x.double().numpy() for name in ("train", "floor"))
        bandwidth = self.kde_bandwidth * float(np.sqrt(train.var(axis=0).mean()))
        low, high = train.min(axis=0), train.max(axis=0)
        # No copycat: these sources never end, so there is no training set to copy.
        return {
            "perfect": lambda rng: anchors.subset(floor, n, rng),
            "kde": lambda rng: anchors.kernel_density(train, n, bandwidth, rng),
            "gaussian": lambda rng: anchors.gaussian(train, n, rng),
            "uniform": lambda rng: anchors.uniform(low, high, n, rng),
        }


def _energy_of_rows(points: Array, reference: Array) -> Callable[[NDArray], float]:
    """`energy_distance` as a function of the rows of `points` that are kept: a jackknife repeats no distance."""
    within = np.sqrt(squared_distances(points, points))
    across = np.sqrt(squared_distances(points, reference)).mean(axis=1)
    m = len(reference)
    of_reference = float(np.sqrt(squared_distances(reference, reference)).sum()) / (m * (m - 1))

    def energy(rows: NDArray) -> float:
        n = len(rows)
        among = float(within[np.ix_(rows, rows)].sum()) / (n * (n - 1))
        return 2.0 * float(across[rows].mean()) - among - of_reference

    return energy
