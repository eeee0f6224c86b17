"""Samples above the training images that they are nearest to."""

import numpy as np

from genexp.assembly import prepared_protocol
from genexp.errors import UserError
from genexp.exploration.subject import Subject
from genexp.models.sampling import draw
from genexp.reporting.grid import neighbour_strip


def explore(subject: Subject, n: int, count: int) -> tuple[str, float]:
    """Some of `n` samples, from the nearest to the farthest of their training images; the least ratio of distances.

    Arguments:
        subject: the trained model.
        n: samples to choose from; the scorer looks at 1000 at most.
        count: how many to show.

    Raises:
        UserError: if the data are points.
    """
    if not subject.shows_images:
        raise UserError("Nearest training data are shown of images: the scores of points say how near they are.")
    _, protocol = prepared_protocol(subject.trained.config)
    samples = draw(subject.model, n, subject.seed, y=subject.classes(n))
    found = protocol.neighbours(samples, count)
    if found is None:
        raise UserError("Some samples are not finite: nothing is near them.")
    neighbour_strip(found, subject.place("neighbours", ".png"))
    return "nearest", float(np.min(found.ratio))
