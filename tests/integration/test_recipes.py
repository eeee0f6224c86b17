"""What the recipes promise; minutes each, run by `make bench`."""

import pytest

from genexp.runs import Run


@pytest.mark.slow
@pytest.mark.parametrize("seed", [0, 1])
def test_digits_dcgan(seed, genexp, tmp_path):
    """Far below a single Gaussian (1.4), without copying."""
    genexp("train", "experiment=digits_dcgan", f"seed={seed}", "logger=none", "run_dir=run")
    metrics = Run(tmp_path / "run").scores()[-1]["metrics"]
    assert metrics["fd32c"] <= 0.4
    assert metrics["coverage"] >= 0.85
    assert metrics["copy_rate"] <= 0.02


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(5))
def test_ring8_gan(seed, genexp, tmp_path):
    """Every mode, and at least 95 % of the samples within three standard deviations of one."""
    genexp("train", "experiment=ring8_gan", f"seed={seed}", "logger=none", "run_dir=run")
    metrics = Run(tmp_path / "run").scores()[-1]["metrics"]
    assert metrics["modes"] == metrics["modes_strict"] == 8
    assert metrics["hq"] >= 0.95


@pytest.mark.slow
def test_digits_vae_beats_a_uniform_model(genexp, tmp_path):
    """A uniform model needs log2 17 = 4.0875 bits per dimension: the bound is below that."""
    genexp("train", "experiment=digits_vae", "logger=none", "run_dir=run")
    metrics = Run(tmp_path / "run").scores()[-1]["metrics"]
    assert metrics["bpd_kind"] == "lower bound"
    assert metrics["bpd"] < 4.0875
