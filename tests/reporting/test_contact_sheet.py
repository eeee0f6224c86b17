"""Pictures stand in the cell of their setting."""

import pytest
from PIL import Image
from tests.reporting.synthetic_runs import write_run

from genexp.commands.report import main
from genexp.reporting.contact_sheet import GAP, LINE, MARGIN, SIDE, contact_sheet
from genexp.reporting.report import build_report

COLOURS = {("hinge", 1e-4): (200, 0, 0), ("hinge", 2e-4): (0, 200, 0), ("saturating", 1e-4): (0, 0, 200)}
GREY, PAPER = (240, 240, 240), (255, 255, 255)


@pytest.fixture
def sweep(tmp_path):
    """Four settings: three with a picture of one colour, and one whose only run failed."""
    for (loss, lr), colour in COLOURS.items():
        folder = write_run(tmp_path, {"fd32c": lr * 1e4}, loss=loss, lr=lr)
        (folder / "samples").mkdir()
        Image.new("RGB", (480, 480), colour).save(folder / "samples" / "final-ema.png")
        Image.new("RGB", (480, 480), GREY).save(folder / "samples" / "final-raw.png")
    write_run(tmp_path, None, loss="saturating", lr=2e-4, status="diverged", failure="it is NaN")
    return tmp_path


def test_keys_across_make_the_columns(sweep):
    sheet = contact_sheet(build_report([sweep]), ["optimizer"])
    found = {}
    for i, loss in enumerate(("hinge", "saturating")):
        for j, lr in enumerate((1e-4, 2e-4)):
            x, y = MARGIN + j * (SIDE + GAP) + SIDE // 2, 3 * LINE + i * (SIDE + 2 * LINE + GAP) + SIDE // 2
            found[loss, lr] = sheet.getpixel((x, y))
    assert found == {**COLOURS, ("saturating", 2e-4): GREY}
    assert sheet.width == MARGIN + 2 * (SIDE + GAP)


def test_without_them_the_best_is_the_first(sweep):
    sheet = contact_sheet(build_report([sweep]))
    report = build_report([sweep])["tables"][0]["settings"]
    first = sheet.getpixel((SIDE // 2, 2 * LINE + SIDE // 2))
    assert report[0]["mean"]["fd32c"] == 1.0 and first in {COLOURS["hinge", 1e-4], COLOURS["saturating", 1e-4]}
    last = sheet.getpixel((SIDE + GAP + SIDE // 2, 2 * LINE + SIDE + 4 * LINE + GAP + SIDE // 2))
    assert last == GREY


def test_a_damaged_picture_is_left_out(sweep):
    for path in sweep.glob("*/samples/*.png"):
        path.write_bytes(b"no picture")
    sheet = contact_sheet(build_report([sweep]), ["optimizer"])
    assert sheet.getpixel((MARGIN + SIDE // 2, 3 * LINE + SIDE // 2)) == GREY


def test_the_command_writes_it_into_the_folder(sweep, capsys):
    assert main([str(sweep), "format=terminal,png", "across=optimizer"]) == 0
    assert "report.png" in capsys.readouterr().out
    assert Image.open(sweep / "report.png").size == contact_sheet(build_report([sweep]), ["optimizer"]).size
