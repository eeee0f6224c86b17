"""`genexp report`: tables over seeds of the runs below some folders, in several formats."""

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from genexp import atomic
from genexp.commands.arguments import refuse_unknown_flags, take_flag
from genexp.errors import UserError
from genexp.storage.copies import copied, is_shown, is_table, put
from genexp.storage.places import COPIES, folder_of, is_address, shown

USAGE = "genexp report DIR... [format=terminal] [out=PATH] [metrics=a,b] [compare=A,B] [title=TEXT] [across=KEY]"
HELP = f"""{USAGE}

Tables of the runs in and below some folders: of a sweep, of a run, or of anything that holds runs. Runs of one setting
are one row, mean ± half-width of the 95 % interval over training seeds; what is not separable from the best is bold.

  format=terminal          terminal, markdown, csv (one row for each setting), csv-runs (one for each run), latex, json,
                           html (one page that needs nothing else), png (a picture of each setting's samples);
                           several with commas
  out=PATH                 the file, or its address; by default html and png go to DIR/report.html and DIR/report.png,
                           and the others are printed
  metrics=coverage,recall  these beside the headline; by default all
  compare=A,B              two settings beside each other: labels as in the table, parts of them, or hashes
  title=TEXT               the report's title
  across=penalty           of png: the keys whose values make the columns, the others then make the rows
"""
SETTINGS = ("format", "out", "metrics", "compare", "title", "across")
SUFFIXES = {
    "markdown": ".md",
    "csv": ".csv",
    "csv-runs": ".runs.csv",
    "latex": ".tex",
    "json": ".json",
    "html": ".html",
    "png": ".png",
}
FORMATS = ("terminal", *SUFFIXES)
OWN_FILE = ("html", "png")
"""Formats that are not for a terminal."""
WITH_FIGURES = ("json", "html")
"""Formats that need the runs' curves and pictures, which take longer to read than all else."""


def main(arguments: list[str]) -> int:
    """Run `genexp report`."""
    arguments = list(arguments)
    if take_flag(arguments, "-h", "--help"):
        print(HELP, end="")
        return 0
    refuse_unknown_flags(arguments, USAGE)
    given, settings, formats = read_arguments(arguments)
    wanted = is_shown if any(name in (*WITH_FIGURES, "png") for name in formats) else is_table
    folders = [copied(place, wanted) for place in given]
    places = _places(formats, settings.get("out"), folders[0])
    from genexp.reporting.report import build_report

    report = build_report(
        folders,
        metrics=[name for name in settings["metrics"].split(",") if name] if "metrics" in settings else None,
        compare=settings.get("compare"),
        title=settings.get("title"),
        figures=any(name in WITH_FIGURES for name in formats),
    )
    across = [key for key in settings.get("across", "").split(",") if key]
    for name, place in zip(formats, places, strict=True):
        _write(report, name, place, across)
    return 0


def read_arguments(arguments: Sequence[str]) -> tuple[list[Path | str], dict[str, str], list[str]]:
    """The folders and addresses, the settings and the formats.

    Raises:
        UserError: if there is no folder, or a setting or a format is unknown.
    """
    folders: list[Path | str] = []
    settings: dict[str, str] = {}
    for argument in arguments:
        key, equals, value = argument.partition("=")
        if not equals or Path(argument).is_dir():
            folders.append(argument if is_address(argument) else Path(argument))
        elif key in SETTINGS:
            settings[key] = value
        else:
            raise UserError(f"There is no setting {key}: the settings are {', '.join(SETTINGS)}.")
    if not folders:
        raise UserError(f"Give the folder of a sweep or of a run: {USAGE}")
    return folders, settings, _formats(settings.get("format", "terminal"))


def _formats(text: str) -> list[str]:
    names = list(dict.fromkeys(text.split(",")))
    for name in names:
        if name not in FORMATS:
            raise UserError(f"There is no format {name}: the formats are {', '.join(FORMATS)}.")
    return names


def _places(formats: Sequence[str], out: str | None, folder: Path) -> list[Path | None]:
    """Where each format goes; None is the terminal. With several files, each gets the ending of its format."""
    files = [name for name in formats if name != "terminal"]
    if out is not None and not files:
        raise UserError(
            "out=... needs a format that goes to a file: add format=markdown, csv, latex, json, html or png."
        )
    if out is not None and Path(out).is_dir():
        raise UserError(f"out={out} is a folder: give the name of a file in it.")
    places: list[Path | None] = []
    for name in formats:
        if name == "terminal" or (out is None and name not in OWN_FILE):
            places.append(None)
        elif out is None:
            places.append(folder / f"report{SUFFIXES[name]}")
        else:
            path = folder_of(out, COPIES)
            places.append(path if len(files) == 1 else path.with_suffix(SUFFIXES[name]))
    return places


def _write(report: Mapping[str, Any], name: str, place: Path | None, across: Sequence[str]) -> None:
    from genexp.reporting import formats

    if name == "terminal":
        formats.print_terminal(report)
        return
    if name == "html":
        from genexp.reporting.page import write_page

        assert place is not None  # a page always has a file
        place.parent.mkdir(parents=True, exist_ok=True)
        write_page(dict(report), place)
    elif name == "png":
        from genexp.reporting.contact_sheet import contact_sheet

        assert place is not None
        place.parent.mkdir(parents=True, exist_ok=True)
        with atomic.replacing(place) as temporary:
            contact_sheet(report, across).save(temporary, "PNG")
    else:
        writers = {
            "markdown": formats.markdown,
            "csv": formats.csv_of_settings,
            "csv-runs": formats.csv_of_runs,
            "latex": formats.latex_tables,
            "json": formats.as_json,
        }
        text = writers[name](report)
        if place is None:
            sys.stdout.write(text)
            return
        place.parent.mkdir(parents=True, exist_ok=True)
        atomic.write_text(place, text)
    put([place])
    print(f"report   {shown(place)}")
