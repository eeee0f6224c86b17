"""What each number of a score means, which way is better, and what a perfect generator reads."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

from genexp.evaluation.metrics.prdc import expected_coverage

Direction = Literal["lower", "higher", "target", "none"]

ARROWS: dict[Direction, str] = {"lower": "↓", "higher": "↑", "target": "→", "none": ""}


@dataclass(frozen=True)
class MetricInfo:
    """One metric.

    Attributes:
        name: its key in a score; `fd#` stands for the Fréchet distance in any number of features.
        better: `lower`, `higher`, `target` (the nearer to `null` the better) or `none` (a cost, a
            description).
        null: the value of a perfect generator; None where it depends on the data or the sample size: read the
            row of the perfect anchor instead.
        meaning: one line.
    """

    name: str
    better: Direction
    null: float | None
    meaning: str

    @property
    def aim(self) -> str:
        """The arrow and the null value, as `↓ 0`."""
        null = "" if self.null is None else f"{self.null:g}"
        return " ".join(part for part in (ARROWS[self.better], null) if part)

    @property
    def header(self) -> str:
        """The name with its aim, as `fd32c ↓ 0`."""
        return f"{self.name} {self.aim}".rstrip()

    def loss(self, value: float) -> float:
        """The value turned so that lower is better: for choosing among checkpoints and trials."""
        if self.better == "higher":
            return -value
        if self.better == "target" and self.null is not None:
            return abs(value - self.null)
        return value


_METRICS = (
    MetricInfo("fd#c", "lower", 0.0, "Fréchet distance in features, corrected for the sample size; may be negative"),
    MetricInfo("coverage", "higher", None, "share of data whose ball holds a sample; its null depends on n and k"),
    MetricInfo("recall", "higher", None, "share of data within the samples' manifold; falls with truncation"),
    MetricInfo("precision", "higher", None, "share of samples within the data's manifold; rises with truncation"),
    MetricInfo("copy_rate", "lower", 0.01, "share of samples nearer to a training image than 99 % of held-out ones"),
    MetricInfo("class_tv", "lower", None, "total variation between the class histograms"),
    MetricInfo("class_accuracy", "higher", None, "share of samples whose class is seen as the one that was asked for"),
    MetricInfo("fd#c_class", "lower", None, "corrected Fréchet distance of the samples of a class, mean over classes"),
    MetricInfo("c2st_feat_auc", "lower", 0.5, "AUC of logistic regression on features, real against generated"),
    MetricInfo("fd_pix", "lower", None, "Fréchet distance of pixels in [0, 1], uncorrected"),
    MetricInfo("modes", "higher", None, "modes with at least one sample; of points, within 3 std"),
    MetricInfo(
        "hq", "target", 0.98889, "share of samples within 3 std of a mode; above the null the modes are too thin"
    ),
    MetricInfo(
        "mode_kl", "lower", 0.0, "KL divergence in nats of the modes' shares from the true ones, less its floor"
    ),
    MetricInfo("std_ratio", "target", 1.0, "standard deviation within the modes over the true one"),
    MetricInfo("nll_true", "none", None, "mean -log p_true of the samples in nats; the perfect row is the entropy"),
    MetricInfo("sw2", "lower", None, "squared sliced 2-Wasserstein distance"),
    MetricInfo("bpd", "lower", None, "bits per dimension of the reference: = exact, ≤ a bound, ≈ an estimate"),
    MetricInfo("bpd_ais", "lower", None, "the same by annealed importance sampling of the decoder alone: ≤ a bound"),
    MetricInfo("dup_share", "lower", None, "share of samples that repeat another exactly"),
    MetricInfo("c2st_knn_auc", "lower", 0.5, "AUC of nearest neighbours on pixels, real against generated"),
    MetricInfo("energy", "lower", 0.0, "energy distance, unbiased"),
    MetricInfo("off_support", "lower", 0.0, "share of samples where the true density is 0"),
    MetricInfo("modes_strict", "higher", None, "modes with at least a tenth of their share within 3 std"),
    MetricInfo("modes_0.2", "higher", None, "classes with at least 0.2 of their share"),
    MetricInfo("ct_auc", "target", 0.5, "chance that a sample is farther from the training set than a held-out image"),
    MetricInfo("ct_z", "target", 0.0, "the same as a standardised rank, which grows with n; very negative: copies"),
    MetricInfo("density", "target", 1.0, "data balls that a sample is in; above 1 the samples are too smooth"),
    MetricInfo("fd#", "lower", None, "Fréchet distance in features, uncorrected"),
    MetricInfo("mmd_pix", "lower", 0.0, "squared RBF-MMD of pixels in [0, 1], unbiased"),
    MetricInfo(
        "mmd_pix_p", "higher", None, "its permutation p-value, mean over the draws; 0.5 for a perfect generator"
    ),
    MetricInfo("mmd", "lower", 0.0, "squared RBF-MMD, unbiased"),
    MetricInfo("mmd_p", "higher", None, "its permutation p-value, mean over the draws; 0.5 for a perfect generator"),
)
_COSTS = (
    MetricInfo("params", "none", None, "parameters of the model"),
    MetricInfo("train_s", "none", None, "seconds of training"),
    MetricInfo("sample_s", "none", None, "seconds for one draw of samples"),
)

METRICS: dict[str, MetricInfo] = {metric.name: metric for metric in (*_METRICS, *_COSTS)}
"""All that are known, the most telling first: the order of a table's columns."""

_PLACES = {metric.name: place for place, metric in enumerate(_METRICS)}
_PLACES |= {cost.name: len(_METRICS) + 1 + place for place, cost in enumerate(_COSTS)}


def canonical(name: str) -> str:
    """The key in `METRICS`: the number of features in a name is any number.

    Example:
        >>> canonical("fd2048c")
        'fd#c'
    """
    return re.sub(r"^fd\d+", "fd#", name)


def metric_info(name: str, fingerprint: Mapping[str, Any] | None = None) -> MetricInfo:
    """What is known of a metric; an unknown name is a column without direction.

    Arguments:
        name: its key in a score.
        fingerprint: of the score; it tells the null value of `coverage`, which depends on the settings.

    Example:
        >>> metric_info("fd32c").header
        'fd32c ↓ 0'
    """
    info = METRICS.get(canonical(name))
    if info is None:
        return MetricInfo(name, "none", None, "")
    null = _coverage_null(fingerprint or {}) if name == "coverage" else info.null
    return replace(info, name=name, null=null)


def _coverage_null(fingerprint: Mapping[str, Any]) -> float | None:
    """Three digits; None if the fingerprint does not say what it takes."""
    n, k = fingerprint.get("n"), fingerprint.get("k")
    if not (isinstance(n, int) and isinstance(k, int) and 1 <= k < n):
        return None
    return round(expected_coverage(n, n, k), 3)


def place(name: str) -> int:
    """Where a metric stands in a table: unknown ones come after the known ones, and costs come last.

    Example:
        >>> sorted(["params", "mine", "bpd", "fd32c"], key=place)
        ['fd32c', 'bpd', 'mine', 'params']
    """
    return _PLACES.get(canonical(name), len(_METRICS))
