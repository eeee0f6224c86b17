"""What `genexp dynamics` is asked: a game and the parts of its training, or a run."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from genexp import config as configs
from genexp.config import Composed
from genexp.errors import UserError
from genexp.storage.places import COPIES, folder_of

PARTS = ("game", "loss", "penalty", "constraint", "plan", "optimizer")
"""The groups that a game is made of."""


@dataclass
class DynamicsConfig:
    """The root of `conf/dynamics.yaml`: its keys and their types."""

    steps: int = 500
    trajectories: int = 3
    out: str | None = None
    game: Any = None
    loss: Any = None
    penalty: dict[str, Any] = field(default_factory=dict)
    constraint: Any = None
    plan: Any = None
    optimizer: Any = None
    paths: Any = None


def compose_dynamics(overrides: Sequence[str], config_dir: str | None = None) -> Composed:
    """Compose `conf/dynamics.yaml` with `overrides`.

    Raises:
        UserError: one sentence for a misspelt key or option, or a value that is out of range.
    """
    composed = configs.compose_root("dynamics", DynamicsConfig, overrides, config_dir)
    for key in ("steps", "trajectories"):
        if composed.config[key] < 1:
            raise UserError(f"{key}={composed.config[key]} is out of range: give a whole number of at least 1.")
    return composed


def title(composed: Composed) -> str:
    """What was chosen, in one line: game, loss, penalties, constraint, plan, optimizer and its learning rate."""
    choices, config = composed.choices, composed.config
    penalties = [f"{name} {node.weight:g}" if "weight" in node else str(name) for name, node in config.penalty.items()]
    constraint = [choices["constraint"]] if choices["constraint"] != "none" else []
    parts = [choices["game"], choices["loss"], *penalties, *constraint, choices["plan"]]
    return ", ".join([*parts, f"{choices['optimizer']} {config.optimizer.lr:g}"]).replace("_", " ")


def folder(composed: Composed) -> Path:
    """Where the picture and the numbers go; the same choice has the same folder."""
    if composed.config.out is not None:
        return folder_of(composed.config.out, COPIES)
    plain = {key: value for key, value in composed.plain.items() if key not in ("out", "paths")}
    words = [*(composed.choices[part] for part in ("game", "loss", "plan", "optimizer")), configs.identity(plain)[:6]]
    return folder_of(composed.config.paths.output, COPIES) / "dynamics" / "-".join(words)
