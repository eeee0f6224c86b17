import json
import math

import pytest

from genexp.evaluation.registry import METRICS, metric_info
from genexp.evaluation.scores import (
    Scores,
    fingerprint_difference,
    fingerprint_id,
    read_scores,
    write_scores,
)

SCORES = Scores({"fd32c": 0.5, "class_tv": None}, {"fd32c": 0.1}, {"n": 500, "draws": 4}, None, 1.5)


def test_json_round_trip():
    assert Scores.from_json(json.loads(json.dumps(SCORES.to_json()))) == SCORES


def test_json_has_no_nan_and_ignores_the_keys_of_others():
    row = SCORES.with_columns(bpd=math.nan, params=10, bpd_kind="none").to_json()
    json.dumps(row, allow_nan=False)
    assert row["metrics"] == {"fd32c": 0.5, "class_tv": None, "bpd": None, "params": 10, "bpd_kind": "none"}
    assert Scores.from_json({**row, "run": "somewhere"}).metrics["params"] == 10
    assert "bpd" not in SCORES.metrics


def test_a_row_without_metrics_is_no_score():
    with pytest.raises(ValueError, match="no metrics"):
        Scores.from_json({"run": "somewhere"})


def test_fingerprint_hash_does_not_depend_on_order_and_sees_every_value():
    a = {"n": 500, "draws": 4}
    assert fingerprint_id(a) == fingerprint_id({"draws": 4, "n": 500})
    assert len({fingerprint_id(x) for x in (a, {**a, "n": 501}, {**a, "k": None}, {"n": 500})}) == 4
    assert len(fingerprint_id(a)) == 12


def test_difference_names_what_differs():
    assert fingerprint_difference({"n": 1}, {"n": 1}) is None
    assert fingerprint_difference({"n": 1, "k": 5}, {"n": 2, "k": 5}) == "n: 1 and 2"
    assert fingerprint_difference({"n": 1}, {}) == "n: 1 and nothing"


def test_files_round_trip_and_a_damaged_one_reads_as_none(tmp_path):
    path = tmp_path / "anchors" / "a.json"
    assert read_scores(path) is None
    assert read_scores(None) is None
    write_scores({"perfect": SCORES}, path)
    assert read_scores(path) == {"perfect": SCORES}
    path.write_text(path.read_text()[:20])
    assert read_scores(path) is None


def test_losses_are_lower_for_better():
    assert metric_info("fd32c").loss(0.1) < metric_info("fd32c").loss(0.2)
    assert metric_info("coverage").loss(0.9) < metric_info("coverage").loss(0.8)
    assert metric_info("hq").loss(0.989) < metric_info("hq").loss(1.0)  # thinner modes are not better
    assert metric_info("density").loss(1.0) < metric_info("density").loss(1.5)


def test_headers():
    assert metric_info("fd32c").header == "fd32c ↓ 0"
    assert metric_info("fd2048").header == "fd2048 ↓"
    assert metric_info("density").header == "density → 1"
    assert metric_info("coverage").header == "coverage ↑"
    assert metric_info("coverage", {"n": 500, "k": 5}).header == "coverage ↑ 0.969"
    assert metric_info("coverage", {"n": 5000, "k": 3}).header == "coverage ↑ 0.875"
    assert metric_info("coverage", {"n": 500, "k": None}).header == "coverage ↑"
    assert metric_info("params").header == "params"
    assert all(metric.null is not None for metric in METRICS.values() if metric.better == "target")
