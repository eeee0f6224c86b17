"""`genexp dynamics`: the picture, the numbers and the table, of games and of a trained run."""

import json
import uuid

import pytest
from PIL import Image
from tests.cases import TINY

from genexp import config as configs
from genexp.assembly import build_model
from genexp.cli import main
from genexp.dynamics import spectrum
from genexp.runs import Run
from genexp.storage.mirror import Mirror
from genexp.storage.store import Store
from genexp.training import checkpoint


@pytest.fixture(autouse=True)
def folders(monkeypatch, tmp_path, cache):
    monkeypatch.setenv("GENEXP_OUTPUT", str(tmp_path / "runs"))
    monkeypatch.setenv("GENEXP_CACHE", str(cache))
    monkeypatch.setenv("COLUMNS", "160")
    monkeypatch.chdir(tmp_path)


def test_of_a_game(tmp_path, capsys):
    assert main(["dynamics", "loss=wasserstein", "plan=extragradient", "steps=60", "out=here"]) == 0
    printed = capsys.readouterr().out
    assert "converges" in printed
    assert "here/portrait.png" in printed
    numbers = json.loads((tmp_path / "here" / "dynamics.json").read_text())
    assert numbers["verdict"] == "converges"
    assert numbers["spectral_radius"] == pytest.approx((0.99**2 + 0.01) ** 0.5, abs=1e-10)
    assert numbers["eigenvalues_flow"] == [[pytest.approx(0, abs=1e-10), pytest.approx(1)], [pytest.approx(0), -1.0]]
    assert numbers["trajectory"]["steps"] == 60
    assert numbers["config"]["plan"]["_target_"].endswith("Extragradient")
    image = Image.open(tmp_path / "here" / "portrait.png")
    assert image.width > image.height > 200
    assert len(set(image.convert("RGB").getdata())) > 50  # lines of several colours, not an empty frame


def test_the_same_choice_has_the_same_folder_and_numbers(tmp_path):
    words = ["dynamics", "game=gaussian", "optimizer=adam", "optimizer.lr=0.01", "steps=20", "trajectories=1"]
    assert main(words) == 0
    (first,) = (tmp_path / "runs" / "dynamics").iterdir()
    before = (first / "dynamics.json").read_bytes()
    assert main(words) == 0
    assert [*(tmp_path / "runs" / "dynamics").iterdir()] == [first]
    assert (first / "dynamics.json").read_bytes() == before
    assert json.loads(before)["spectral_radius"] is None


def test_nothing_is_written_for_what_is_refused(tmp_path, capsys):
    assert main(["dynamics", "plan=minimize"]) == 2
    assert main(["dynamics", "--nonsense"]) == 2
    assert main(["dynamics", "runs/none"]) == 2
    assert not (tmp_path / "runs").exists()
    assert all(line.startswith("genexp: ") for line in capsys.readouterr().err.splitlines())


def saved_run(folder, *overrides) -> str:
    """A run with a checkpoint of its first weights."""
    composed = configs.compose_train([*TINY, "model.latent_dim=2", *overrides, "name=x"])
    run = Run(folder)
    run.create(composed.plain, composed.choices)
    checkpoint.save(run.checkpoints, 3, {"model": build_model(composed.config).state_dict(), "ema": {}}, keep=1)
    return str(folder)


def test_of_a_trained_run(tmp_path, capsys, monkeypatch):
    """The leading eigenvalues without the matrix are those of the matrix."""
    run = saved_run(tmp_path / "gan")
    assert main(["dynamics", run, "eigenvalues=3", "batch=64"]) == 0
    assert "leading eigenvalues" in capsys.readouterr().out
    numbers = json.loads((tmp_path / "gan" / "dynamics" / "dynamics.json").read_text())
    assert numbers["step"] == 3
    assert numbers["parameters"] > spectrum.DENSE
    assert numbers["gradient_norms"]["critic"] > 0
    assert (tmp_path / "gan" / "dynamics" / "spectrum.png").is_file()
    monkeypatch.setattr(spectrum, "DENSE", 10**6)
    assert main(["dynamics", run, "eigenvalues=3", "batch=64"]) == 0
    exact = json.loads((tmp_path / "gan" / "dynamics" / "dynamics.json").read_text())["eigenvalues_flow"]
    for (real, _), (expected, _) in zip(numbers["eigenvalues_flow"], exact, strict=True):
        assert real == pytest.approx(expected, abs=1e-4)


def test_of_a_run_at_an_address(tmp_path, monkeypatch):
    monkeypatch.setenv("GENEXP_CACHE", str(tmp_path / "cache"))
    address = f"memory://{uuid.uuid4().hex}/gan"
    saved_run(tmp_path / "gan")
    Mirror(tmp_path / "gan", Store(address)).send()
    assert main(["dynamics", address, "eigenvalues=3", "batch=64"]) == 0
    numbers = json.loads(Store(address).read("dynamics/dynamics.json"))
    assert len(numbers["eigenvalues_flow"]) == 3 and numbers["weights"] == "raw"
    assert "dynamics/spectrum.png" in Store(address).listing()


def test_what_a_run_cannot_give_is_refused(tmp_path, capsys):
    run = saved_run(tmp_path / "gan")
    for words, sentence in (
        (["batch=99999999"], "give at most that"),
        (["eigenvalues=100000"], "parameters have"),
        (["weights=best"], "choose ema or raw"),
        (["eigenvalues=0"], "at least 1"),
        (["seed=-1"], "at least 0"),
    ):
        assert main(["dynamics", run, *words]) == 2
        assert sentence in capsys.readouterr().err
    other = saved_run(tmp_path / "vae", "model=vae", "loss=elbo", "plan=minimize")
    assert main(["dynamics", other]) == 2
    assert "one player" in capsys.readouterr().err
    assert not (tmp_path / "gan" / "dynamics").exists()
