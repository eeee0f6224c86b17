"""Families with classes on the command line: pictures and scores by class, and what recipes promise."""

import numpy as np
import pytest
import torch
from PIL import Image
from scipy.optimize import linear_sum_assignment

from genexp import config as configs
from genexp.assembly import load_trained
from genexp.evaluation.scores import read_scores
from genexp.runs import Run

SMALL = ["dataset=digits", "network=mlp", "network.decoder.width=8", "network.encoder.width=8", "logger=none"]
SMALL += ["max_steps=20", "score_every=20", "evaluation.draws=1", "evaluation.permutations=10", "trainer.threads=1"]


@pytest.mark.slow
@pytest.mark.parametrize("model", ["conditional_gan", "info_gan"])
def test_pictures_have_a_column_for_each_class(model, genexp, tmp_path):
    genexp("train", f"model={model}", *SMALL, "run_dir=run")
    run = Run(tmp_path / "run")
    for name in ("step-00000020", "final-ema"):
        assert Image.open(run.samples / f"{name}.png").size == (10 * 33 + 1, 8 * 33 + 1)
    metrics = run.scores()[-1]["metrics"]
    anchors = read_scores(run.folder / "anchors.json")
    named = model == "conditional_gan"  # the classes of InfoGAN are its own
    assert ("class_accuracy" in metrics) == ("fd32c_class" in metrics) == named
    assert ("class_accuracy" in anchors["perfect"].metrics) == named
    assert ("fast/class_accuracy" in (run.folder / "metrics.csv").read_text()) == named


@pytest.mark.slow
def test_data_without_classes_are_refused_in_one_sentence(genexp, tmp_path):
    refused = genexp("train", "model=conditional_gan", *SMALL, "dataset=two_moons", "evaluation=points", check=False)
    assert refused.returncode == 2 and "model=gan" in refused.stderr and len(refused.stderr.splitlines()) == 1
    assert not (tmp_path / "runs").exists()


@pytest.mark.slow
def test_digits_projection_gan(genexp, tmp_path):
    genexp("train", "experiment=digits_projection_gan", "logger=none", "score_every=0", "run_dir=run")
    metrics = Run(tmp_path / "run").scores()[-1]["metrics"]
    assert metrics["class_accuracy"] > 0.9
    assert metrics["fd32c_class"] < 5
    assert metrics["coverage"] > 0.75


@pytest.mark.slow
def test_ring8_conditional_gan(genexp, tmp_path):
    genexp("train", "experiment=ring8_conditional_gan", "logger=none", "score_every=0", "run_dir=run")
    metrics = Run(tmp_path / "run").scores()[-1]["metrics"]
    assert metrics["class_accuracy"] > 0.98
    assert metrics["modes_strict"] == 8


@pytest.mark.slow
def test_digits_info_gan_finds_classes(genexp, tmp_path):
    """Each value of the code is given the digit that it means most: chance would be right for one in ten or so."""
    genexp("train", "experiment=digits_info_gan", "logger=none", "score_every=0", "run_dir=run")
    trained = load_trained(Run(tmp_path / "run"))
    ref = configs.build(trained.config.dataset, "dataset").split("ref")
    with torch.no_grad():
        guess = trained.model.guess(ref.x)
    counts = np.zeros((10, 10))
    np.add.at(counts, (guess.numpy(), ref.y.numpy()), 1)
    matched = counts[linear_sum_assignment(-counts)].sum() / len(ref.y)
    assert matched > 0.3
