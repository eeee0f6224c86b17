"""Put what a script measured between its markers in the README."""

import platform
import re
from pathlib import Path

from genexp.runs import commit

ROOT = Path(__file__).parents[1]


def fill(marker: str, lines: list[str], command: str, remark: str) -> None:
    """Replace what stands between `<!-- marker -->` and `<!-- /marker -->`.

    Arguments:
        marker: the markers' name.
        lines: the table, in Markdown.
        command: the command that measured it.
        remark: what the numbers are.

    Raises:
        ValueError: if the README has no such markers.
    """
    readme = ROOT / "README.md"
    note = f"Written by `{command}` at commit `{commit()}` ({platform.machine()}, 2 CPU cores): {remark}"
    text = "\n".join([*lines, "", note])
    pattern = rf"(<!-- {marker} -->\n).*?(\n<!-- /{marker} -->)"
    marked, count = re.subn(pattern, lambda found: found[1] + text + found[2], readme.read_text(), flags=re.S)
    if count != 1:
        raise ValueError(f"README.md must have the markers <!-- {marker} --> and <!-- /{marker} --> once")
    readme.write_text(marked)
