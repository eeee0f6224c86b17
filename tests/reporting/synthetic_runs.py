"""Finished runs that nobody trained: folders with the files of real ones, and numbers that are chosen."""

import csv
import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from genexp import config

FINGERPRINTS = {
    "digits": {
        **{"protocol": "images", "version": 2, "data": "digits", "reference": "ref", "n": 500, "k": 5, "draws": 4},
        **{"headline": "fd32c", "features": "digits_cnn32", "features_sha256": "0123456789abcdef"},
    },
    "ring8": {
        **{"protocol": "points", "version": 2, "data": "ring8", "reference": "ref", "n": 10000, "draws": 4},
        **{"headline": "hq", "features": "identity"},
    },
}
ANCHORS = {
    "digits": {
        "perfect": {"fd32c": 0.0, "coverage": 0.968, "recall": 0.97, "copy_rate": 0.01},
        "gaussian": {"fd32c": 2.0, "coverage": 0.45, "recall": 0.89, "copy_rate": 0.0},
    },
    "ring8": {"perfect": {"hq": 0.98889, "modes": 8.0}, "gaussian": {"hq": 0.00889, "modes": 7.0}},
}


def write_run(
    parent: Path,
    metrics: Mapping[str, Any] | None,
    *,
    loss: str = "hinge",
    seed: int = 0,
    data: str = "digits",
    status: str = "complete",
    failure: str | None = None,
    lr: float = 2e-4,
    seconds: float = 20.0,
    cpu_seconds: float = 16.0,
    fingerprint: Mapping[str, Any] | None = None,
    record: Mapping[str, Any] | None = None,
    anchors: bool = True,
) -> Path:
    """A run's folder below `parent`; without metrics it has no score."""
    plain = {
        **{"seed": seed, "batch_size": 64, "max_steps": 1000, "name": f"{data}_gan"},
        "dataset": {"_target_": "genexp.data.Made", "name": data, "shape": [1, 8, 8], "num_workers": 0},
        "model": {"_target_": "genexp.models.gan.GAN", "latent_dim": 16},
        "loss": {"_target_": f"genexp.objectives.adversarial.{loss.title()}"},
        "penalty": {"gp": {"_target_": "genexp.objectives.penalties.GradientPenalty", "weight": 10.0}},
        "optimizer": {"algorithm": "torch.optim.Adam", "lr": lr, "betas": [0.0, 0.9]},
        "paths": {"output": str(parent), "cache": "/nowhere"},
    }
    setting = config.identity(plain, with_seed=False)
    folder = parent / f"{config.identity(plain)}-s{seed}"
    folder.mkdir(parents=True)
    config.save_yaml(plain, folder / "config.yaml")
    choices = {"experiment": f"{data}_gan", "dataset": data, "model": "gan", "loss": loss, "penalty": "gp"}
    made = {
        **{"status": status, "name": f"{data}_gan", "choices": choices, "setting": setting, "seed": seed},
        **{"identity": config.identity(plain), "created": "2026-01-01T00:00:00+00:00", "commit": "0123456789ab"},
        "overrides": [f"experiment={data}_gan", f"loss={loss}", f"optimizer.lr={lr:g}", f"seed={seed}"],
        **{"seconds": seconds, "cpu_seconds": cpu_seconds, "step": 1000, "parameters": {"total": 83715}},
        **{"versions": {"torch": "2.9.0"}, "machine": "a machine", "config_dir": None},
    }
    if failure is not None:
        made["failure"] = failure
    (folder / "run.json").write_text(json.dumps({**made, **(record or {})}))
    scored_as = {**FINGERPRINTS[data], **(fingerprint or {})}
    if metrics is not None:
        row = {"run": folder.name, "name": f"{data}_gan", "setting": setting, "seed": seed, "step": 1000}
        row |= {"weights": "ema", "metrics": dict(metrics), "errors": {}, "fingerprint": scored_as, "failure": None}
        (folder / "scores.jsonl").write_text(json.dumps(row) + "\n")
    if anchors:
        rows = {
            name: {"metrics": values, "errors": {}, "fingerprint": scored_as} for name, values in ANCHORS[data].items()
        }
        (folder / "anchors.json").write_text(json.dumps(rows))
    with open(folder / "timings.csv", "w") as file:
        file.write("step,images,time/images_per_second\n500,32000,5000\n1000,64000,5000\n")
    return folder


def write_curves(folder: Path, headline: str, rows: int = 200, every: int = 20) -> None:
    """`metrics.csv` with a loss in each row and a score in every so many."""
    with open(folder / "metrics.csv", "w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["step", "images", "loss/critic", "loss/generator", "score/real", f"fast/{headline}"])
        for i in range(1, rows + 1):
            score = math.exp(-i / rows) if i % every == 0 else ""
            writer.writerow([50 * i, 3200 * i, math.cos(i), math.sin(i), 0.1 * i, score])


def write_pictures(folder: Path, steps: int = 10, side: int = 480) -> None:
    """A sheet of noise for each of some steps, as large as a scatter plot; what is final; and a strip of neighbours."""
    (folder / "samples").mkdir()
    rng = np.random.default_rng(0)
    names = [*(f"step-{500 * (i + 1):08d}" for i in range(steps)), "final-ema", "nearest"]
    for name in names:
        pixels = np.full((side, side, 3), 255, dtype=np.uint8)
        x, y = rng.normal(side / 2, side / 8, size=(2, 3000)).astype(int).clip(0, side - 3)
        for dx in range(2):
            pixels[y, x + dx] = rng.integers(0, 200, size=(3000, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / "samples" / f"{name}.png")
