"""Reports of runs whose numbers are chosen, so that the tables are known."""

import json
import math

import numpy as np
import pytest
from scipy import stats
from tests.reporting.synthetic_runs import ANCHORS, write_curves, write_pictures, write_run

from genexp.errors import UserError
from genexp.reporting.report import build_report

HINGE = [1.0, 1.2, 1.1]
WASSERSTEIN = [1.05, 1.25, 1.0]
SATURATING = [3.0, 3.2, 3.1]


def sweep(tmp_path, **of_loss):
    for loss, values in of_loss.items():
        for seed, value in enumerate(values):
            row = None if value is None else {"fd32c": value, "coverage": 0.9 - value / 10, "copy_rate": 0.01}
            status = "complete" if value is not None else "diverged"
            write_run(tmp_path, row, loss=loss, seed=seed, status=status, failure=None if row else "it is NaN")
    return tmp_path


def of(table):
    return {setting["label"]: setting for setting in table["settings"]}


@pytest.fixture
def table(tmp_path):
    sweep(tmp_path, hinge=HINGE, wasserstein=WASSERSTEIN, saturating=SATURATING)
    return build_report([tmp_path])["tables"][0]


def test_means_and_intervals(table):
    assert [setting["label"] for setting in table["settings"]] == [
        f"loss={n}" for n in ("hinge", "wasserstein", "saturating")
    ]
    hinge = of(table)["loss=hinge"]
    assert hinge["mean"]["fd32c"] == pytest.approx(1.1)
    low, high = stats.t.interval(0.95, 2, loc=np.mean(HINGE), scale=stats.sem(HINGE))
    assert hinge["half_width"]["fd32c"] == pytest.approx((high - low) / 2)
    assert hinge["values"]["fd32c"] == HINGE
    assert (hinge["seeds"], hinge["n"], hinge["seconds"], hinge["cpu_seconds"]) == ([0, 1, 2], 3, 20.0, 16.0)
    assert (hinge["images_per_second"], hinge["parameters"]) == (3200.0, 83715)
    assert hinge["command"] == "genexp train experiment=digits_gan loss=hinge optimizer.lr=0.0002 seeds=3"


def test_bold_is_what_cannot_be_told_from_the_best(table):
    # 1.1 against 1.1 and against 3.1 with a spread of 0.1
    assert [setting["best"]["fd32c"] for setting in table["settings"]] == [True, True, False]
    assert [setting["best"]["coverage"] for setting in table["settings"]] == [True, True, False]
    assert [setting["best"]["copy_rate"] for setting in table["settings"]] == [True, True, True]
    assert "Bold: not separable" in table["caption"]


def test_anchors_and_headers(table):
    assert [anchor["name"] for anchor in table["anchors"]] == ["perfect", "gaussian"]
    assert table["anchors"][1]["values"]["fd32c"] == ANCHORS["digits"]["gaussian"]["fd32c"]
    assert [(metric["name"], metric["aim"]) for metric in table["metrics"]] == [
        ("fd32c", "↓ 0"),
        ("coverage", "↑ 0.969"),
        ("copy_rate", "↓ 0.01"),
    ]


def test_anchors_are_those_of_the_run_whose_anchors_have_most_columns(tmp_path):
    """Runs of families with classes have the same fingerprint, and anchors with a column more."""
    write_run(tmp_path, {"fd32c": 3.0}, loss="hinge", seed=0)
    folder = write_run(tmp_path, {"fd32c": 2.0, "class_accuracy": 0.9}, loss="wasserstein", seed=0)
    anchors = json.loads((folder / "anchors.json").read_text())
    anchors["perfect"]["metrics"]["class_accuracy"] = 0.97
    (folder / "anchors.json").write_text(json.dumps(anchors))
    (table,) = build_report([tmp_path])["tables"]
    assert {a["name"]: a["values"]["class_accuracy"] for a in table["anchors"]} == {"perfect": 0.97, "gaussian": None}


def test_failures_are_rows_and_rank_last(tmp_path):
    sweep(tmp_path, hinge=[5.0, None, 5.5], wasserstein=[None, None])
    write_run(tmp_path, None, loss="hinge", seed=3, status="queued")
    report = build_report([tmp_path])
    hinge, wasserstein = report["tables"][0]["settings"]
    assert (hinge["n"], hinge["unfinished"], hinge["seeds"]) == (2, 1, [0, 1, 2])
    assert hinge["values"]["fd32c"] == [5.0, None, 5.5]
    assert hinge["mean"]["fd32c"] == 5.25
    [failure] = hinge["failures"]
    assert (failure["seed"], failure["status"], failure["reason"]) == (1, "diverged", "it is NaN")
    assert report["runs"][failure["run"]]["status"] == "diverged"
    assert (wasserstein["n"], len(wasserstein["failures"]), wasserstein["mean"]["fd32c"]) == (0, 2, None)
    assert not wasserstein["best"]["fd32c"]
    assert len(report["runs"]) == 6


def test_one_run_has_no_interval_and_is_never_bold(tmp_path):
    table = build_report([sweep(tmp_path, hinge=[1.0], wasserstein=[2.0, 2.1], saturating=[3.0, 3.3])])["tables"][0]
    hinge, wasserstein, _ = table["settings"]
    assert (hinge["mean"]["fd32c"], hinge["half_width"]["fd32c"], hinge["best"]["fd32c"]) == (1.0, None, False)
    assert wasserstein["best"]["fd32c"]
    assert "One run says nothing about spread" in table["caption"]


def test_a_target_is_approached_from_both_sides(tmp_path):
    for loss, values in {
        "hinge": [0.9, 0.91, 0.92],
        "wasserstein": [0.99, 0.98, 0.99],
        "saturating": [1.0] * 3,
    }.items():
        for seed, value in enumerate(values):
            write_run(tmp_path, {"hq": value}, loss=loss, seed=seed, data="ring8")
    table = build_report([tmp_path])["tables"][0]
    assert [setting["label"] for setting in table["settings"]] == [
        f"loss={n}" for n in ("wasserstein", "saturating", "hinge")
    ]
    assert table["settings"][0]["best"]["hq"]
    assert not table["settings"][2]["best"]["hq"]
    [comparison] = [
        c for c in table["comparisons"] if c["b"] == table["settings"][2]["id"] and c["a"] == table["settings"][0]["id"]
    ]
    assert comparison["of"] == "distance to 0.98889"
    assert comparison["a_wins"] == 3
    assert comparison["difference"] < 0  # its distance is the smaller


def test_pairs_are_aligned_by_seed(tmp_path):
    for seed, value in ((0, 1.0), (1, 2.0), (3, 4.0)):
        write_run(tmp_path, {"fd32c": value}, seed=seed)
    for seed, value in ((1, 2.5), (2, 9.0), (3, 4.1)):
        write_run(tmp_path, {"fd32c": value}, loss="wasserstein", seed=seed)
    [comparison] = build_report([tmp_path])["tables"][0]["comparisons"]
    assert comparison["seeds"] == [1, 3]
    assert comparison["difference"] == pytest.approx(-0.3)
    assert comparison["p"] == pytest.approx(stats.ttest_rel([2.0, 4.0], [2.5, 4.1]).pvalue)
    assert comparison["half_width"] == pytest.approx(stats.t.ppf(0.975, 1) * stats.sem([-0.5, -0.1]))
    welch = stats.ttest_ind([1.0, 2.0, 4.0], [2.5, 9.0, 4.1], equal_var=False).pvalue
    assert comparison["welch_p"] == pytest.approx(welch)
    assert comparison["a_wins"] == 2


def test_scored_differently_is_refused(tmp_path):
    a = write_run(tmp_path, {"fd32c": 1.0})
    b = write_run(tmp_path, {"fd32c": 1.0}, seed=1, fingerprint={"draws": 2})
    first, second = sorted((a.name, b.name))
    draws = "4 and 2" if first == a.name else "2 and 4"
    with pytest.raises(UserError) as refused:
        build_report([tmp_path])
    assert f"{first} and {second} on digits were scored differently (draws: {draws})" in str(refused.value)


def test_versions_that_differ_are_told(tmp_path):
    write_run(tmp_path, {"fd32c": 1.0})
    write_run(tmp_path, {"fd32c": 1.1}, seed=1, record={"commit": "ffff", "versions": {"torch": "2.8.0"}})
    report = build_report([tmp_path])
    assert "The runs differ in commit (0123456789ab, ffff)." in report["tables"][0]["caption"]
    assert "version of torch (2.8.0, 2.9.0)" in report["tables"][0]["caption"]
    assert report["commit"] is None


def test_bounds_and_exact_values_are_not_compared(tmp_path):
    for loss, kind in (("hinge", "exact"), ("wasserstein", "lower bound")):
        for seed in range(2):
            write_run(
                tmp_path, {"fd32c": 1.0 + seed, "bpd": 2.0, "bpd_kind": kind, "bpd_samples": 1}, loss=loss, seed=seed
            )
    table = build_report([tmp_path])["tables"][0]
    assert [setting["bpd_kind"] for setting in table["settings"]] == ["exact", "lower bound"]
    assert [setting["best"]["bpd"] for setting in table["settings"]] == [False, False]
    assert "bpd: exact values and bounds are not compared" in table["caption"]


def test_bounds_of_different_effort_are_not_compared(tmp_path):
    for loss, samples in (("hinge", 16), ("wasserstein", 64)):
        for seed in range(2):
            bound = {"bpd": 2.0 - samples / 64 + seed / 100, "bpd_kind": "lower bound", "bpd_samples": samples}
            write_run(tmp_path, {"fd32c": 1.0 + seed, **bound}, loss=loss, seed=seed)
    table = build_report([tmp_path])["tables"][0]
    assert [setting["efforts"] for setting in table["settings"]] == [{"bpd": ["samples=16"]}, {"bpd": ["samples=64"]}]
    assert [setting["best"]["bpd"] for setting in table["settings"]] == [False, False]
    assert "bpd: bounds were made with samples=16, samples=64, and are not compared." in table["caption"]


def test_a_verdict_does_not_depend_on_the_columns_that_are_shown(tmp_path):
    for loss, value, coverage in (("hinge", 1.0, 0.2), ("wasserstein", 2.0, 0.9)):
        for seed in range(4):
            scores = {"fd32c": value + seed / 100, "coverage": coverage + seed / 100, "recall": 0.5, "bpd": 2.0}
            write_run(tmp_path, scores, loss=loss, seed=seed)
    verdicts = {
        build_report([tmp_path], metrics=metrics, compare="hinge,wasserstein")["tables"][0]["compare"]["sentence"]
        for metrics in (None, ["bpd"])
    }
    assert len(verdicts) == 1 and "coverage" in verdicts.pop()


def test_a_missing_number_is_no_advantage(tmp_path):
    for loss, values in {
        "hinge": [0.9, None, 0.9],
        "wasserstein": [0.5, 0.51, 0.52],
        "saturating": [0.1, 0.11, 0.1],
    }.items():
        for seed, value in enumerate(values):
            write_run(tmp_path, {"fd32c": 1.0 + seed, "coverage": value}, loss=loss, seed=seed)
    settings = of(build_report([tmp_path])["tables"][0])
    assert {label: setting["best"]["coverage"] for label, setting in settings.items()} == {
        "loss=hinge": False,
        "loss=wasserstein": True,
        "loss=saturating": False,
    }


def test_budget_counts_failures_as_the_worst(tmp_path):
    budget = build_report([sweep(tmp_path, hinge=[1.0, 2.0], wasserstein=[4.0, None])])["tables"][0]["budget"]
    worst_for_failed = [1.0, 2.0, 4.0, 4.0]
    assert budget["failures"] == 1
    assert [point["expected"] for point in budget["points"]] == pytest.approx(
        [np.mean(worst_for_failed), (3 * 1.0 + 2 * 2.0 + 4.0) / 6, (3 * 1.0 + 2.0) / 4, 1.0]
    )
    assert [(point["k"], point["cpu_seconds"]) for point in budget["points"]] == [(k, 16.0 * k) for k in range(1, 5)]


def test_normalised_scores_of_two_data_sets(tmp_path):
    sweep(tmp_path, hinge=[1.0, 1.0], wasserstein=[2.0, None])
    for loss, value in (("hinge", 0.98889), ("wasserstein", 0.49889)):
        for seed in range(2):
            write_run(tmp_path, {"hq": value}, loss=loss, seed=seed, data="ring8")
    report = build_report([tmp_path])
    assert [table["data"] for table in report["tables"]] == ["digits", "ring8"]
    hinge, wasserstein = report["normalised"]["rows"]
    # digits: from 0 (perfect) to 2 (Gaussian); ring8: from 0.98889 to 0.00889
    assert hinge["by_data"] == pytest.approx({"digits": 0.5, "ring8": 0.0})
    assert hinge["iqm"] == pytest.approx(0.25)  # of 0, 0, .5, .5 the middle half
    assert wasserstein["by_data"] == pytest.approx({"digits": 1.0, "ring8": 0.5})
    assert wasserstein["iqm"] == pytest.approx(0.75)  # of .5, .5, 1 and a failure
    assert (wasserstein["n"], wasserstein["failures"]) == (3, 1)
    assert build_report([tmp_path / name.name for name in tmp_path.glob("*-s0")])["normalised"] is not None


def test_the_order_of_folders_does_not_matter(tmp_path):
    for name, loss in (("a", "hinge"), ("b", "wasserstein"), ("c", "saturating")):
        sweep(tmp_path / name, **{loss: [1.0, 1.5, None]})
    folders = [tmp_path / name for name in "abc"]
    reports = [
        build_report(order, title="t") for order in (folders, folders[::-1], [folders[1], folders[0], folders[2]])
    ]
    for report in reports:
        del report["created"]
    assert reports[0] == reports[1] == reports[2]


def test_data_sets_without_a_score_are_told(tmp_path):
    write_run(tmp_path, {"fd32c": 1.0})
    write_run(tmp_path, None, data="ring8", status="failed", failure="no")
    assert build_report([tmp_path])["notes"] == ["ring8 is not shown: none of its runs has a score (1 failed)."]
    with pytest.raises(UserError, match="has a score yet: 1 failed"):
        build_report([tmp_path / name.name for name in tmp_path.glob("*") if not (name / "scores.jsonl").is_file()])


def test_metrics_are_chosen_and_unknown_ones_refused(tmp_path):
    sweep(tmp_path, hinge=HINGE)
    table = build_report([tmp_path], metrics=["copy_rate"])["tables"][0]
    assert [metric["name"] for metric in table["metrics"]] == ["fd32c", "copy_rate"]
    with pytest.raises(UserError, match=r"There is no metric fid .* coverage"):
        build_report([tmp_path], metrics=["fid"])


def test_figures(tmp_path):
    folder = write_run(tmp_path, {"fd32c": 1.0})
    write_curves(folder, "fd32c", rows=1000, every=50)
    write_pictures(folder, steps=30)
    report = build_report([tmp_path], figures=True)
    run = report["runs"][folder.name]
    curves = run["curves"]
    assert sorted(curves) == ["fast/fd32c", "loss/critic", "loss/generator", "step"]
    assert len(curves["step"]) == 200
    assert curves["step"] == sorted(curves["step"])
    scores = {
        step: value for step, value in zip(curves["step"], curves["fast/fd32c"], strict=True) if value is not None
    }
    assert len(scores) == 20  # none is thinned out
    assert scores[2500] == pytest.approx(math.exp(-0.05), rel=1e-4)
    assert [picture["step"] for picture in run["pictures"]][::11] == [500, 15000]
    assert len(run["pictures"]) == 12
    assert all(picture["src"].startswith("data:image/png;base64,") for picture in run["pictures"])
    assert all(len(picture["src"]) < 30_000 for picture in run["pictures"])
    assert run["final"] and run["nearest"]
    config = report["configs"][run["setting"]]
    assert config["loss._target_"].endswith("Hinge") and not {"seed", "name", "paths.output"} & config.keys()
    assert report["notes"] == ["18 pictures are left out so that the page stays small: they are in the runs' samples/."]
    assert json.loads(json.dumps(report, allow_nan=False)) == report


def test_only_one_seed_of_a_setting_has_pictures_and_it_has_not_failed(tmp_path):
    sweep(tmp_path, hinge=[None, 1.0, 1.1])
    for folder in tmp_path.iterdir():
        write_pictures(folder, steps=1, side=64)
    runs = build_report([tmp_path], figures=True)["runs"].values()
    assert [run["seed"] for run in runs if run["pictures"]] == [1]


def test_of_very_many_settings_the_best_have_pictures(tmp_path, monkeypatch):
    monkeypatch.setattr("genexp.reporting.figures.MOST_RUNS", 2)
    sweep(tmp_path, hinge=[3.0], wasserstein=[1.0], saturating=[2.0])
    for folder in tmp_path.iterdir():
        write_pictures(folder, steps=1, side=64)
    report = build_report([tmp_path], figures=True)
    ranked = [report["runs"][setting["runs"][0]] for setting in report["tables"][0]["settings"]]
    assert [bool(run["pictures"]) for run in ranked] == [True, True, False]
    assert report["notes"] == ["2 pictures are left out so that the page stays small: they are in the runs' samples/."]


def test_half_written_and_damaged_files_of_figures(tmp_path):
    folder = write_run(tmp_path, {"fd32c": 1.0})
    (folder / "metrics.csv").write_text("step,images,loss/critic\n50,3200,nan\n100,6400,0.5\n150,9600,0.2")
    (folder / "samples").mkdir()
    (folder / "samples" / "step-00000050.png").write_bytes(b"no picture")
    run = build_report([tmp_path], figures=True)["runs"][folder.name]
    assert run["curves"] == {"step": [50, 100], "loss/critic": [None, 0.5]}
    assert run["pictures"] == []
