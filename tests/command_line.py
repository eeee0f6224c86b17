"""The command line in processes forked from one that has imported everything: each starts in a fraction of a second.

They are processes like any other, with an environment, a working folder, output and an exit code of their own, and can
be killed. `cold` starts a new interpreter, as a shell does: a run on several processes starts the others by the command
that started it.
"""

import multiprocessing
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import mkdtemp

PRELOADED = "genexp.sweeping.preloaded"


class Started:
    """`genexp ARGUMENTS` in a forked process, with what the tests need of `subprocess.Popen`.

    Arguments:
        arguments: behind `genexp`.
        cwd: the working folder.
        env: all variables.
    """

    def __init__(self, arguments: Sequence[str], cwd: Path, env: Mapping[str, str]) -> None:
        self.args = ["genexp", *arguments]
        self._out = Path(mkdtemp(prefix="out-", dir=cwd.parent)) / "stdout"
        os.mkfifo(self._out)
        self._process = _forked(self.args, cwd, env, self._out, self._out)
        self.stdout = self._out.open()  # waits until the other end is open

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def returncode(self) -> int | None:
        return self._process.exitcode

    def poll(self) -> int | None:
        return self._process.exitcode

    def wait(self, timeout: float | None = None) -> int:
        self._process.join(timeout)
        if self._process.exitcode is None:
            raise subprocess.TimeoutExpired(self.args, timeout or 0.0)
        return self._process.exitcode

    def communicate(self, timeout: float | None = None) -> tuple[str, None]:
        text = self.stdout.read()
        self.wait(timeout)
        return text, None

    def send_signal(self, number: int) -> None:
        if self._process.exitcode is None:
            os.kill(self.pid, number)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)


def run(arguments: Sequence[str], cwd: Path, env: Mapping[str, str], timeout: float) -> subprocess.CompletedProcess:
    """`genexp ARGUMENTS` to its end."""
    out = Path(mkdtemp(prefix="out-", dir=cwd.parent))
    places = out / "stdout", out / "stderr"
    process = _forked(["genexp", *arguments], cwd, env, *places)
    process.join(timeout)
    if process.exitcode is None:
        process.kill()
        raise subprocess.TimeoutExpired(["genexp", *arguments], timeout, *(place.read_text() for place in places))
    return subprocess.CompletedProcess(
        ["genexp", *arguments], process.exitcode, *(place.read_text() for place in places)
    )


def run_cold(
    arguments: Sequence[str], cwd: Path, env: Mapping[str, str], timeout: float
) -> subprocess.CompletedProcess:
    """`genexp ARGUMENTS` to its end, in a new interpreter."""
    command = [sys.executable, "-m", "genexp", *arguments]
    return subprocess.run(command, cwd=cwd, env=env, capture_output=True, text=True, timeout=timeout)


def cold(arguments: Sequence[str], cwd: Path, env: Mapping[str, str]) -> subprocess.Popen:
    """`genexp ARGUMENTS` in a new interpreter."""
    command = [sys.executable, "-m", "genexp", *arguments]
    return subprocess.Popen(command, cwd=cwd, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def _forked(
    arguments: list[str], cwd: Path, env: Mapping[str, str], stdout: Path, stderr: Path
) -> multiprocessing.Process:
    kind = multiprocessing.get_context("forkserver")
    kind.set_forkserver_preload([PRELOADED])
    process = kind.Process(target=_work, args=(arguments, str(cwd), dict(env), str(stdout), str(stderr)))
    process.start()
    return process


def _work(arguments: list[str], cwd: str, env: dict[str, str], stdout: str, stderr: str) -> None:
    places = [stdout] if stdout == stderr else [stdout, stderr]
    opened = [os.open(place, os.O_WRONLY | os.O_CREAT, 0o644) for place in places]
    for stream, number in ((sys.stdout, opened[0]), (sys.stderr, opened[-1])):
        os.dup2(number, stream.fileno())
    for number in opened:
        os.close(number)
    os.environ.clear()
    os.environ.update(env)
    time.tzset()
    os.chdir(cwd)
    sys.path.insert(0, cwd)
    sys.argv = arguments
    from genexp.cli import main

    sys.exit(main(arguments[1:]))
