"""The keys of a run's config, and their types."""

from dataclasses import dataclass, field
from typing import Any


@dataclass
class TrainConfig:
    """The root of `conf/train.yaml`: its keys and their types; the groups check their own keys when they are built."""

    seed: int = 0
    batch_size: int = 64
    max_steps: int = 1000
    log_every: int = 50
    score_every: int = 500
    checkpoint_every: int = 500
    keep_checkpoints: int = 2
    name: str | None = None
    run_dir: str | None = None
    resume: str | None = None
    progress: bool = True
    dataset: Any = None
    network: Any = None
    model: Any = None
    loss: Any = None
    head: Any = None
    prior: Any = None
    penalty: dict[str, Any] = field(default_factory=dict)
    constraint: Any = None
    augment: Any = None
    plan: Any = None
    optimizer: Any = None
    schedule: Any = None
    ema: Any = None
    health: Any = None
    trainer: Any = None
    evaluation: Any = None
    logger: Any = None
    paths: Any = None
    seeds: int | None = None
    sweep: str | None = None
    launcher: Any = None
    search: Any = None
