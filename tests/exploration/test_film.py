"""Films are read back, frame by frame."""

import numpy as np
import pytest
from PIL import Image

from genexp.errors import UserError
from genexp.exploration import film

FRAMES = [np.full((20, 31), grey, dtype=np.uint8) for grey in (0, 80, 160, 240)]


def test_a_gif_has_its_frames_its_time_and_no_end(tmp_path):
    film.write_film(FRAMES, 10, tmp_path / "walk.gif")
    with Image.open(tmp_path / "walk.gif") as gif:
        assert gif.n_frames == 4 and gif.size == (31, 20)
        assert gif.info["loop"] == 0 and gif.info["duration"] == 100
        for i, grey in enumerate((0, 80, 160, 240)):
            gif.seek(i)
            assert (np.asarray(gif.convert("L")) == grey).all()
    assert len(list(tmp_path.iterdir())) == 1


@pytest.mark.parametrize("colour", [False, True])
def test_an_mp4_has_its_frames_and_its_time(tmp_path, colour):
    imageio_ffmpeg = pytest.importorskip("imageio_ffmpeg")
    frames = [np.stack([frame, frame, frame], axis=2) if colour else frame for frame in FRAMES]
    film.write_film(frames, 10, tmp_path / "walk.mp4")
    reader = imageio_ffmpeg.read_frames(str(tmp_path / "walk.mp4"))
    facts = next(reader)
    assert facts["fps"] == 10 and facts["size"] == (32, 20)
    pictures = [np.frombuffer(frame, dtype=np.uint8).reshape(20, 32, 3) for frame in reader]
    assert len(pictures) == 4
    for picture, grey in zip(pictures, (0, 80, 160, 240), strict=True):
        assert abs(float(picture[2:-2, 2:-4].mean()) - grey) < 4


def test_what_cannot_be_written_is_refused_before(monkeypatch):
    film.check_film("gif", 12)
    with pytest.raises(UserError, match="choose gif or mp4"):
        film.check_film("webm", 12)
    with pytest.raises(UserError, match="fps=60"):
        film.check_film("gif", 60)
    monkeypatch.setattr(film, "find_spec", lambda name: None)
    with pytest.raises(UserError, match=r"genexp\[video\]"):
        film.check_film("mp4", 12)
