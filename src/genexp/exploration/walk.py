"""A closed walk through latents as a film."""

import math

import numpy as np
import torch

from genexp.errors import UserError
from genexp.exploration.film import check_film, write_film
from genexp.exploration.paths import loop
from genexp.exploration.subject import Subject
from genexp.reporting.grid import image_grid
from genexp.training.randomness import mix


def explore(subject: Subject, tiles: int, keyframes: int, steps: int, fps: int, path: str, film: str) -> None:
    """A film of a sheet of images, each on its own walk from latent to latent and back to the first.

    Arguments:
        subject: the trained model.
        tiles: images in the sheet.
        keyframes: latents of each walk.
        steps: frames from one to the next.
        fps: frames a second.
        path: the path between two, `linear`, `spherical` or `cos-sin`.
        film: `gif` or `mp4`.

    Raises:
        UserError: if the data are no images, or the film cannot be written here.
    """
    if not subject.shows_images:
        raise UserError("A walk is a film of images: take what=interpolate for points in the plane.")
    check_film(film, fps)
    drawn = [subject.latents(tiles, mix(subject.seed, frame)) for frame in range(keyframes)]
    z = loop(path, torch.stack(drawn), steps)  # (tiles, frames, d)
    classes = subject.classes(tiles)
    x = subject.decode(z, classes).transpose(0, 1)  # (frames, tiles, *shape)
    columns = math.ceil(math.sqrt(tiles))
    frames = [np.asarray(image_grid(sheet, columns=columns)) for sheet in x]
    write_film(frames, fps, subject.place(f"walk-{path}", f".{film}"))
