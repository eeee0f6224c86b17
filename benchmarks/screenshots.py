"""Pictures of a report's page for the docs, at desk and phone width, by a real Chromium.

genexp report runs/sweeps/NAME format=html out=report.html
python -m benchmarks.screenshots report.html
"""

import argparse
import io
import tempfile
import time
from pathlib import Path

from PIL import Image
from tests.reporting.browser import chromium

IMAGES = Path(__file__).parent.parent / "docs/images"
SHOTS = {"report_desk": (1280, 1900), "report_phone": (390, 1900)}
"""Widths and heights in pixels."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("page", type=Path, help="written by genexp report ... format=html")
    parser.add_argument("--out", type=Path, default=IMAGES, help="the folder of the pictures")
    parser.add_argument("--section", help="scroll to this section first: scores, seeds, training, samples, pairs, ...")
    parser.add_argument("--suffix", default="", help="added to the pictures' names")
    parser.add_argument("--dark", action="store_true", help="as a person with a dark screen sees it")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as profile, chromium(options.page.resolve(), Path(profile)) as browser:
        for name, size in SHOTS.items():
            browser.driver.execute_cdp_cmd("Emulation.setScrollbarsHidden", {"hidden": True})
            browser.open(size, options.dark)
            if options.section:
                browser.run("document.getElementById(arguments[0]).scrollIntoView()", f"d0-{options.section}")
            time.sleep(1)  # drawings follow the width of their boxes
            path = options.out / f"{name}{options.suffix}.png"
            shot = Image.open(io.BytesIO(browser.driver.get_screenshot_as_png())).convert("RGB")
            shot.save(path, optimize=True)
            print(f"{path}  {path.stat().st_size // 1024} KiB")


if __name__ == "__main__":
    main()
