import html
import itertools
import json
import math
import re
import subprocess
import sys

import numpy as np
import pytest
from tests.reporting.browser import DESK, PHONE, chromium
from tests.reporting.page_example import HOSTILE, LABELS, METRICS, STEPS, config_of, example, picture

from genexp.reporting.numbers import with_error
from genexp.reporting.page import ASSETS, STYLES, bundled_script, embedded, page, write_page


@pytest.fixture(scope="module")
def report():
    return example()


@pytest.fixture(scope="module")
def browser(report, tmp_path_factory):
    folder = tmp_path_factory.mktemp("page")
    write_page(report, folder / "report.html")
    with chromium(folder / "report.html", folder / "profile") as opened:
        yield opened


@pytest.fixture
def desk(browser):
    browser.open()
    return browser


def order(browser):
    return browser.run(
        "return [...document.querySelectorAll('#d0 .scores tbody tr[data-id]')].map((x) => x.dataset.id)"
    )


def number(text):
    """A number of the page, its typographic minus and its thousands read back."""
    return float(text.replace("\u2212", "-").replace(",", ""))


def loss(metric, null, better, setting):
    value = setting["mean"][metric]
    return {"lower": value, "higher": -value, "none": value}.get(better, abs(value - (null or 0.0)))


@pytest.mark.parametrize(("metric", "better", "null"), METRICS["ring8"])
def test_a_click_sorts_by_a_column_and_the_third_restores_the_order(desk, report, metric, better, null):
    settings = report["tables"][0]["settings"]
    best_first = [x["id"] for x in sorted(settings, key=lambda x: loss(metric, null, better, x))]
    header = f'#d0 .scores th[data-key="{metric}"]'
    means = {x["id"]: x["mean"][metric] for x in settings}
    for expected in (best_first, best_first[::-1], [x["id"] for x in settings]):
        desk.find(f"{header} button").click()
        assert order(desk) == expected
        said = desk.find(header).get_attribute("aria-sort")
        if expected in (best_first, best_first[::-1]) and better != "target":
            assert said == ("ascending" if means[expected[0]] < means[expected[-1]] else "descending")
    assert said == "none"
    anchors = desk.texts("#d0 .scores tfoot th")
    assert anchors == ["perfect", "gaussian", "uniform"]


def test_the_keyboard_sorts_and_keeps_its_place(desk, report):
    from selenium.webdriver.common.keys import Keys

    settings = report["tables"][0]["settings"]
    desk.press('#d0 .scores th[data-key="setting"] button', Keys.ENTER)
    assert order(desk) == [x["id"] for x in sorted(settings, key=lambda x: x["label"])]
    focused = desk.run("return document.activeElement.closest('th').dataset.key")
    assert focused == "setting"


def test_every_number_of_the_table_is_the_reports(desk, report):
    for i, table in enumerate(report["tables"]):
        for setting in table["settings"]:
            for metric in table["metrics"]:
                name = metric["name"]
                cell = f'#d{i} tr[data-id="{setting["id"]}"] td[data-key="{name}"]'
                mark = "≤ " if name == "bpd" else ""
                expected = mark + with_error(setting["mean"][name], setting["half_width"][name])
                assert desk.texts(cell) == [expected]
                assert bool(desk.texts(f"{cell} b")) == setting["best"][name]
            assert desk.texts(f'#d{i} tr[data-id="{setting["id"]}"] td[data-key="n"]') == [str(setting["n"])]
        for anchor, row in zip(table["anchors"], range(1, 4), strict=True):
            (text,) = desk.texts(f'#d{i} tfoot tr:nth-child({row}) td[data-key="{table["headline"]}"]')
            assert number(text) == pytest.approx(anchor["values"][table["headline"]], rel=5e-3)
    assert desk.texts('[data-key="failed"] dd') == ["2"]
    assert desk.texts('[data-key="unfinished"] dd')[0] == "2"


def test_a_failure_gives_its_reason(desk, report):
    (failure,) = report["tables"][0]["settings"][1]["failures"]
    assert not desk.texts("#d0 tr.detail")
    desk.find("#d0 .why").click()
    (detail,) = desk.texts("#d0 tr.detail")
    assert failure["reason"] in detail and "seed 2 diverged" in detail


def test_the_filter_and_the_columns(desk):
    desk.press('#d0 input[type="search"]', "PENALTY=gp hin")
    assert order(desk) == ["ring80"]
    assert len(desk.texts("#d0-samples figure")) == 1
    desk.find("#d0 .chooser summary").click()
    desk.find('#d0 .chooser input[value="modes"]').click()
    assert desk.texts("#d0 .scores thead th[data-key=modes]") == []


def test_every_seed_is_a_dot_at_its_value(desk, report):
    """Dots lie on a straight scale: pixels are an affine function of the values, the means and the anchors too."""
    table = report["tables"][0]
    values, pixels = [], []
    for setting in table["settings"]:
        row = f'#d0-seeds g[data-id="{setting["id"]}"]'
        script = "return [...document.querySelectorAll(arguments[0])].map((x) => Number(x.getAttribute('cx')))"
        dots = desk.run(script, f"{row} circle.seed")
        finite = [value for value in setting["values"]["hq"] if value is not None]
        assert len(dots) == len(finite)
        values += [*finite, setting["mean"]["hq"]]
        pixels += [
            *dots,
            desk.run("return Number(document.querySelector(arguments[0]).getAttribute('x')) + 2", f"{row} rect.mean"),
        ]
    line = desk.run("return Number(document.querySelector('#d0-seeds line.perfect').getAttribute('x1'))")
    slope, offset = np.polyfit(values, pixels, 1)
    np.testing.assert_allclose(slope * np.array(values) + offset, pixels, atol=0.05)
    assert slope * table["anchors"][0]["values"]["hq"] + offset == pytest.approx(line, abs=0.05)


def test_a_curve_is_the_mean_over_the_seeds_that_completed(desk, report):
    """Its pixels are an affine function of steps and means, one for all settings."""
    steps, means, pixels = [], [], []
    for setting in report["tables"][0]["settings"]:
        path = f'#d0-training .chart g[data-id="{setting["id"]}"] path.curve'
        drawn = desk.find(path).get_attribute("d")
        runs = [report["runs"][run] for run in setting["runs"] if report["runs"][run]["status"] == "complete"]
        columns = zip(*(run["curves"]["fast/hq"] for run in runs), strict=True)
        points = [(step, np.mean(at)) for step, at in zip(runs[0]["curves"]["step"], columns, strict=True) if at[0]]
        steps += [step for step, _ in points]
        means += [mean for _, mean in points]
        pixels += [tuple(map(float, point.split())) for point in re.split("[ML]", drawn)[1:]]
    across, up = zip(*pixels, strict=True)
    for values, places in ((steps, across), (means, up)):
        slope, offset = np.polyfit(values, places, 1)
        np.testing.assert_allclose(slope * np.array(values) + offset, places, atol=0.11)


def test_the_legend_hides_a_curve(desk):
    entry = '#d0-training .entry[data-id="ring80"]'
    curve = '#d0-training .chart g[data-id="ring80"] path.curve'
    assert desk.find(entry).get_attribute("aria-pressed") == "true" and len(desk.texts(curve)) == 1
    desk.find(entry).click()
    assert desk.find(entry).get_attribute("aria-pressed") == "false" and not desk.texts(curve)
    assert len(desk.texts("#d0-training path.cross")) == 1  # the run that diverged ends with a cross


def test_the_slider_moves_all_sheets_to_its_step(desk):
    from selenium.webdriver.common.keys import Keys

    def sources():
        return desk.run("return [...document.querySelectorAll('#d0-samples img')].map((x) => x.src)")

    assert sources() == [picture(i, 2000) for i in range(len(LABELS))]  # it starts at the end
    slider = "#d0-samples input[type=range]"
    for step in reversed(STEPS):
        desk.press(slider, Keys.ARROW_LEFT)
        assert sources() == [picture(i, step) for i in range(len(LABELS))]
        assert desk.texts("#d0-samples output") == [f"step {step:,}"]
    desk.press(slider, Keys.END)
    assert sources() == [picture(i, 2000) for i in range(len(LABELS))]
    assert all(desk.run("return [...document.querySelectorAll('#d0-samples img')].map((x) => x.naturalWidth === 16)"))
    assert not desk.run("return document.querySelector('#d0-neighbours')")  # points have no such strips
    assert len(desk.run("return [...document.querySelectorAll('#d1-neighbours img')]")) == len(LABELS)


@pytest.mark.parametrize(("a", "b"), [("ring80", "ring81"), ("ring81", "ring80"), ("ring82", "ring83")])
def test_two_settings_in_either_order(desk, report, a, b):
    table = report["tables"][0]
    first, second = ({x["id"]: x for x in table["settings"]}[key] for key in (a, b))
    desk.choose("#d0-pairs .field:nth-child(1) select", a)
    desk.choose("#d0-pairs .field:nth-child(2) select", b)
    pairs = [(x, y) for x, y in zip(first["values"]["hq"], second["values"]["hq"], strict=True) if None not in (x, y)]
    (difference,) = desk.texts('#d0-pairs dd[data-key="difference"]')
    value, half_width = map(number, difference.split(" ± "))
    digits = 10.0 ** -len(difference.rpartition(".")[2])
    assert value == pytest.approx(sum(x - y for x, y in pairs) / len(pairs), abs=digits)
    record = next(x for x in table["comparisons"] if {x["a"], x["b"]} == {a, b})
    assert half_width == pytest.approx(record["half_width"], abs=digits)
    wins = sum(abs(x - 0.98889) < abs(y - 0.98889) for x, y in pairs)
    assert desk.texts('#d0-pairs dd[data-key="wins"]') == [f"{wins} of {len(pairs)} seeds"]
    mean = [abs(x["mean"]["hq"] - 0.98889) for x in (first, second)]
    assert ("A is better than B" if mean[0] < mean[1] else "B is better than A") in desk.find("#d0-pairs .verdict").text


def test_the_diff_of_two_runs_has_the_keys_that_differ(desk, report):
    selects = [f"#d0-diff .field:nth-child({i}) select" for i in (1, 2)]
    for chosen in itertools.permutations(("ring80-s0", "ring81-s1", "ring81-s0"), 2):
        for select, run in zip(selects, chosen, strict=True):
            desk.choose(select, run)
        a, b = (config_of(report, run) for run in chosen)
        missing = object()
        keys = sorted(key for key in a | b if a.get(key, missing) != b.get(key, missing))
        assert desk.texts("#d0-diff tbody th") == keys


def test_the_config_is_searched_and_the_command_is_there(desk, report):
    run = report["runs"]["ring81-s2"]
    desk.choose("#d0-runs select", "ring81-s2")
    keys = desk.texts("#d0-runs tbody th")
    assert keys == sorted(config_of(report, "ring81-s2"))
    assert run["reason"] in desk.find("#d0-runs .facts").text
    assert desk.texts("#d0-runs .command code")[0] == run["command"]
    desk.press("#d0-runs input[type=search]", "LOSS target")
    assert desk.texts("#d0-runs tbody th") == ["loss._target_"]


def test_tabs_by_the_keyboard(desk):
    from selenium.webdriver.common.keys import Keys

    assert desk.find("#d0").is_displayed() and not desk.find("#d1").is_displayed()
    desk.press("#d0-tab", Keys.ARROW_RIGHT)
    assert desk.find("#d1").is_displayed() and not desk.find("#d0").is_displayed()
    assert desk.find("#d1-tab").get_attribute("aria-selected") == "true"
    assert desk.run("return document.querySelector('#d1-seeds svg') !== null")  # drawn once it is seen


def test_what_was_not_seen_is_printed_too(desk):
    drawn = "return document.querySelectorAll('#d1 .chart svg').length"
    assert desk.run(drawn) == 0
    desk.run("dispatchEvent(new Event('beforeprint'))")
    assert desk.run(drawn) == len(desk.texts("#d0 .chart"))


def test_hostile_text_is_text(desk):
    assert desk.run("return window.broken") is None
    assert desk.texts('#d0 tr[data-id="ring82"] .label') == [HOSTILE]
    assert desk.texts("h1") == ["An <b>example</b>"]
    assert desk.driver.title == "An <b>example</b>"


@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize("size", [DESK, PHONE])
def test_nothing_overflows_and_nothing_is_fetched(browser, size, dark):
    browser.driver.get_log("browser"), browser.driver.get_log("performance")
    browser.open(size, dark)
    for tab in ("#d0-tab", "#d1-tab"):
        browser.find(tab).click()
        wide, seen = browser.run("return [document.documentElement.scrollWidth, innerWidth]")
        assert seen == size[0] and wide <= seen
    ground = browser.run("return getComputedStyle(document.body).backgroundColor")
    assert (sum(map(int, re.findall(r"\d+", ground))) < 200) == dark
    assert browser.driver.get_log("browser") == []  # no error, and no breach of the page's own policy
    events = [json.loads(entry["message"])["message"] for entry in browser.driver.get_log("performance")]
    asked = {event["params"]["request"]["url"] for event in events if event["method"] == "Network.requestWillBeSent"}
    assert {url for url in asked if not url.startswith("data:")} == {browser.path.as_uri()}


def test_the_policy_keeps_the_network_out(browser):
    browser.open()
    outcome = (
        "const done = arguments[0]; fetch('http://127.0.0.1:9/').then(() => done('sent'), (error) => done(error.name))"
    )
    violated = (
        "document.addEventListener('securitypolicyviolation', (event) => (window.violated = event.violatedDirective))"
    )
    browser.run(violated)
    assert browser.driver.execute_async_script(outcome) == "TypeError"
    assert browser.run("return window.violated") == "connect-src"
    browser.driver.get_log("browser")


def test_embedded_json_reads_back_and_starts_no_tag(report):
    text = embedded({**report, "odd": [math.nan, math.inf, 1.5, "\u2028<!--"]})
    assert "<" not in text
    read = json.loads(text)
    assert read.pop("odd") == [None, None, 1.5, "\u2028<!--"]
    assert read == report


def test_one_file_and_no_module_left_out(report):
    text = page(report)
    assert html.escape(report["title"]) in text
    assert not re.search(r"""(src|href)=["'](?!data:|#)""", text.partition('<script type="application/json"')[0])
    assert {path.name for path in ASSETS.glob("*.css")} == set(STYLES)
    names = {path.name for path in ASSETS.iterdir()}
    assert names >= {"page.html", "page.css", "main.js"}
    script = bundled_script()
    for path in ASSETS.glob("*.js"):
        assert path.read_text().partition("\n")[0] in script  # its first comment
    assert not re.search(r"^(import|export) ", script, re.MULTILINE)
    assert "innerHTML" not in script


def test_a_page_without_scores_is_a_page(tmp_path):
    write_page(
        {
            "title": "empty",
            "created": "x",
            "commit": None,
            "dirs": [],
            "tables": [],
            "normalised": None,
            "configs": {},
            "runs": {},
        },
        tmp_path / "a" / "report.html",
    )
    assert [path.name for path in (tmp_path / "a").iterdir()] == ["report.html"]


def test_it_is_written_without_torch():
    code = "import sys, genexp.reporting.page as p; p.page({'title': 'x'}); print('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "False\n"
