"""What W&B has left in run folders: the offline segments, and which of them were sent. No W&B import."""

import json
import os
import re
import struct
import subprocess
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from genexp.errors import UserError
from genexp.runs import Run

SEGMENT = re.compile(r"(?P<offline>offline-)?run-(?P<started>\d{8}_\d{6})-(?P<id>.+)")
"""The name of the folder that one `wandb.init` makes."""

FILE_HEADER = struct.Struct("<4sHB")
RECORD_HEADER = struct.Struct("<IHB")
"""Checksum, length and kind of a record in a LevelDB log, which a W&B file is behind its own header."""
BLOCK = 32768
FULL, LAST = 1, 4


@dataclass(frozen=True, order=True)
class Segment:
    """What one process of a run logged offline.

    Attributes:
        run: the run's folder.
        started: when, as W&B writes it; segments sort by it.
        wandb_id: the W&B run that it is a part of.
        log: the `.wandb` file.
    """

    run: Path
    started: str
    wandb_id: str
    log: Path

    @property
    def sent(self) -> bool:
        """Whether W&B has marked it as uploaded."""
        return self.mark.exists()

    @property
    def mark(self) -> Path:
        """The file with which W&B remembers that."""
        return self.log.with_name(f"{self.log.name}.synced")


def segments(run: Path) -> list[Segment]:
    """The offline segments of a run folder, oldest first."""
    found = []
    for log in (run / "wandb").glob("offline-run-*/*.wandb"):
        if match := SEGMENT.fullmatch(log.parent.name):
            found.append(Segment(run, match["started"], match["id"], log))
    return sorted(found)


def runs_below(folders: Iterable[Path]) -> list[Path]:
    """The run folders with W&B files at or below `folders`, each once.

    Raises:
        UserError: if a folder does not exist.
    """
    found: set[Path] = set()
    for folder in folders:
        if not folder.is_dir():
            raise UserError(f"There is no folder {folder}: give run folders or folders of runs.")
        found |= {path.parent.resolve() for path in folder.glob("**/wandb") if path.is_dir() and segments(path.parent)}
    return sorted(found)


def records(log: Path) -> list[dict[str, Any]]:
    """What is in a W&B file, oldest first, as W&B's own reader tells it; a torn end is left out.

    Raises:
        UserError: if the reader does not end, or tells nothing and fails.
    """
    command = [sys.executable, "-m", "wandb", "leet", "inspect", "--json", str(log)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    except subprocess.TimeoutExpired as error:
        raise UserError(f"W&B's reader does not end with {log}: try again, or move the file away.") from error
    if done.returncode and not done.stdout:
        reason = (done.stderr.strip().splitlines() or ["it says nothing"])[-1].rstrip(".")
        raise UserError(f"W&B's reader fails on {log} ({reason}): install wandb again, or move the file away.")
    return [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]


def is_training(run: Path) -> bool:
    """Whether a process holds the run."""
    return Run(run).is_locked


def cut_torn_end(log: Path) -> int:
    """Remove the half-written record that a killed process leaves at the end of a W&B file; the bytes removed.

    `wandb sync` sends such a file but calls it failed, each time anew, and holds back the later segments of its run.
    """
    content = log.read_bytes()
    if content[:4] != b":W&B":
        return 0
    position = whole = FILE_HEADER.size
    while position + RECORD_HEADER.size <= len(content):
        left = BLOCK - position % BLOCK
        if left < RECORD_HEADER.size:
            position += left  # a record never begins in so small a rest: it is filled with zeros
            continue
        _, length, kind = RECORD_HEADER.unpack_from(content, position)
        if kind == 0:
            break
        position += RECORD_HEADER.size + length
        if kind in (FULL, LAST) and position <= len(content):
            whole = position
    if whole < len(content):
        os.truncate(log, whole)
    return len(content) - whole


def is_empty(log: Path) -> bool:
    """Whether the process was killed before W&B wrote what run it is: nothing can be sent."""
    size = log.stat().st_size
    return size <= FILE_HEADER.size or (
        size < BLOCK and not any(record.get("type") == "run" for record in records(log))
    )
