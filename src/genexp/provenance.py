"""Where a run's numbers come from: the code's commit, the packages' versions and the machine."""

import os
import platform
import subprocess
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import genexp

PACKAGES = ("torch", "lightning", "hydra-core", "numpy", "wandb")


@cache
def provenance() -> dict[str, Any]:
    """The code's commit, the packages' versions and the machine, as they were when this process first asked."""
    versions = {"genexp": genexp.__version__, "python": platform.python_version()}
    for package in PACKAGES:
        try:
            versions[package] = version(package)
        except PackageNotFoundError:
            versions[package] = "absent"
    return {"commit": commit(), "versions": versions, "machine": platform.platform(), "cpus": os.cpu_count()}


@cache
def commit() -> str | None:
    """The git commit of the code, with `+` when files differ from it; in an image, GENEXP_COMMIT."""
    here = Path(__file__).parent
    try:
        head = subprocess.run(
            ["git", "-C", str(here), "rev-parse", "--short=12", "HEAD"], capture_output=True, text=True, timeout=5
        )
        dirty = subprocess.run(
            ["git", "-C", str(here), "status", "--porcelain", "-uno", ":/src", ":/conf"],
            capture_output=True,
            text=True,
            timeout=5,
        )
    except (OSError, subprocess.TimeoutExpired):
        return os.environ.get("GENEXP_COMMIT") or None
    if head.returncode != 0:
        return os.environ.get("GENEXP_COMMIT") or None
    return head.stdout.strip() + ("+" if dirty.stdout.strip() else "")
