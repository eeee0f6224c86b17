"""Games as `genexp dynamics` builds them, and the closed forms of their steps."""

import numpy as np
import torch

from genexp import config as configs
from genexp.dynamics.arena import build
from genexp.dynamics.settings import PARTS, compose_dynamics
from genexp.dynamics.spectrum import spectrum
from genexp.dynamics.verdict import Path, judge

H = 0.1


def arena(*overrides):
    config = compose_dynamics(overrides).config
    return build({part: configs.build(config[part], part) for part in PARTS})


def eigenvalues(*overrides):
    """The spectrum of a game, and its update map's eigenvalues in a fixed order."""
    game, built = arena(*overrides)
    return spectrum(built, game.equilibrium)


def verdict(*overrides, steps=400):
    game, built = arena(*overrides)
    states = built.trajectory(game.start, steps)
    path = Path((states - game.equilibrium).norm(dim=1).numpy(), steps)
    return judge(spectrum(built, game.equilibrium), path), path


def same_numbers(one, other, tolerance=1e-10):
    """Whether two lists of complex numbers are the same up to their order."""
    one, other = list(np.asarray(one, complex)), list(np.asarray(other, complex))
    if len(one) != len(other):
        return False
    for value in one:
        nearest = min(other, key=lambda found: abs(found - value))
        if abs(nearest - value) > tolerance:
            return False
        other.remove(nearest)
    return True


def turn(omega, damping=0.0, h=H):
    """Simultaneous and alternating steps of phi' = -omega theta - damping phi, theta' = omega phi: their matrices."""
    critic = np.array([[1 - h * damping, -h * omega], [0, 1]])
    generator = np.array([[1, 0], [h * omega, 1]])
    return critic + generator - np.eye(2), generator @ critic


def roots(*coefficients):
    return np.roots(coefficients)


def double(values):
    return torch.tensor(values, dtype=torch.float64)
