import math
import random
from pathlib import Path

import numpy as np
import pytest
import torch
from hydra.utils import instantiate
from omegaconf import OmegaConf

from genexp.errors import UserError
from genexp.evaluation import features
from genexp.evaluation.images import ImageProtocol
from genexp.evaluation.metrics.memorisation import c_t, copy_rate
from genexp.evaluation.metrics.prdc import prdc
from genexp.evaluation.scores import fingerprint_difference, fingerprint_id

CONF = Path(__file__).parents[2] / "conf" / "evaluation" / "images.yaml"


@pytest.fixture(scope="module")
def protocol(digits, tmp_path_factory):
    """One draw of everything: the tests' own samples are real images, of which there are few."""
    protocol = ImageProtocol(draws=1, cache_dir=tmp_path_factory.mktemp("cache"))
    protocol.prepare(digits)
    return protocol


@pytest.fixture(scope="module")
def perfect(protocol, digits):
    return protocol.score(digits.split("floor").x[None])


def test_the_default_has_the_documented_columns(perfect):
    assert list(perfect.metrics) == [
        *("fd32c", "fd32", "fd_pix", "mmd_pix", "mmd_pix_p", "precision", "recall", "density", "coverage"),
        *("c2st_feat_auc", "c2st_knn_auc", "class_tv", "modes_0.2", "copy_rate", "ct_z", "ct_auc", "dup_share"),
    ]
    assert perfect.failure is None
    assert all(math.isfinite(value) for value in perfect.metrics.values())


def test_held_out_images_read_the_null_values(perfect):
    metrics = perfect.metrics
    assert abs(metrics["fd32c"]) < 3 * perfect.errors["fd32c"]
    assert metrics["coverage"] == pytest.approx(0.969, abs=0.02)
    assert metrics["density"] == pytest.approx(1, abs=0.08)
    assert metrics["c2st_feat_auc"] == pytest.approx(0.5, abs=0.06)
    assert metrics["copy_rate"] == pytest.approx(0.01, abs=0.01)
    assert abs(metrics["ct_z"]) < 3
    assert metrics["modes_0.2"] == 10
    assert metrics["dup_share"] == 0


def test_anchors_are_ordered_as_their_quality(protocol):
    anchors = {name: scores.metrics for name, scores in protocol.anchors().items()}
    assert list(anchors) == ["perfect", "copycat", "kde", "gaussian", "uniform"]
    fd = {name: metrics["fd32c"] for name, metrics in anchors.items()}
    assert abs(fd["perfect"]) < 0.4
    assert abs(fd["copycat"]) < 0.4  # the Fréchet distance does not see copies
    assert 1.0 < fd["gaussian"] < 2.6
    assert fd["uniform"] > 7
    assert anchors["copycat"]["ct_z"] < -20
    assert anchors["kde"]["ct_z"] < -20
    assert anchors["gaussian"]["ct_z"] > 15
    assert anchors["copycat"]["copy_rate"] == 1
    coverage = [anchors[name]["coverage"] for name in ("perfect", "gaussian", "uniform")]
    assert coverage == sorted(coverage, reverse=True)
    assert all(scores.fingerprint == protocol.fingerprint() for scores in protocol.anchors().values())


@pytest.mark.parametrize("share", [0.0, 0.02, 0.05, 0.1])
def test_copy_rate_reads_the_copied_share(protocol, digits, share):
    samples = digits.split("floor").x.clone()
    copies = round(share * len(samples))
    samples[:copies] = digits.split("train").x[:copies]
    rate = protocol.score(samples[None]).metrics["copy_rate"]
    assert rate == pytest.approx(share + (1 - share) * 0.01, abs=0.01)


def test_a_missing_digit_lowers_coverage_and_the_modes(digits):
    protocol = ImageProtocol(n=400, draws=1)
    protocol.prepare(digits)
    floor = digits.split("floor")
    whole = protocol.score(floor.x[None, :400]).metrics
    assert whole["coverage"] > 0.95
    assert whole["modes_0.2"] == 10
    without = [protocol.score(floor.x[floor.y != digit][None, :400]).metrics for digit in (0, 3, 7)]
    assert [metrics["modes_0.2"] for metrics in without] == [9, 9, 9]
    for metrics in without:
        assert metrics["coverage"] < whole["coverage"] - 0.05
        assert metrics["recall"] < whole["recall"] - 0.05
        assert metrics["fd32c"] > whole["fd32c"] + 0.5


def test_coverage_of_pixels_falls_from_097_to_084_without_a_digit(digits):
    """The published fall is of samples drawn with replacement: a part of it are the repetitions."""
    ref, floor = digits.split("ref").x.flatten(1).numpy(), digits.split("floor")
    rest = floor.x[floor.y != 3].flatten(1).numpy()
    rng = np.random.default_rng(0)
    without_3 = [prdc(ref, rest[rng.integers(0, len(rest), 500)])["coverage"] for _ in range(5)]
    assert prdc(ref, floor.x.flatten(1).numpy())["coverage"] == pytest.approx(0.97, abs=0.015)
    assert np.mean(without_3) == pytest.approx(0.84, abs=0.02)


def test_memorisation_columns_are_those_of_the_metrics(protocol, digits, perfect):
    generated, train, ref = (
        (digits.split(name).x.flatten(1).double().numpy() + 1) / 2 for name in ("floor", "train", "ref")
    )
    assert perfect.metrics["copy_rate"] == copy_rate(generated, train, ref)
    assert (perfect.metrics["ct_z"], perfect.metrics["ct_auc"]) == pytest.approx(c_t(generated, train, ref))


def test_samples_off_the_grid_are_put_on_it(protocol, digits, perfect):
    """Dequantised images would be recognised by their last bits."""
    noise = torch.rand(500, 1, 8, 8, generator=torch.Generator().manual_seed(0)) - 0.5
    assert protocol.score((digits.split("floor").x + 0.12 * noise)[None]).metrics == perfect.metrics


@pytest.mark.parametrize("batch", [7, 37])
def test_scores_do_not_depend_on_the_batch(protocol, digits, perfect, batch, monkeypatch):
    look = protocol.extractor.look

    def in_parts(x):
        features, classes = zip(*(look(part) for part in x.split(batch)), strict=True)
        return np.concatenate(features), np.concatenate(classes)

    monkeypatch.setattr(protocol.extractor, "look", in_parts)
    assert protocol.score(digits.split("floor").x[None]).metrics == pytest.approx(perfect.metrics, abs=1e-5)


def test_scoring_is_repeatable_and_leaves_the_global_generators_alone(protocol, digits, perfect):
    torch.manual_seed(5)
    random.seed(5)
    before = torch.get_rng_state(), np.random.get_state()[1].copy(), random.getstate()  # noqa: NPY002
    again = protocol.score(digits.split("floor").x[None])
    protocol.fast(digits.split("floor").x)
    protocol.labels()
    assert torch.equal(torch.get_rng_state(), before[0])
    assert np.array_equal(np.random.get_state()[1], before[1])  # noqa: NPY002
    assert random.getstate() == before[2]
    assert again.metrics == perfect.metrics


def test_a_score_is_the_mean_of_its_draws(digits, protocol):
    two = ImageProtocol(draws=2)
    two.prepare(digits)
    floor, train = digits.split("floor").x, digits.split("train").x[:500]
    both = two.score(torch.stack([floor, train]))
    single = [protocol.score(x[None]) for x in (floor, train)]
    # the first draw's folds and permutations do not depend on how many draws there are
    assert both.metrics["fd32c"] == pytest.approx(np.mean([s.metrics["fd32c"] for s in single]))
    error = math.hypot(*(s.errors["fd32c"] for s in single)) / 2
    assert both.errors["fd32c"] == pytest.approx(error)


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_samples_that_are_not_finite_are_a_recorded_failure(protocol, digits, value):
    samples = digits.split("floor").x[None].clone()
    samples[0, 3, 0, 0, 0] = value
    scores = protocol.score(samples)
    assert scores.failure == "1 of 500 samples contain NaN or infinite values"
    assert set(scores.metrics.values()) == {None}
    assert scores.fingerprint == protocol.fingerprint()
    assert all(math.isnan(number) for number in protocol.fast(samples[0]).values())


def test_collapse_to_one_image_is_scored(protocol, digits):
    metrics = protocol.score(digits.split("floor").x[:1].expand(1, 500, -1, -1, -1)).metrics
    assert metrics["dup_share"] == pytest.approx(0.998)
    assert metrics["modes_0.2"] == 1
    assert metrics["coverage"] < 0.05


def test_fast_reads_val_and_has_five_columns(protocol, digits):
    good = protocol.fast(digits.split("floor").x)
    bad = protocol.fast(torch.rand(500, 1, 8, 8, generator=torch.Generator().manual_seed(0)) * 2 - 1)
    assert set(good) == set(bad) == {"fd32c", "coverage", "recall", "class_tv", "dup_share"}
    assert good["fd32c"] < 1 < bad["fd32c"]
    assert good["coverage"] > 0.9 > bad["coverage"]


def test_labels_have_the_shares_of_the_reference(digits):
    protocol = ImageProtocol(draws=40)
    protocol.prepare(digits)
    labels = protocol.labels()
    assert labels.shape == (40, 500)
    shares = torch.bincount(labels.flatten(), minlength=10) / labels.numel()
    reference = torch.bincount(digits.split("ref").y, minlength=10) / 500
    torch.testing.assert_close(shares, reference, atol=0.012, rtol=0)


def test_anchors_are_read_from_the_cache(digits, protocol, monkeypatch):
    first = protocol.anchors()
    other = ImageProtocol(draws=1, cache_dir=protocol.cache_dir)
    other.prepare(digits)
    monkeypatch.setattr(other, "_measure", None)  # measuring again would fail
    assert other.anchors() == first


@pytest.mark.parametrize(
    "change",
    [
        {"n": 400},
        {"draws": 2},
        {"k": 3},
        {"seed": 1},
        {"permutations": 100},
        {"pairwise_n": 300},
        {"kde_bandwidth": 0.2},
    ],
    ids=str,
)
def test_the_fingerprint_sees_each_setting(digits, protocol, change):
    other = ImageProtocol(**{"draws": 1, **change})
    other.prepare(digits)
    difference = fingerprint_difference(protocol.fingerprint(), other.fingerprint())
    assert difference.startswith(next(iter(change)))
    assert fingerprint_id(other.fingerprint()) != fingerprint_id(protocol.fingerprint())


def test_the_fingerprint_sees_the_data_and_the_features(digits, protocol, monkeypatch):
    monkeypatch.setattr(digits, "content_id", lambda: "other")
    other = ImageProtocol(draws=1)
    other.prepare(digits)
    difference = fingerprint_difference(protocol.fingerprint(), other.fingerprint())
    assert "content: " in difference
    assert "features_sha256: " in difference


def test_samples_of_another_shape_are_refused(protocol, digits):
    with pytest.raises(UserError, match=r"\(1, 500, 1, 8, 8\)"):
        protocol.score(digits.split("floor").x)


def test_impossible_settings_are_refused(digits):
    with pytest.raises(UserError, match="at most 500"):
        ImageProtocol(n=501).prepare(digits)
    with pytest.raises(UserError, match=r"evaluation\.draws=0"):
        ImageProtocol(draws=0)
    for key, value in {"k": 0, "permutations": 0, "pairwise_n": -5, "seed": -1, "n": 10, "fast_n": 2}.items():
        with pytest.raises(UserError, match=f"evaluation.{key}={value} is too few"):
            ImageProtocol(**{key: value})
    with pytest.raises(UserError, match="k=60 needs more neighbours than 50 samples"):
        ImageProtocol(n=50, k=60).prepare(digits)
    with pytest.raises(UserError, match="jackknife_blocks=300 leaves less than two"):
        ImageProtocol(jackknife_blocks=300).prepare(digits)
    with pytest.raises(RuntimeError, match="prepare"):
        ImageProtocol().fingerprint()


def test_the_config_builds_the_default(digits, tmp_path):
    node = OmegaConf.create({"paths": {"cache": str(tmp_path)}, "evaluation": OmegaConf.load(CONF)})
    protocol = instantiate(node.evaluation, _convert_="all")
    protocol.prepare(digits)
    default = ImageProtocol()
    default.prepare(digits)
    assert protocol.fingerprint() == default.fingerprint()
    assert protocol.extractor.sha256 == features.PACKAGED_SHA256
    assert protocol.cache_dir == tmp_path


def test_neighbours_are_the_nearest_training_images_in_features(digits, protocol):
    train, floor = digits.split("train").x, digits.split("floor").x
    found = protocol.neighbours(floor, 8)
    assert found.samples.shape == found.nearest.shape == (8, 1, 8, 8)
    assert (np.diff(found.ratio) >= 0).all()
    look = protocol.extractor
    every, held_out = look(train), look(digits.split("ref").x)

    def distances(x):  # (N, T)
        return np.sqrt(((look(x)[:, None] - every) ** 2).sum(axis=2))

    own = distances(found.samples)
    assert torch.equal(found.nearest, train[own.argmin(axis=1)])
    scale = np.median(np.sqrt(((held_out[:, None] - every) ** 2).sum(axis=2)).min(axis=1))
    np.testing.assert_allclose(found.ratio, own.min(axis=1) / scale, rtol=1e-5)
    everyone = np.sort(distances(floor).min(axis=1)) / scale
    np.testing.assert_allclose(found.ratio[[0, -1]], everyone[[0, -1]], rtol=1e-5)  # from the nearest to the farthest
    assert np.median(found.ratio) == pytest.approx(1, abs=0.2)


def test_a_copy_is_its_own_nearest_neighbour(digits, protocol):
    copies = digits.split("train").x[[3, 600, 796]]
    found = protocol.neighbours(copies)
    assert torch.equal(found.samples, found.nearest)
    assert (found.ratio == 0).all()
    assert protocol.neighbours(torch.full_like(copies, math.nan)) is None
