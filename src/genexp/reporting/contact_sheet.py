"""The pictures of a report's settings side by side, each with its headline: `genexp report format=png`."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from PIL import Image, ImageDraw, ImageFont

from genexp.reporting.numbers import number, with_error
from genexp.storage.places import COPIES, folder_of

SIDE = 160
"""A picture's longer side, in pixels."""
LINE = 14
GAP = 6
MARGIN = 230
"""Pixels for the names of rows."""
INK, PALE, PAPER = (20, 20, 20), (150, 150, 150), (255, 255, 255)


def contact_sheet(report: Mapping[str, Any], across: Sequence[str] = ()) -> Image.Image:
    """One picture for each setting: the last samples of its first run that has ended well.

    Below it stands the mean of the headline, or why there is none.

    Arguments:
        report: of `build_report`.
        across: keys such as `penalty` whose values make the columns, the others then make the rows; without them the
            settings follow one another, the best first.
    """
    blocks = [_block(table, report["runs"], across) for table in report["tables"]]
    sheet = Image.new("RGB", (max(block.width for block in blocks), sum(block.height for block in blocks)), PAPER)
    top = 0
    for block in blocks:
        sheet.paste(block, (0, top))
        top += block.height
    return sheet


def _block(table: Mapping[str, Any], runs: Mapping[str, Any], across: Sequence[str]) -> Image.Image:
    """The pictures of one data set."""
    cells = {_place(setting["label"], across): setting for setting in table["settings"]}
    if across:
        rows = sorted(dict.fromkeys(row for row, _ in cells))
        columns = sorted(dict.fromkeys(column for _, column in cells))
        places = {key: (rows.index(key[0]), columns.index(key[1])) for key in cells}
    else:
        wide = math.ceil(math.sqrt(len(cells)))
        places = {key: divmod(i, wide) for i, key in enumerate(cells)}
        rows, columns = [""] * math.ceil(len(cells) / wide), [""] * wide
    left = MARGIN if across else 0
    tall = SIDE + (2 if across else 4) * LINE + GAP
    head = (3 if across else 2) * LINE
    block = Image.new("RGB", (left + len(columns) * (SIDE + GAP), head + len(rows) * tall), PAPER)
    draw, font = ImageDraw.Draw(block), ImageFont.load_default(LINE - 3)
    draw.text((GAP, 0), f"{table['data']}: {table['headline']}", fill=INK, font=font)
    if across:
        for i, row in enumerate(rows):
            _write(draw, (GAP, head + i * tall + SIDE // 2 - LINE), row.split(" "), MARGIN - 2 * GAP, font)
        for j, column in enumerate(columns):
            _write(draw, (left + j * (SIDE + GAP), LINE), column.split(" "), SIDE, font)
    for key, setting in cells.items():
        i, j = places[key]
        corner = left + j * (SIDE + GAP), head + i * tall
        block.paste(_picture(setting, runs), corner)
        below = corner[1] + SIDE
        below += LINE * _write(draw, (corner[0], below), _headline(table, setting), SIDE, font)
        if not across:
            _write(draw, (corner[0], below), setting["label"].split(" "), SIDE, font, PALE)
    return block


def _place(label: str, across: Sequence[str]) -> tuple[str, str]:
    """The row and the column of a setting."""
    words = label.split(" ")
    column = [word for word in words if word.partition("=")[0].split(".")[0] in across]
    return " ".join(word for word in words if word not in column), " ".join(column)


def _picture(setting: Mapping[str, Any], runs: Mapping[str, Any]) -> Image.Image:
    """A square with the last samples; grey where there are none."""
    square = Image.new("RGB", (SIDE, SIDE), PAPER)
    for key in setting["runs"]:
        for path in sorted((folder_of(runs[key]["folder"], COPIES) / "samples").glob("final-*.png")):  # ema before raw
            if (samples := _opened(path)) is not None:
                samples.thumbnail((SIDE, SIDE), Image.Resampling.LANCZOS)
                square.paste(samples, ((SIDE - samples.width) // 2, (SIDE - samples.height) // 2))
                return square
    ImageDraw.Draw(square).rectangle((0, 0, SIDE - 1, SIDE - 1), fill=(240, 240, 240))
    return square


def _opened(path: Path) -> Image.Image | None:
    try:
        return Image.open(path).convert("RGB")
    except (OSError, SyntaxError):
        return None


def _headline(table: Mapping[str, Any], setting: Mapping[str, Any]) -> list[str]:
    name = table["headline"]
    mean, half_width = setting["mean"][name], setting["half_width"][name]
    failed = len(setting["failures"])
    lost = [f"{failed} of {setting['n'] + failed} failed"] if failed and setting["n"] else []
    if mean is None:
        return ["failed" if failed else "unfinished"]
    return [number(mean) if half_width is None else with_error(mean, half_width), *lost]


def _write(
    draw: ImageDraw.ImageDraw,
    corner: tuple[int, int],
    words: Sequence[str],
    width: int,
    font: Any,
    ink: tuple[int, int, int] = INK,
) -> int:
    """Lines from a corner downwards, each as many words as fit, the first in `ink`; how many."""
    lines: list[str] = []
    for word in words:
        longer = f"{lines[-1]} {word}" if lines else word
        if lines and font.getlength(longer) <= width:
            lines[-1] = longer
        else:
            lines.append(word)
    for i, line in enumerate(lines):
        while font.getlength(line) > width and len(line) > 1:
            line = line[:-1]
        draw.text((corner[0], corner[1] + i * LINE), line, fill=ink if i == 0 else PALE, font=font)
    return len(lines)
