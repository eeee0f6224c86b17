"""What the tests share: the real command line, and a parametrisation over all families."""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")  # tests share the cores; before torch reads it

import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from tests import command_line
from tests.cases import CASES


def pytest_generate_tests(metafunc):
    if "case" in metafunc.fixturenames:
        cases = [pytest.param(case, marks=[pytest.mark.slow] if case.slow else [], id=str(case)) for case in CASES]
        metafunc.parametrize("case", cases)


@pytest.fixture(scope="session")
def cache(tmp_path_factory) -> Path:
    """One cache for all runs of a test session, so that anchor rows are made once."""
    return tmp_path_factory.mktemp("cache")


@pytest.fixture
def environment(tmp_path, cache) -> dict[str, str]:
    """The variables of a run that writes below `tmp_path` alone."""
    return {
        **{key: value for key, value in os.environ.items() if not key.startswith(("PYTEST_", "LOCAL_RANK", "WANDB"))},
        "GENEXP_OUTPUT": str(tmp_path / "runs"),
        "GENEXP_CACHE": str(cache),
        "OMP_NUM_THREADS": "1",
        "COLUMNS": "200",
    }


Genexp = Callable[..., subprocess.CompletedProcess]


@pytest.fixture
def genexp(request, tmp_path, environment) -> Genexp:
    """Run the command line in `tmp_path`; marked as `cold` in an interpreter of its own."""
    run_it = command_line.run_cold if request.node.get_closest_marker("cold") else command_line.run

    def run(*arguments: str, cwd: Path = tmp_path, check: bool = True) -> subprocess.CompletedProcess:
        done = run_it(arguments, cwd, environment, timeout=300.0)
        if check:
            assert done.returncode == 0, f"{' '.join(arguments)}\n{done.stdout}\n{done.stderr}"
        return done

    return run


@pytest.fixture
def start(request, tmp_path, environment) -> Callable[[Sequence[str]], command_line.Started | subprocess.Popen]:
    """Start the command line in `tmp_path` and go on; marked as `cold` in an interpreter of its own."""
    started = command_line.cold if request.node.get_closest_marker("cold") else command_line.Started
    return lambda arguments: started(arguments, tmp_path, environment)


@pytest.fixture(scope="session")
def s3_server():
    """An S3 server for a test session."""
    from tests.s3_server import S3Server

    server = S3Server()
    server.start()
    yield server
    server.stop()


@pytest.fixture
def s3(s3_server, environment, monkeypatch):
    """The server with an empty bucket, its address and keys in the environment of this process and of `genexp`."""
    for key, value in s3_server.environment.items():
        monkeypatch.setenv(key, value)
    environment.update(s3_server.environment)
    s3_server.empty()
    return s3_server
