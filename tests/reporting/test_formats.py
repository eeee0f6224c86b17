import csv
import io
import json
import re

import pytest
from rich.console import Console
from tests.reporting.synthetic_runs import write_run

from genexp.errors import UserError
from genexp.reporting import formats
from genexp.reporting.report import build_report

HINGE, WASSERSTEIN = [1.0, 1.2, 1.1], [3.0, None, 3.3]


@pytest.fixture
def report(tmp_path):
    for loss, values in (("hinge", HINGE), ("wasserstein", WASSERSTEIN)):
        for seed, value in enumerate(values):
            row = None if value is None else {"fd32c": value, "coverage": 0.5}
            status, failure = ("complete", None) if row else ("diverged", "100 % of fd_pix & more_ is NaN")
            write_run(tmp_path, row, loss=loss, seed=seed, status=status, failure=failure)
    write_run(tmp_path, None, loss="wasserstein", seed=3, status="stopped")
    return build_report([tmp_path], compare="hinge,wasserstein")


def printed(report, width):
    console = Console(width=width, color_system="standard", force_terminal=True)
    with console.capture() as capture:
        console.print(formats.terminal(report, width))
    return capture.get()


def test_terminal(report):
    text = printed(report, 200)
    plain = re.sub(r"\x1b\[[\d;]*m", "", text)
    assert "\x1b[1m1.10 ± 0.25\x1b[0m" in text  # bold: two digits of the half-width
    hinge, wasserstein = (
        next(line.split() for line in plain.splitlines() if f"loss={n} " in line) for n in ("hinge", "wasserstein")
    )
    assert hinge[:6] == ["loss=hinge", "3", "0", "1.10", "±", "0.25"]
    assert wasserstein[:6] == ["loss=wasserstein", "2", "1", "3.1", "±", "1.9"]
    words = " ".join(plain.split())
    assert "loss=wasserstein, seed 1 diverged: 100 % of fd_pix & more_ is NaN" in words
    assert "1 run is unfinished and not counted: 1 of loss=wasserstein." in words
    assert report["tables"][0]["compare"]["sentence"] in words


@pytest.mark.parametrize("width", [40, 80, 120])
def test_terminal_fits_and_says_what_it_leaves_out(report, width):
    lines = re.sub(r"\x1b\[[\d;]*m", "", printed(report, width)).splitlines()
    assert all(len(line) <= width for line in lines)
    assert width > 100 or re.search(r"more columns? (is|are) in format=csv", " ".join(" ".join(lines).split()))


def test_markdown(report):
    lines = formats.markdown(report).splitlines()
    head = next(i for i, line in enumerate(lines) if line.startswith("|"))
    columns = "|  | n | failures | fd32c ↓ 0 | coverage ↑ 0.969 | seconds | images/s | parameters |"
    assert lines[head] == columns
    assert lines[head + 2] == "| loss=hinge | 3 | 0 | **1.10 ± 0.25** | **0.500 ± 0** | 20 | 3,200 | 83,715 |"
    assert lines[head + 4] == "| *perfect* |  |  | 0 | 0.968 |  |  |  |"
    assert len({line.count("|") for line in lines[head : head + 6]}) == 1


def test_csv_of_settings_is_exact(report):
    rows = list(csv.DictReader(io.StringIO(formats.csv_of_settings(report))))
    settings = report["tables"][0]["settings"]
    assert [row["setting"] for row in rows] == ["loss=hinge", "loss=wasserstein"]
    for row, setting in zip(rows, settings, strict=True):
        assert float(row["fd32c"]) == setting["mean"]["fd32c"]
        assert float(row["fd32c_half_width"]) == setting["half_width"]["fd32c"]
        assert (int(row["n"]), int(row["fd32c_n"])) == (setting["n"], setting["n"])
        assert bool(int(row["fd32c_best"])) == setting["best"]["fd32c"]


def test_csv_of_runs_has_them_all(report):
    rows = list(csv.DictReader(io.StringIO(formats.csv_of_runs(report))))
    found = {(row["setting"], int(row["seed"])): (row["status"], row["fd32c"]) for row in rows}
    expected = {("loss=hinge", seed): ("complete", str(value)) for seed, value in enumerate(HINGE)}
    expected |= {("loss=wasserstein", 0): ("complete", "3.0"), ("loss=wasserstein", 1): ("diverged", "")}
    expected |= {("loss=wasserstein", 2): ("complete", "3.3"), ("loss=wasserstein", 3): ("stopped", "")}
    assert found == expected


def test_json_reads_back(report):
    assert json.loads(formats.as_json(report)) == report


def test_latex_is_balanced_and_escaped(report):
    text = formats.latex_tables(report)
    begun, ended = re.findall(r"\\begin\{(\w+)\}", text), re.findall(r"\\end\{(\w+)\}", text)
    assert sorted(begun) == sorted(ended) == ["table", "table", "tabular", "tabular"]
    assert text.count("{") - text.count(r"\{") == text.count("}") - text.count(r"\}")
    assert text.replace(r"\$", "").count("$") % 2 == 0
    assert r"100 \% of fd\_pix \& more\_ is NaN" in text
    assert r"\textbf{1.10 $\pm$ 0.25}" in text
    assert all(sign.isascii() for sign in text)
    first = text.split(r"\begin{tabular}{")[1].split("}")[0]
    rows = [line for line in text.split(r"\end{tabular}")[0].splitlines() if line.endswith(r"\\")]
    assert {len(re.findall(r"(?<!\\)&", row)) + 1 for row in rows} == {len(first)}


def test_missing_numbers_are_counted_in_their_cell(tmp_path):
    for seed, value in enumerate([0.5, None, 0.7]):
        write_run(tmp_path, {"fd32c": 1.0 + seed, "coverage": value}, seed=seed)
    sheet = formats.sheet_of(build_report([tmp_path])["tables"][0])
    cells = {column.name: column.cells[0] for column in sheet.columns}
    assert cells["coverage"] == "0.6 ± 1.3 (n = 2)"


def test_pruned_runs_are_told_from_failures(tmp_path):
    write_run(tmp_path, {"fd32c": 1.0})
    write_run(tmp_path, None, seed=1, status="pruned", failure="worse than others")
    write_run(tmp_path, None, seed=2, status="failed", failure="no memory")
    sheet = formats.sheet_of(build_report([tmp_path])["tables"][0])
    assert sheet.columns[1].cells[0] == "1 + 1 pruned"


def test_compare_takes_parts_of_labels_and_hashes(tmp_path, report):
    hinge, wasserstein = report["tables"][0]["settings"]
    for wanted in (f"{hinge['id'][:6]},{wasserstein['id']}", "loss=hinge,loss=wasserstein"):
        again = build_report([tmp_path], compare=wanted)["tables"][0]["compare"]
        assert again == report["tables"][0]["compare"]
    assert (again["a_label"], again["b_label"]) == ("loss=hinge", "loss=wasserstein")
    for wanted in ("hinge", "hinge,hinge", "hinge,elbo"):
        with pytest.raises(UserError, match=r"does not name two settings: give two of loss=hinge; loss=wasserstein"):
            build_report([tmp_path], compare=wanted)
