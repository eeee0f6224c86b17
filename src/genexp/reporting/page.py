"""The report as one HTML file that needs no network and no other file: data, style and script stand within it.

The script is written as modules under `assets/`, one per section of the page. They are joined here in the order in
which they need each other; a policy in the page lets the browser run this very script and style (by their SHA-256)
and load nothing but pictures that stand in the page.
"""

import base64
import hashlib
import html
import json
import math
import re
from functools import cache
from pathlib import Path
from typing import Any

from genexp import atomic

ASSETS = Path(__file__).parent / "assets"
STYLES = ("colours.css", "tables.css", "figures.css", "controls.css", "page.css")
ENTRY = "main.js"
_IMPORT = re.compile(r'^import \{[^}]*\} from "\./([\w.]+)";\n', re.MULTILINE)
_EXPORT = re.compile(r"^export (?=async |function |class |const )", re.MULTILINE)


def write_page(report: dict[str, Any], path: Path) -> None:
    """Write a report as one HTML page, atomically.

    Arguments:
        report: the structure of `report.json`.
        path: of the page; its folder is made.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    atomic.write_text(path, page(report))  # the policy holds for these very bytes


def page(report: dict[str, Any]) -> str:
    """The text of the page."""
    style, script = bundled_style(), bundled_script()
    policy = "; ".join(
        (
            "default-src 'none'",
            "img-src data:",
            f"style-src '{_sha256(style)}'",
            f"script-src '{_sha256(script)}'",
            "base-uri 'none'",
            "form-action 'none'",
        )
    )
    template = (ASSETS / "page.html").read_text(encoding="utf-8")
    title = html.escape(str(report.get("title") or "genexp report"))
    return template.format(policy=policy, title=title, style=style, script=script, data=embedded(report))


def embedded(report: dict[str, Any]) -> str:
    r"""JSON that may stand within `<script>`: no tag can begin in it, and a number that is not finite is null.

    >>> embedded({"label": "</script>", "loss": float("nan")})
    '{"label":"\\u003c/script>","loss":null}'
    """
    try:
        text = _compact(report)
    except ValueError:  # a number that is not finite; to look for them takes longer than all else
        text = _compact(_finite(report))
    return text.replace("<", "\\u003c")


@cache
def bundled_style() -> str:
    """All of the page's style."""
    return "\n".join((ASSETS / name).read_text(encoding="utf-8") for name in STYLES)


@cache
def bundled_script() -> str:
    """All of the page's script: the modules that the entry needs, each once and after those that it needs."""
    return "\n".join(_joined(ENTRY, {}).values())


def _joined(name: str, done: dict[str, str]) -> dict[str, str]:
    text = (ASSETS / name).read_text(encoding="utf-8")
    for needed in _IMPORT.findall(text):
        if needed not in done:
            _joined(needed, done)
    done[name] = _EXPORT.sub("", _IMPORT.sub("", text))
    return done


def _sha256(text: str) -> str:
    """As a content security policy names it."""
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"


def _compact(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))


def _finite(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, dict):
        return {str(key): _finite(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(item) for item in value]
    return value
