import json
import subprocess
import sys

import pytest
from tests.reporting.synthetic_runs import write_curves, write_pictures, write_run

from genexp.cli import main


@pytest.fixture
def runs(tmp_path):
    for loss in ("hinge", "wasserstein"):
        for seed in range(2):
            folder = write_run(tmp_path / "runs", {"fd32c": 1.0 + seed}, loss=loss, seed=seed)
            write_curves(folder, "fd32c", rows=10)
            write_pictures(folder, steps=2, side=64)
    return tmp_path / "runs"


def test_formats_go_where_they_are_asked_for(runs, tmp_path, capsys):
    out = tmp_path / "new" / "table.md"
    assert main(["report", str(runs), "format=markdown", f"out={out}"]) == 0
    assert out.read_text().startswith("## runs\n")
    assert main(["report", str(runs), "format=csv,csv-runs,latex,json", f"out={out}", "title=Mine"]) == 0
    assert json.loads(out.with_suffix(".json").read_text())["title"] == "Mine"
    assert all(out.with_suffix(suffix).stat().st_size for suffix in (".csv", ".runs.csv", ".tex"))
    capsys.readouterr()
    assert main(["report", str(runs), "format=terminal,csv"]) == 0
    printed = capsys.readouterr().out
    assert "loss=hinge" in printed
    assert "fd32c_half_width" in printed


def test_the_page_goes_into_the_folder_and_holds_the_pictures(runs, capsys):
    assert main(["report", str(runs), "format=html"]) == 0
    assert f"report   {runs / 'report.html'}" in capsys.readouterr().out
    page = (runs / "report.html").read_text()
    assert page.count("data:image/png;base64,") >= 2 * 4  # two steps, the final and the nearest of each setting
    assert main(["report", str(runs), "format=terminal"]) == 0  # the page is no run


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ([], "Give the folder of a sweep or of a run"),
        (["format=pdf"], "Give the folder"),
        (["RUNS", "format=pdf"], "There is no format pdf: the formats are terminal, markdown, csv"),
        (["RUNS", "fmt=csv"], "There is no setting fmt"),
        (["RUNS", "out=x.txt"], "out=... needs a format that goes to a file"),
        (["RUNS", "format=csv", "out=RUNS"], "is a folder: give the name of a file in it"),
        (["RUNS", "metrics=fid"], "There is no metric fid"),
        (["RUNS", "compare=a,b"], "does not name two settings"),
        (["missing"], "There is no folder missing"),
        (["RUNS", "--format=csv"], "--format=csv is not an option here"),
    ],
)
def test_what_cannot_be_done_is_said_in_a_sentence(runs, capsys, words, sentence):
    assert main(["report", *(word.replace("RUNS", str(runs)) for word in words)]) == 2
    assert sentence in capsys.readouterr().err


def test_help_is_quick():
    code = "import sys; from genexp.cli import main; main(['report', '--help']); assert 'numpy' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True, stdout=subprocess.DEVNULL)
