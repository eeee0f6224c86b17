"""What `genexp evaluate` leaves in a run's folder, read back."""

import json
import math

import numpy as np
import pytest
from PIL import Image
from tests.cases import TINY

from genexp import atomic
from genexp.commands.evaluate import main
from genexp.errors import UserError
from genexp.evaluation.scores import Scores

TINY_IMAGES = [
    *("dataset=digits", "network=mlp", "network.decoder.width=16", "network.encoder.width=16"),
    *("evaluation.n=200", "evaluation.draws=1", "evaluation.fast_n=100", "batch_size=32", "logger=none"),
    *("trainer.accelerator=cpu", "trainer.threads=1", "max_steps=4", "seed=3"),
]


def last_row(folder):
    return json.loads((folder / "scores.jsonl").read_text().splitlines()[-1])


@pytest.mark.slow
def test_images_leave_anchors_and_their_neighbours_and_a_second_bound(genexp, tmp_path, capsys):
    folder = tmp_path / "run"
    genexp("train", *TINY_IMAGES, "model=vae", "model.latent_dim=2", f"run_dir={folder}")
    row = last_row(folder)
    anchors = json.loads((folder / "anchors.json").read_text())
    assert list(anchors) == ["perfect", "copycat", "kde", "gaussian", "uniform"]
    for anchor in anchors.values():
        scores = Scores.from_json(anchor)
        assert scores.fingerprint == row["fingerprint"]  # so they may stand in one table
        assert scores.metrics["fd32c"] is not None
    assert anchors["copycat"]["metrics"]["copy_rate"] == 1
    assert not list(folder.rglob(f"{atomic.PREFIX}*"))
    strip = np.asarray(Image.open(folder / "samples" / "nearest.png"))
    assert strip.shape == (2 * 33 + 1, 16 * 33 + 1)
    below = (strip[34:66].astype(float) / 255 * 16)[:, 1:]  # real images: 17 grey levels, each 4 x 4 pixels
    assert np.abs(below - below.round()).max() < 0.04
    assert "bpd_ais" not in row["metrics"]

    (folder / "samples" / "nearest.png").unlink()
    (folder / "anchors.json").unlink()
    assert main([str(folder), "ais_steps=3", "bound_samples=2"]) == 0
    assert json.loads((folder / "anchors.json").read_text()) == anchors
    assert (folder / "samples" / "nearest.png").is_file() and "nearest.png" in capsys.readouterr().out
    metrics = last_row(folder)["metrics"]
    assert metrics["fd32c"] == row["metrics"]["fd32c"]
    assert metrics["bpd_ais_kind"] == "lower bound" and metrics["bpd_ais_steps"] == 3
    assert 1 <= metrics["bpd_ais_ess"] <= 8
    # After four steps the posterior is nearly the prior: both bounds are nearly tight.
    assert metrics["bpd_ais"] == pytest.approx(metrics["bpd"], rel=0.05)


@pytest.mark.slow
def test_points_of_five_dimensions_are_trained_and_scored(genexp, tmp_path):
    folder = tmp_path / "run"
    means = [[0.0] * 5, [2.0] * 5]
    mixture = ["dataset=gaussian_mixture", f"dataset.density.means={means}", "dataset.density.std=0.2"]
    genexp(
        *(
            "train",
            *TINY,
            *mixture,
            "dataset.shape=[5]",
            "dataset.num_classes=2",
            "max_steps=4",
            "score_every=2",
            "model=gan",
        ),
        *("model.latent_dim=2", f"run_dir={folder}"),
    )
    assert len(list((folder / "samples").glob("step-*.png"))) == 2
    assert (folder / "samples" / "final-ema.png").is_file()
    assert not (folder / "samples" / "nearest.png").exists()
    assert list(json.loads((folder / "anchors.json").read_text())) == ["perfect", "kde", "gaussian", "uniform"]
    assert math.isfinite(last_row(folder)["metrics"]["energy"])
    with pytest.raises(UserError, match="leave ais_steps=0"):
        main([str(folder), "ais_steps=10"])
    with pytest.raises(UserError, match="give 0 or more"):
        main([str(folder), "ais_steps=-1"])
    assert len((folder / "scores.jsonl").read_text().splitlines()) == 1
