"""A page in a real Chromium, for tests; they are skipped by name where there is none."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

CHROMIUM, DRIVER = shutil.which("chromium"), shutil.which("chromedriver")
FLAGS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
DESK, PHONE = (1280, 900), (390, 844)


class Browser:
    """A real Chromium with the page open: what it shows, and what it complained of."""

    def __init__(self, driver, path):
        self.driver, self.path = driver, path

    def open(self, size=DESK, dark=False):
        metrics = {"width": size[0], "height": size[1], "deviceScaleFactor": 1, "mobile": size[0] < 600}
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        still = {"name": "prefers-reduced-motion", "value": "reduce"}  # a click waits for no smooth scrolling
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [scheme, still]})
        self.driver.get(self.path.as_uri())
        self.run("document.querySelectorAll('img').forEach((image) => (image.loading = 'eager'))")

    def run(self, script, *arguments):
        return self.driver.execute_script(script, *arguments)

    def find(self, selector):
        return self.driver.find_element("css selector", selector)

    def texts(self, selector):
        script = "return [...document.querySelectorAll(arguments[0])].map((x) => x.textContent)"
        return self.run(script, selector)

    def choose(self, selector, value):
        change = "const x = document.querySelector(arguments[0]); x.value = arguments[1]; "
        change += "x.dispatchEvent(new Event('change'))"
        self.run(change, selector, value)

    def press(self, selector, key):
        self.find(selector).send_keys(key)


@contextmanager
def chromium(page: Path, profile: Path) -> Iterator[Browser]:
    """Chromium with a fresh profile, closed at the end."""
    webdriver = pytest.importorskip("selenium.webdriver", reason="selenium is not installed")
    if CHROMIUM is None or DRIVER is None:
        pytest.skip("chromium or chromedriver is not installed")
    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM
    for flag in (*FLAGS, f"--user-data-dir={profile}"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(DRIVER))
    try:
        yield Browser(driver, page)
    finally:
        driver.quit()
