"""`genexp explore`: each exploration of images and of points, what it writes and what it refuses."""

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file
from tests.untrained import DIGITS, POINTS, run_of

from genexp.assembly import load_trained
from genexp.commands.explore import WHAT, main, read_arguments
from genexp.errors import UserError

QUICK = {
    "interpolate": ["pairs=3", "steps=5"],
    "walk": ["tiles=3", "keyframes=2", "steps=3"],
    "reconstruct": ["n=4"],
    "invert": ["n=3", "steps=5", "restarts=2"],
    "directions": ["count=2", "steps=3"],
    "neighbours": ["n=60", "count=4"],
}


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    return run_of(tmp_path_factory.mktemp("images") / "run", *DIGITS, "model=vae", "evaluation.n=100")


@pytest.fixture(scope="module")
def points(tmp_path_factory):
    return run_of(tmp_path_factory.mktemp("points") / "run", *POINTS, "model=vae")


def explore(run, what, *settings):
    before = set((run.folder / "exploration").glob("*"))
    assert main([str(run.folder), f"what={what}", *(settings or QUICK[what])]) == 0
    return {path.suffix: path for path in set((run.folder / "exploration").glob("*")) - before}


@pytest.mark.parametrize(
    ("what", "rows", "columns"),
    [("interpolate", 3, 5), ("reconstruct", 2, 4), ("invert", 2, 3), ("directions", 2, 3)],
)
def test_sheets_of_images_have_their_rows_and_columns(images, what, rows, columns, capsys):
    found = explore(images, what)
    assert set(found) == {".png", ".safetensors"}
    with Image.open(found[".png"]) as sheet:
        assert sheet.size == (columns * 33 + 1, rows * 33 + 1)
    out = capsys.readouterr().out
    assert all(path.name in out for path in found.values())


def test_paths_begin_and_end_at_latents_and_are_decoded(images):
    tensors = load_file(explore(images, "interpolate", "pairs=2", "steps=4", "path=cos-sin", "seed=9")[".safetensors"])
    z = tensors["latents"]
    torch.testing.assert_close(z[:, 1], 0.75**0.5 * z[:, 0] + 0.5 * z[:, 3])
    model = load_trained(images).model
    with torch.no_grad():
        torch.testing.assert_close(model.decode(z.flatten(0, 1)), tensors["samples"].flatten(0, 1))


def test_reconstructions_are_of_the_reference_split(images):
    tensors = load_file(explore(images, "reconstruct", "n=6", "seed=1")[".safetensors"])
    trained = load_trained(images)
    with torch.no_grad():
        torch.testing.assert_close(trained.model.reconstruct(tensors["x"]), tensors["reconstructions"])
    grey = (tensors["x"] + 1) * 8
    assert torch.equal(grey, grey.round())


def test_a_walk_is_a_film_without_a_seam(images):
    found = explore(images, "walk")
    with Image.open(found[".gif"]) as film:
        assert film.n_frames == 6 and film.size == (2 * 33 + 1, 2 * 33 + 1)


def test_neighbours_are_training_images(images, cache, monkeypatch):
    monkeypatch.setenv("GENEXP_CACHE", str(cache))
    found = explore(images, "neighbours")
    strip = np.asarray(Image.open(found[".png"]))
    assert strip.shape == (2 * 33 + 1, 4 * 33 + 1)
    below = (strip[34:66].astype(float) / 255 * 16)[:, 1:]  # real images: 17 grey levels
    assert np.abs(below - below.round()).max() < 0.04


def test_what_is_found_is_a_function_of_the_seed(images):
    first, again = (
        load_file(explore(images, "invert", *QUICK["invert"], seed)[".safetensors"]) for seed in ("seed=5", "seed=6")
    )
    before = explore(images, "invert", *QUICK["invert"], "of=samples", "seed=5")[".safetensors"]
    kept = before.read_bytes()
    main([str(images.folder), "what=invert", *QUICK["invert"], "of=samples", "seed=5"])
    assert before.read_bytes() == kept
    assert torch.equal(first["x"], again["x"]) and not torch.equal(first["latents"], again["latents"])


@pytest.mark.parametrize("what", ["interpolate", "reconstruct", "invert", "directions"])
def test_points_are_paths_in_the_plane(points, what):
    with Image.open(explore(points, what)[".png"]) as picture:
        assert picture.size == (480, 480)
        blue = np.asarray(picture.convert("RGB"))
    assert ((blue[..., 2] > 150) & (blue[..., 0] < 80)).any()  # the first path's colour


def test_there_are_no_more_directions_than_latents_have_dimensions(points):
    tensors = load_file(explore(points, "directions", "count=9", "seed=4")[".safetensors"])
    assert tensors["directions"].shape == (3, 3)


@pytest.mark.parametrize("what", ["walk", "neighbours"])
def test_what_is_shown_of_images_alone_is_refused_for_points(points, what):
    with pytest.raises(UserError, match="of images"):
        main([str(points.folder), f"what={what}"])


def test_a_family_that_does_not_encode_is_told_to_invert(tmp_path):
    run = run_of(tmp_path / "run", *POINTS, "model=gan")
    with pytest.raises(UserError, match="take what=invert"):
        main([str(run.folder), "what=reconstruct"])
    assert not (run.folder / "exploration").exists()


def test_points_of_many_dimensions_are_refused(tmp_path):
    means = "dataset.density.means=[[0,0,0],[2,2,2]]"
    shape = ["dataset=gaussian_mixture", means, "dataset.shape=[3]", "dataset.num_classes=2"]
    run = run_of(tmp_path / "run", *shape, *POINTS[1:], "model=gan")
    with pytest.raises(UserError, match="images and points in the plane"):
        main([str(run.folder)])


def test_classes_are_rows(tmp_path):
    run = run_of(tmp_path / "run", *DIGITS, "model=conditional_gan")
    tensors = load_file(explore(run, "interpolate", "pairs=3", "steps=2", "class=7,0")[".safetensors"])
    assert tensors["classes"].tolist() == [7, 0, 7]
    for what in ("invert", "directions", "walk"):
        explore(run, what, *QUICK[what], "seed=2")
    with pytest.raises(UserError, match="give one of 0 to 9"):
        main([str(run.folder), "class=10"])


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["run", "what=walks"], "choose one of interpolate"),
        (["run", "film=mp4"], "There is no setting film"),
        (["run", "what=walk", "film=mp3"], "choose gif or mp4"),
        (["run", "what=invert", "of=nothing"], "choose data or samples"),
        (["run", "what=invert", "n=501"], "more than the 500 data of the ref split"),
        (["run", "pairs=0"], "give at least 1"),
        (["run", "path=bent"], "choose one of linear"),
        (["run", "what=directions", "reach=0"], "reach of more than 0"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_wrong_settings_are_refused(images, words, sentence):
    with pytest.raises(UserError, match=sentence):
        main([str(images.folder), *words[1:]])


def test_every_exploration_is_documented_in_the_help(capsys):
    main(["--help"])
    text = capsys.readouterr().out
    for what, settings in WHAT.items():
        line = next(line for line in text.splitlines() if line.startswith(f"  what={what} "))
        assert all(f"{key}=" in line for key in settings)
        assert read_arguments(["run", f"what={what}"])[1] == what
