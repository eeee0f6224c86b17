"""Dashboards as code: built without a server, and every key that a panel reads is one that runs log."""

import json
import re

import pytest
from tests.cases import Case

pytest.importorskip("wandb_workspaces")

from genexp.errors import UserError
from genexp.reporting import wandb_dashboard, wandb_run
from genexp.reporting.wandb_dashboard import View
from genexp.reporting.wandb_folders import segments


def texts(value) -> list[str]:
    if isinstance(value, dict):
        return [text for key, item in value.items() for text in [str(key), *texts(item)]]
    if isinstance(value, list):
        return [text for item in value for text in texts(item)]
    return [value] if isinstance(value, str) else []


@pytest.fixture
def written(genexp, environment, tmp_path):
    environment |= {"WANDB_BASE_URL": "http://127.0.0.1:9", "NETRC": str(tmp_path / "none")}  # no server, no key
    genexp("wandb", "dashboard", "sweep=ring8_gan-loss", "out=made")
    return {name: json.loads((tmp_path / "made" / f"{name}.json").read_text()) for name in ("workspace", "report")}


def test_both_are_written_without_a_server(written):
    for spec in written.values():
        found = texts(spec)
        assert {"fast/hq", "fast/fd32c", "score/hq", "final/samples", "samples", wandb_run.STEP} <= set(found)
        assert "ring8_gan-loss" in found  # the filter
        assert any(text.startswith("label") for text in found)  # seeds of a setting are one line
    assert any("final/scores" in text for text in texts(written["report"]))


def test_wandbs_own_classes_read_them_back(written):
    from wandb_workspaces.reports.v2 import Report
    from wandb_workspaces.reports.v2.internal import ReportViewspec

    spec = ReportViewspec.model_validate(written["report"])
    shown = [
        type(panel).__name__ for block in Report._from_model(spec).blocks for panel in getattr(block, "panels", [])
    ]
    assert {"LinePlot", "BarPlot", "MediaBrowser", "RunComparer", "WeavePanelSummaryTable"} == set(shown)
    sections = wandb_dashboard.workspace(View())._to_model().spec.section.panel_bank_config.sections
    assert [len(section.panels) for section in sections] == [
        len(panels) for panels in wandb_dashboard.panels(View()).values()
    ]


@pytest.mark.slow
def test_every_key_of_a_panel_is_logged_by_some_run(genexp, tmp_path):
    ways = {
        "points": [o for o in Case("gan", "alternating").overrides if not o.startswith("logger")],
        "vae": [*(o for o in Case("vae", None).overrides if not o.startswith("logger")), "dataset=two_moons"],
        "images": ["experiment=digits_dcgan", "evaluation.n=100", "evaluation.draws=1", "evaluation.fast_n=100"],
    }
    logged: set[str] = set()
    for name, overrides in ways.items():
        genexp("train", *overrides, "max_steps=4", "log_every=2", "score_every=4", f"run_dir={name}", "logger=wandb")
        for segment in segments(tmp_path / name):
            rows = wandb_run.history(segment.log)
            logged |= {re.sub(r"\._type.*", "", key) for row in rows for key in row}
        scores = json.loads((tmp_path / name / "scores.jsonl").read_text())["metrics"]
        logged |= {f"score/{key}" for key in scores}  # the summary, as the test of the logger says
    found = set(texts(json.loads(wandb_dashboard.report(View())._to_model().model_dump_json(by_alias=True))))
    wanted = {text for text in found if re.fullmatch(r"(fast|score|loss|time|final|trainer)/\w+|samples", text)}
    assert len(wanted) > 20
    assert wanted <= logged


def test_one_headline():
    keys = texts(wandb_dashboard.workspace(View(headline="fd64c"))._to_model().model_dump(by_alias=True))
    assert "fast/fd64c" in keys and "fast/hq" not in keys


def test_refusals(genexp, environment, tmp_path, monkeypatch):
    environment["NETRC"] = str(tmp_path / "none")
    for arguments, sentence in (
        (["save=true"], "give entity="),
        (["save=true", "entity=me"], "run wandb login"),
        (["colour=red"], "There is no setting colour"),
    ):
        done = genexp("wandb", "dashboard", *arguments, check=False)
        assert done.returncode == 2
        assert sentence in done.stderr
    assert not (tmp_path / "wandb-dashboard").exists()
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(UserError, match=r"genexp\[dashboard\]"):
        View()
