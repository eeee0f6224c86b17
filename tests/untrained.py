"""Runs whose checkpoint holds the weights that the seed gives: what commands that read a run need, without training."""

from pathlib import Path

from genexp import config as configs
from genexp.assembly import Trained, build_model
from genexp.models.base import GenerativeModel
from genexp.runs import Run
from genexp.training import checkpoint

POINTS = ("dataset=ring8", "network=mlp", "network.decoder.width=16", "network.encoder.width=16", "model.latent_dim=3")
DIGITS = ("dataset=digits", *POINTS[1:])


def run_of(folder: Path, *overrides: str) -> Run:
    """A run in `folder` that says it is at step 0."""
    composed = configs.compose_train([*overrides, "logger=none"])
    run = Run(folder)
    run.create(composed.plain, composed.choices)
    model = build_model(composed.config)
    checkpoint.save(run.checkpoints, 0, {"model": model.state_dict(), "ema": {}}, keep=1)
    return run


def trained(model: GenerativeModel, *overrides: str) -> Trained:
    """A model of the test's own as `load_trained` gives it, with the data of a config."""
    return Trained(configs.compose_train(list(overrides)).config, model.eval(), 0, "raw")
