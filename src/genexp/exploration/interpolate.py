"""Paths between pairs of latents, decoded."""

from genexp.exploration.paths import between
from genexp.exploration.subject import Subject
from genexp.training.randomness import mix


def explore(subject: Subject, pairs: int, steps: int, path: str) -> None:
    """A row for each pair of latents, from the first to the second.

    Arguments:
        subject: the trained model.
        pairs: how many.
        steps: of each path, both ends included.
        path: `linear`, `spherical` or `cos-sin`.
    """
    first, second = subject.latents(pairs), subject.latents(pairs, mix(subject.seed, 1))
    z = between(path, first, second, steps)  # (pairs, steps, d)
    classes = subject.classes(pairs)
    x = subject.decode(z, classes)
    subject.picture(f"interpolate-{path}", x, f"{path} paths between latents")
    subject.numbers(f"interpolate-{path}", {"path": path}, latents=z, samples=x, classes=classes)
