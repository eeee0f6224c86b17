"""docker/: the Dockerfile keeps its promises, the context is a white list, the scripts call an engine as they say.

docker/check.sh proves the image itself; it needs an engine and minutes.
"""

import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml

import genexp
from genexp import provenance

ROOT = Path(__file__).parents[1]
DOCKER = ROOT / "docker"
SCRIPTS = sorted(DOCKER.glob("*.sh"))


def instructions() -> list[tuple[str, str]]:
    """The Dockerfile's instructions in their order: the word, and the rest with its lines joined."""
    text = re.sub(r"^\s*#.*\n", "", (DOCKER / "Dockerfile").read_text(), flags=re.M)
    lines = re.sub(r"\\\n\s*", "", text).splitlines()
    return [(line.split()[0], line.split(maxsplit=1)[1]) for line in lines if line.strip()]


def stages() -> dict[str, tuple[str, list[tuple[str, str]]]]:
    """The stages by name: what they start from, and their own instructions."""
    found: dict[str, tuple[str, list[tuple[str, str]]]] = {}
    for word, rest in instructions():
        if word == "FROM":
            base, name = rest.split(" AS ")
            found[name] = (base, [])
        elif found:
            found[name][1].append((word, rest))
    return found


def history(name: str) -> list[tuple[str, str]]:
    """A stage's instructions behind those of the stages that it starts from."""
    base, own = stages()[name]
    return (history(base) if base in stages() else []) + own


def environment_of(target: str) -> dict[str, str]:
    pairs = [pair for word, rest in history(target) if word == "ENV" for pair in re.findall(r"(\w+)=(\S+)", rest)]
    return dict(pairs)


def linter(name: str) -> str:
    path = Path(sys.executable).parent / name
    if not path.is_file():
        pytest.skip(f"{name} is not installed")
    return str(path)


def test_hadolint_finds_nothing():
    done = subprocess.run([linter("hadolint"), str(DOCKER / "Dockerfile")], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


def test_shellcheck_finds_nothing():
    command = [linter("shellcheck"), "-x", *(str(path.relative_to(ROOT)) for path in SCRIPTS)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stdout


def test_every_base_is_an_argument_with_a_version_or_another_stage():
    arguments = dict(rest.split("=", 1) for word, rest in instructions() if word == "ARG" and "=" in rest)
    assert re.search(r":\d+\.\d+\.\d+-|@sha256:", arguments["BASE_IMAGE"])
    for name, (base, _) in stages().items():
        assert base in ("${BASE_IMAGE}", "scratch", *stages()), name
    assert "latest" not in (DOCKER / "Dockerfile").read_text()


def test_every_pip_install_holds_to_the_constraints_and_leaves_no_secret():
    for name, (_, own) in stages().items():
        for word, rest in own:
            assert word != "ADD", name
            for command in re.findall(r"pip (?:install|wheel)[^&]*", rest):
                assert "--constraint constraints.txt" in command, (name, command)
            if "pip install" in rest and "--no-index" not in rest:
                assert "type=cache" in rest and "type=secret" in rest, (name, rest)
    assert not any("SECRET" in rest or "PASSWORD" in rest for _, rest in instructions())


@pytest.mark.parametrize("target", ["cpu", "cuda"])
class TestTarget:
    def test_it_runs_genexp_and_not_as_root(self, target):
        last = dict(history(target))
        assert last["USER"] == "1000:1000"
        assert last["ENTRYPOINT"] == '["genexp"]'

    def test_all_that_is_written_goes_into_one_folder(self, target):
        environment = environment_of(target)
        folders = {key: value for key, value in environment.items() if value.startswith("/") and key != "PATH"}
        assert set(folders) >= {"HOME", "GENEXP_OUTPUT", "GENEXP_CACHE", "MPLCONFIGDIR", "HF_HOME", "WANDB_CACHE_DIR"}
        assert all(value.split("/")[1] == "runs" for value in folders.values())
        assert any(word == "RUN" and "1777 /runs" in rest for word, rest in history(target))

    def test_the_defaults(self, target):
        environment = environment_of(target)
        assert environment["WANDB_MODE"] == "offline"
        assert environment["OMP_NUM_THREADS"] == "1"
        assert "HYDRA_FULL_ERROR" not in environment
        assert "WANDB_DATA_DIR" not in environment  # genexp puts it into the run's folder

    def test_the_commit_is_a_label_and_in_run_json_and_the_last_thing_to_change(self, target):
        words = history(target)
        assert any(word == "LABEL" and 'image.revision="${COMMIT}"' in rest for word, rest in words)
        assert environment_of(target)["GENEXP_COMMIT"] == "${COMMIT}"
        commit = next(i for i, (word, rest) in enumerate(words) if word == "ARG" and rest.startswith("COMMIT"))
        assert not any(word in ("COPY", "RUN") for word, _ in words[commit:])

    def test_neither_tests_nor_their_tools_are_in_it(self, target):
        assert not any("requirements-dev" in rest or "tests" in rest.split() for _, rest in history(target))


def test_the_target_without_a_name_is_cpu():
    assert list(stages())[-1] == "cpu"


def test_an_image_tells_its_commit(monkeypatch):
    def absent(*arguments, **keywords):
        raise FileNotFoundError("git")

    monkeypatch.setattr(provenance.subprocess, "run", absent)
    monkeypatch.setenv("GENEXP_COMMIT", "0123456789ab")
    assert provenance.commit.__wrapped__() == "0123456789ab"
    monkeypatch.setenv("GENEXP_COMMIT", "")
    assert provenance.commit.__wrapped__() is None


def test_the_context_is_a_white_list_that_has_all_that_is_copied():
    rules = [line for line in (ROOT / ".dockerignore").read_text().splitlines() if line and line[0] != "#"]
    assert rules[0] == "**"
    let_in = {rule[1:].removesuffix("/**") for rule in rules if rule[0] == "!"}
    assert let_in.isdisjoint({".git", ".venv", "runs", "wandb"})
    for word, rest in instructions():
        if word == "COPY" and "--from" not in rest:
            for source in rest.split()[:-1]:
                assert source == "." or (source.split("/")[0] in let_in and (ROOT / source).exists()), source


@pytest.mark.parametrize("extra", [None, "dev"])
def test_requirements_are_those_of_the_project(extra):
    command = [
        sys.executable,
        str(DOCKER / "requirements.py"),
        str(ROOT / "pyproject.toml"),
        *([extra] if extra else []),
    ]
    lines = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert lines == (project["optional-dependencies"][extra] if extra else project["dependencies"])


def test_compose_builds_the_targets_and_confines_them():
    services = yaml.safe_load((DOCKER / "compose.yaml").read_text())["services"]
    assert {service["build"]["target"] for service in services.values()} == {"cpu", "cuda", "test"} <= set(stages())
    for service in services.values():
        assert service["read_only"] and service["cap_drop"] == ["ALL"]
        assert [volume.rpartition(":")[2] for volume in service["volumes"]] == ["/runs"]


@pytest.fixture
def fake_engine(tmp_path):
    """Run a script with a `docker` that writes down how it is called; returns its lines and the calls."""
    calls = tmp_path / "calls"
    program = tmp_path / "bin" / "docker"
    program.parent.mkdir()
    program.write_text(
        f'#!/bin/sh\nprintf "%s\\n" "$*" >> {calls}\n'
        'case "$*" in *pip.conf,src=*) f=${*#*pip.conf,src=}; cat "${f%% *}" ;; *Size*) echo 1200000000 ;; esac\n'
    )
    program.chmod(0o755)

    def run(script: str, *arguments: str, **variables: str) -> tuple[str, list[str]]:
        clean = {key: value for key, value in os.environ.items() if not key.startswith("PIP_")}
        path = f"{program.parent}:{os.environ['PATH']}"
        command = [str(DOCKER / script), *arguments]
        done = subprocess.run(command, capture_output=True, text=True, env={**clean, "PATH": path, **variables})
        assert done.returncode == 0, done.stderr
        return done.stdout, calls.read_text().splitlines()

    return run


def test_build_asks_for_each_target_with_commit_and_version(fake_engine):
    output, calls = fake_engine("build.sh", "cpu", "cuda", BASE_IMAGE="base:1", TORCH_INDEX="")
    builds = [call for call in calls if call.startswith("build ")]
    assert [re.search(r"--target (\w+) --tag (\S+)", call).groups() for call in builds] == [
        ("cpu", "genexp:cpu"),
        ("cuda", "genexp:cuda"),
    ]
    for call in builds:
        assert re.search(r"COMMIT=([0-9a-f]{12}\+?)? ", call)
        assert f"VERSION={genexp.__version__} " in call
        assert "BASE_IMAGE=base:1" in call and "TORCH_INDEX= " in call
    assert "genexp:cpu: 1.20 GB" in output


def test_build_hands_pip_settings_over_as_secrets_alone(fake_engine, tmp_path):
    (tmp_path / "ca").touch()
    settings = {"PIP_INDEX_URL": "https://name:word@mirror.invalid/simple", "PIP_CERT": str(tmp_path / "ca")}
    output, calls = fake_engine("build.sh", **settings)
    build = next(call for call in calls if call.startswith("build "))
    assert "index-url = https://name:word@mirror.invalid/simple\ncert = /run/secrets/ca.pem" in output
    assert "mirror.invalid" not in build and "--secret id=pip.conf,src=" in build and "--secret id=ca.pem" in build
