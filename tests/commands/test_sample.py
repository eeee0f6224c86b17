"""`genexp sample`: the files that it leaves, and what it refuses."""

import json

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors import safe_open
from safetensors.torch import load_file
from tests.untrained import DIGITS, POINTS, run_of

from genexp.assembly import load_trained
from genexp.commands.sample import main
from genexp.errors import UserError
from genexp.models.sampling import draw


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    return run_of(tmp_path_factory.mktemp("images") / "run", *DIGITS, "model=gan")


def only(folder, ending):
    (found,) = folder.glob(f"*{ending}")
    return found


def test_latents_decode_to_the_samples_of_all_three_files(images, tmp_path, capsys):
    assert main([str(images.folder), "n=10", "seed=3", "temperature=0.5", f"out={tmp_path / 'some'}"]) == 0
    model = load_trained(images).model
    tensors, numbers = load_file(only(tmp_path, ".safetensors")), np.load(only(tmp_path, ".npz"))
    with torch.no_grad():
        assert torch.equal(model.decode(tensors["latents"]), tensors["samples"])
    assert torch.equal(tensors["samples"], draw(model, 10, 3, temperature=0.5))
    assert (numbers["samples"] == tensors["samples"].numpy()).all() and numbers["seed"] == 3
    with safe_open(only(tmp_path, ".safetensors"), "pt") as file:
        facts = json.loads(file.metadata()["genexp"])
    assert facts["temperature"] == 0.5 and facts["run"] == "run" and facts["weights"] == "raw"
    with Image.open(only(tmp_path, ".png")) as sheet:
        assert sheet.size == (4 * 33 + 1, 3 * 33 + 1)
    assert "some.safetensors of latents (10, 3)" in capsys.readouterr().out.replace("\n", " ")


def test_a_truncated_draw_has_a_name_and_latents_of_its_own(images):
    widest = {}
    for settings, name in (([], ""), (["truncation=0.5"], "-psi0.5"), (["truncation=1"], "-psi1")):
        main([str(images.folder), "n=200", *settings])
        drawn = load_file(images.samples / f"sample-raw-seed0-n200-t1.0{name}.safetensors")
        widest[name] = float(drawn["latents"].abs().max())
    assert widest["-psi0.5"] <= 0.5 < widest["-psi1"] <= 1.0 < widest[""]


def test_classes_stand_in_columns(tmp_path):
    run = run_of(tmp_path / "run", *DIGITS, "model=conditional_gan")
    main([str(run.folder), "n=7", "class=4,1", f"out={tmp_path / 'some'}"])
    tensors = load_file(tmp_path / "some.safetensors")
    assert tensors["classes"].tolist() == [4, 1, 4, 1, 4, 1, 4]
    with torch.no_grad():
        again = load_trained(run).model.decode(tensors["latents"], tensors["classes"])
    assert torch.equal(again, tensors["samples"])
    with Image.open(tmp_path / "some.png") as sheet:
        assert sheet.size == (2 * 33 + 1, 4 * 33 + 1)
    with pytest.raises(UserError, match="give one of 0 to 9"):
        main([str(run.folder), "class=10"])


def test_points_are_scattered(tmp_path):
    run = run_of(tmp_path / "run", *POINTS, "model=vae")
    main([str(run.folder), "n=10"])
    assert load_file(only(run.samples, ".safetensors"))["samples"].shape == (10, 2)


@pytest.mark.parametrize("setting", ["n=0", "truncation=0", "truncation=yes", "truncation=a", "temperature=-1.0"])
def test_what_is_out_of_range_is_refused_before_anything_is_written(tmp_path, setting):
    with pytest.raises(UserError, match=setting.split("=")[0]):
        main([str(tmp_path / "nowhere"), setting])
