"""The pages hold to the program: commands compose, keys and options exist, links resolve, tables say what code says.

`python tests/test_docs.py` writes the table of options in docs/composing.md from the comments in conf/.
"""

import re
import shlex
import sys
from functools import cache
from pathlib import Path

import pytest
from omegaconf import OmegaConf

from genexp import catalogue
from genexp import config as configs
from genexp.cli import COMMANDS
from genexp.commands import dynamics, evaluate, explore, export, report, sample, wandb
from genexp.commands.arguments import run_and_settings, take_flag, take_option
from genexp.commands.multirun import jobs
from genexp.dynamics.arena import build
from genexp.dynamics.settings import PARTS, compose_dynamics
from genexp.errors import UserError
from genexp.evaluation.anchors import ANCHORS
from genexp.evaluation.registry import ARROWS, METRICS
from genexp.schema import TrainConfig
from genexp.sweeping.jobs import Request
from genexp.sweeping.space import Space

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
PAGES = [ROOT / "README.md", *sorted(DOCS.glob("*.md"))]
FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", flags=re.M | re.S)
TOP_LEVEL = set(TrainConfig.__dataclass_fields__)
SETTINGS = {
    "evaluate": (evaluate.DEFAULTS, evaluate.USAGE),
    "sample": (sample.DEFAULTS, sample.USAGE),
    "export": (export.DEFAULTS, export.USAGE),
}


def blocks(page: Path, language: str) -> list[str]:
    return [body for found, body in FENCE.findall(page.read_text()) if found == language]


def spans(page: Path) -> list[str]:
    """The inline code of a page."""
    return re.findall(r"`([^`\n]+)`", FENCE.sub("", page.read_text()))


def commands() -> list[tuple[str, str]]:
    """Every command line of a page's shell blocks and inline code, with the page's name."""
    found = []
    for page in PAGES:
        text = "\n".join(blocks(page, "sh")).replace("\\\n", " ")
        lines = [*text.splitlines(), *spans(page)]
        found += [(page.name, line.strip()) for line in lines if re.match(r"(genexp|make|python) ", line.strip())]
    return found


def mentioned_keys() -> list[str]:
    """Every `group.key` and every `key=value` of inline code, without the commands' own settings."""
    keys = set()
    for page in PAGES:
        for span in spans(page):
            words = span.split()
            for word in words if all("=" in word for word in words) else [span]:  # several settings in one span
                key, _, value = word.partition("=")
                known = key.split(".")[0] in TOP_LEVEL | {"experiment"}
                if known and re.fullmatch(r"[a-z_0-9.]+", key) and ("." in key or "=" in word) and "..." not in value:
                    keys.add(word)
    return sorted(keys)


@cache
def composed(*overrides: str):
    return configs.compose_train(overrides).config


TAKEN_BY = {"prior": ("model=aae",)}
"""Groups that the default model does not take, and one that does."""


def has_key(key: str) -> bool:
    """Whether a key exists in the default config or with some option of its group."""
    group, *inner = key.split(".")
    alternatives = [(f"{group}={option}", *TAKEN_BY.get(group, ())) for option in catalogue.options(group)]
    if inner and (nested := ROOT / "conf" / group / inner[0]).is_dir():  # a group within the options that name it
        takers = [path.stem for path in nested.parents[0].glob("*.yaml") if inner[0] in path.read_text()]
        parts = [path.stem for path in nested.glob("*.yaml")]
        alternatives = [(f"{group}={taker}", f"{group}/{inner[0]}={part}") for taker in takers for part in parts]
    return any(
        OmegaConf.select(composed(*extra), key, default=composed) is not composed for extra in [(), *alternatives]
    )


def options_table() -> str:
    """Groups, options and the first comment of each option's file, in Markdown."""
    lines = ["| group | option | what it is |", "|---|---|---|"]
    for group in catalogue.groups():
        for i, option in enumerate(catalogue.options(group)):
            name = f"`{group}`" if i == 0 else ""
            lines.append(f"| {name} | `{option}` | {catalogue.describe(group, option)} |")
    return "\n".join(lines)


def with_options_table(page: str) -> str:
    start, end = "<!-- options -->\n", "<!-- /options -->"
    before, rest = page.split(start)
    return before + start + options_table() + "\n" + end + rest.split(end)[1]


@pytest.fixture
def user_folder(tmp_path, monkeypatch) -> Path:
    """A folder with the modules and configs that docs/*.md tell a user to write."""
    for page in PAGES:
        for block in (*blocks(page, "python"), *blocks(page, "yaml")):
            name = re.match(r"# (my_[\w/]+\.(py|yaml))\n", block)
            if name:
                (tmp_path / name[1]).parent.mkdir(parents=True, exist_ok=True)
                (tmp_path / name[1]).write_text(block.split("\n", 1)[1])
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    return tmp_path


def test_every_group_and_option_is_described_as_in_its_file():
    page = (DOCS / "composing.md").read_text()
    assert page == with_options_table(page), "write the table anew: python tests/test_docs.py"


def combinations_of(words: list[str]) -> list[list[str]]:
    """The override lists of a grid, or those that hold each choice and each end of a search."""
    request = Request.of(words)
    if not request.searches:
        return jobs(words)
    return [[*probe, *request.own] for probe in Space.of(request.overrides).probes()]


@pytest.mark.parametrize(("page", "line"), commands(), ids=lambda value: value)
def test_every_command_line_is_understood(page, line, user_folder):
    program, *words = shlex.split(line, comments=True)
    if program == "make":
        assert all(re.search(rf"^{word}:", (ROOT / "Makefile").read_text(), flags=re.M) for word in words)
    elif program == "python":
        assert (ROOT / words[0]).is_file()
    elif len(words) == 1 or "--help" in words:
        assert words[0] in COMMANDS or words[0] == "COMMAND"
    elif words[0] in SETTINGS:
        run_and_settings(words[1:], *SETTINGS[words[0]])
    elif words[0] == "explore":
        explore.read_arguments(words[1:])
    elif words[0] == "best":
        run_and_settings(words[1:], {"metric": None}, "")
    elif words[0] == "report":
        report.read_arguments(words[1:])
    elif words[0] == "wandb":
        assert words[1] in ("sync", "dashboard")
        settings = {"sync": {"dry_run": False}, "dashboard": wandb.DASHBOARD}[words[1]]
        run_and_settings([word for word in words[2:] if "=" in word] + ["DIR"], settings, wandb.USAGE)
    elif words[0] == "dynamics":
        if all("=" in word for word in words[1:]):
            build({part: configs.build(compose_dynamics(words[1:]).config[part], part) for part in PARTS})
        else:
            run_and_settings(words[1:], dynamics.DEFAULTS, dynamics.USAGE)
    elif words[0] == "list":
        config_dir = take_option(words, "--config-dir")
        assert all(group == "runs" or catalogue.options(group, config_dir) for group in words[1:])
    else:
        assert words.pop(0) == "train"
        config_dir = take_option(words, "--config-dir")
        take_flag(words, "--cfg", "--jobs")
        take_option(words, "--index")
        todo = combinations_of(words) if take_flag(words, "-m") else [words]
        for overrides in (todo[0], todo[-1]) if len(todo) > 1 else todo:
            build_what_is_cheap(configs.compose_train(overrides, config_dir).config)


def build_what_is_cheap(config) -> None:
    """The model and its update plan: what refuses combinations that compose but cannot work."""
    plan = configs.build(config.plan, "plan")
    model = configs.build(config.model, "model")
    assert set(plan.players) == set(model.players())
    for part in ("optimizer", "schedule", "ema", "evaluation", "dataset"):
        configs.build(config[part], part)


@pytest.mark.parametrize("span", mentioned_keys())
def test_every_mentioned_key_exists(span):
    key, _, value = span.partition("=")
    if value and key in SETTINGS["sample"][0] | SETTINGS["evaluate"][0] and key not in TOP_LEVEL:
        return
    if key in catalogue.groups():
        options = re.findall(r"\w+", value) or catalogue.options(key)
        assert set(options) <= set(catalogue.options(key))
    elif key.count(".") and value and not has_key(key):
        raise UserError(f"no config has {key}")
    else:
        assert has_key(key)


def slug(heading: str) -> str:
    """The anchor that GitHub gives a heading."""
    return re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", "-")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_relative_links_resolve(page):
    links = re.findall(r"\]\((?!https?:)([^)\s]+)\)", FENCE.sub("", page.read_text()))
    for link in links:
        name, _, anchor = link.partition("#")
        target = page.parent / name if name else page
        assert target.exists(), link
        if anchor:
            headings = re.findall(r"^#+ (.*)$", FENCE.sub("", target.read_text()), flags=re.M)
            assert anchor in map(slug, headings), link


def test_make_train_is_the_experiment_that_the_readme_names():
    line = re.search(r"genexp train (.*) \$\(ARGS\)", (ROOT / "Makefile").read_text())
    named = re.search(r"`(experiment=\w+)`", (ROOT / "README.md").read_text())
    assert line and named and line[1] == named[1]


@pytest.mark.parametrize(
    "script",
    [
        "architectures",
        "conditional",
        "losses",
        "divergences",
        "ratio-pairs",
        "recipes",
        "exactness",
        "throughput",
        "isolation",
        "report-speed",
        "kill",
        "storage",
        "dynamics",
        "health",
    ],
)
def test_scripts_find_their_place_in_one_page(script):
    marked = rf"^<!-- {script} -->\n.+?\n<!-- /{script} -->$"
    assert sum(len(re.findall(marked, page.read_text(), flags=re.M | re.S)) for page in PAGES) == 1


def test_every_metric_is_described_as_in_the_registry():
    rows = re.findall(r"^\| `([\w#.]+)` \| (.*?) \| (.*?) \|", (DOCS / "evaluation.md").read_text(), flags=re.M)
    described = {name.replace("fd32", "fd#"): (arrow.strip(), null) for name, arrow, null in rows}
    for name, info in METRICS.items():
        assert described[name] == (ARROWS[info.better], "" if info.null is None else f"{info.null:g}"), name


def test_every_anchor_is_described():
    page = (DOCS / "evaluation.md").read_text()
    assert all(f"| `{anchor}` |" in page for anchor in ANCHORS)


if __name__ == "__main__":
    composing = DOCS / "composing.md"
    composing.write_text(with_options_table(composing.read_text()))
    sys.exit()
