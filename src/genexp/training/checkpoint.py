"""Checkpoints: plain tensors and the step, written atomically, verified before they are trusted.

A file is called `step-<step>-<first 16 hex digits of its sha256>.ckpt`: the name itself tells whether the content is
whole. It is written beside its place and renamed, so that a killed process leaves the previous one untouched.
`torch.load(path, weights_only=True, map_location="cpu")` reads it.
"""

import hashlib
import io
import re
from pathlib import Path
from typing import Any

import torch

from genexp import atomic
from genexp.errors import UserError

FORMAT = 1
LISTINGS = 5
"""How often to look for a checkpoint that stays while it is read."""
_NAME = re.compile(r"step-(\d{8})-([0-9a-f]{16})\.ckpt")


def save(folder: Path, step: int, state: dict[str, Any], keep: int) -> Path:
    """Write `state` as the checkpoint of `step` and delete all but the last `keep`.

    Arguments:
        folder: the run's checkpoint folder, created if needed.
        step: steps done.
        state: tensors, numbers, strings, lists and dicts.
        keep: checkpoints that stay, at least 1.
    """
    folder.mkdir(parents=True, exist_ok=True)
    buffer = io.BytesIO()
    torch.save({"format": FORMAT, "step": step, **state}, buffer)
    content = buffer.getvalue()
    path = folder / f"step-{step:08d}-{hashlib.sha256(content).hexdigest()[:16]}.ckpt"
    atomic.write_bytes(path, content)
    atomic.sync_folder(folder)
    for old in [other for other in saved(folder) if other != path][max(keep, 1) - 1 :]:
        old.unlink(missing_ok=True)
    atomic.remove_abandoned(folder, seconds=0)
    return path


def saved(folder: Path) -> list[Path]:
    """The checkpoints in `folder`, newest step first."""
    return sorted((path for path in folder.glob("step-*.ckpt") if _NAME.fullmatch(path.name)), reverse=True)


def step_of(path: Path) -> int:
    """The step in a checkpoint's name."""
    match = _NAME.fullmatch(path.name)
    if match is None:
        raise UserError(f"{path} is not a genexp checkpoint: its name must be step-<step>-<sha256>.ckpt.")
    return int(match[1])


def load(path: Path) -> dict[str, Any]:
    """Read a checkpoint onto the CPU.

    Raises:
        UserError: if the file is truncated, corrupt or of another format.
    """
    match = _NAME.fullmatch(path.name)
    content = path.read_bytes()
    if match is None or hashlib.sha256(content).hexdigest()[:16] != match[2]:
        raise UserError(
            f"The checkpoint {path} is truncated or corrupt (its content does not have the sha256 in its name): "
            "delete it to go on from the previous one."
        )
    state = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
    if state.get("format") != FORMAT:
        raise UserError(
            f"The checkpoint {path} has format {state.get('format')}, this version reads format {FORMAT}: "
            "resume it with the version that wrote it."
        )
    return state


def latest(folder: Path) -> tuple[dict[str, Any] | None, list[str]]:
    """The newest checkpoint that is whole, and one sentence for each newer one that was refused."""
    refused: dict[Path, str] = {}
    for _ in range(LISTINGS):
        try:
            for path in saved(folder):
                try:
                    return load(path), list(refused.values())
                except UserError as error:
                    refused[path] = str(error)
            break
        except FileNotFoundError:  # a process that trains has replaced it by a newer one: look again
            continue
    return None, list(refused.values())
