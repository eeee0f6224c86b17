"""Put what a script measured between its markers in the README or a page of the docs."""

import os
import platform
import re
from pathlib import Path

from genexp.provenance import commit

ROOT = Path(__file__).parents[1]


def fill(marker: str, lines: list[str], command: str, remark: str) -> None:
    """Replace what stands between `<!-- marker -->` and `<!-- /marker -->`, wherever that is.

    Arguments:
        marker: the markers' name.
        lines: the table, in Markdown.
        command: the command that measured it.
        remark: what the numbers are.

    Raises:
        ValueError: if not exactly one place has such markers.
    """
    pattern = rf"(<!-- {marker} -->\n).*?(<!-- /{marker} -->)"
    pages = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
    places = [page for page in pages for _ in re.findall(pattern, page.read_text(), flags=re.S)]
    if len(places) != 1:
        raise ValueError(f"one page must have the markers <!-- {marker} --> and <!-- /{marker} -->, not {len(places)}")
    machine = f"{platform.machine()}, {os.cpu_count()} CPU cores"
    text = "\n".join([*lines, "", f"Written by `{command}` at commit `{commit()}` ({machine}): {remark}", ""])
    page = places[0]
    page.write_text(re.sub(pattern, lambda found: found[1] + text + found[2], page.read_text(), flags=re.S))
