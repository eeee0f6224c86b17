"""Two hosts on one machine: network namespaces with their own addresses, joined by a cable that can be pulled."""

import os
import shutil
import signal
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import pytest

PORT = "29517"
"""Free in every namespace: nothing else runs there."""


def ip(*words: str, check: bool = True) -> str:
    return subprocess.run(["ip", *words], check=check, capture_output=True, text=True, timeout=30).stdout


def refusal() -> str | None:
    """Why there can be no namespaces here; None if there can."""
    if os.name != "posix" or os.geteuid() != 0:
        return "network namespaces need root"
    if shutil.which("ip") is None or shutil.which("unshare") is None:
        return "network namespaces need ip (iproute2) and unshare (util-linux)"
    name = f"genexp-probe-{os.getpid()}"
    made = subprocess.run(["ip", "netns", "add", name], capture_output=True, text=True, timeout=30)
    ip("netns", "del", name, check=False)
    return None if made.returncode == 0 else f"no network namespaces here: {made.stderr.strip()}"


@dataclass
class Host:
    """A namespace with one address on the interface `cable`, and a host name that both hosts know."""

    space: str
    name: str
    address: str
    started: list[subprocess.Popen] = field(default_factory=list)

    def start(self, command: Sequence[str], environment: Mapping[str, str], **options) -> subprocess.Popen:
        """Start a program on this host."""
        named = ["unshare", "--uts", "sh", "-c", f'hostname {self.name}; exec "$@"', "sh"]
        process = subprocess.Popen(
            ["ip", "netns", "exec", self.space, *named, *command],
            env=dict(environment),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            **options,
        )
        self.started.append(process)
        return process

    @property
    def etc(self) -> Path:
        """What `ip netns exec` puts in the place of files in /etc."""
        return Path("/etc/netns") / self.space

    def pids(self) -> list[int]:
        return [int(word) for word in ip("netns", "pids", self.space, check=False).split()]

    def crash(self) -> None:
        """Kill every process at once, as a power cut does."""
        while pids := self.pids():
            for pid in pids:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
        for process in self.started:
            process.wait(timeout=30)

    def remove(self) -> None:
        self.crash()
        ip("netns", "del", self.space, check=False)
        shutil.rmtree(self.etc, ignore_errors=True)

    def unplug(self) -> None:
        """Pull the cable: nothing arrives any more, and nobody is told."""
        ip("-n", self.space, "link", "set", "cable", "down")

    def plug(self) -> None:
        ip("-n", self.space, "link", "set", "cable", "up")


def remove_abandoned() -> None:
    """Remove hosts whose test was itself killed: only those that this module names, of processes that are gone."""
    for folder in Path("/etc/netns").glob("genexp-*-[ab]"):
        pid = folder.name.split("-")[1]
        if pid.isdecimal() and not Path(f"/proc/{pid}").exists():
            Host(folder.name, "", "").remove()


@contextmanager
def two_hosts() -> Iterator[tuple[Host, Host]]:
    """Two hosts that reach each other; gone afterwards with all that runs there, whatever happens.

    Skips the test where there can be none.
    """
    reason = refusal()
    if reason is not None:
        pytest.skip(reason)
    remove_abandoned()
    hosts = [
        Host(f"genexp-{os.getpid()}-{letter}", f"host-{letter}", f"10.77.0.{i}") for i, letter in ((1, "a"), (2, "b"))
    ]
    table = "127.0.0.1 localhost\n" + "".join(f"{host.address} {host.name}\n" for host in hosts)
    try:
        for host in hosts:
            ip("netns", "add", host.space)
            host.etc.mkdir(parents=True)
            (host.etc / "hosts").write_text(table)
            ip("-n", host.space, "link", "set", "lo", "up")
        first, second = hosts
        ip("-n", first.space, *f"link add cable type veth peer name cable netns {second.space}".split())
        for host in hosts:
            ip("-n", host.space, "addr", "add", f"{host.address}/24", "dev", "cable")
            host.plug()
        yield first, second
    finally:
        for host in hosts:
            host.remove()
