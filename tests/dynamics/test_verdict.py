"""The verdict, for the combinations that theory decides; the trajectories are those of genexp's own plans."""

import math

import numpy as np
import pytest
from tests.dynamics.cases import arena, verdict

from genexp.dynamics.spectrum import Spectrum
from genexp.dynamics.verdict import Path, judge

SIMULTANEOUS, ALTERNATING = "plan=simultaneous", "plan=alternating"

DECIDED = [
    ("diverges", ["loss=wasserstein", SIMULTANEOUS]),
    ("diverges", ["loss=hinge", SIMULTANEOUS]),
    ("diverges", ["loss=non_saturating", SIMULTANEOUS]),
    ("diverges", ["loss=saturating", SIMULTANEOUS]),
    ("diverges", ["loss=least_squares", SIMULTANEOUS]),
    ("diverges", ["loss=wasserstein", "plan=single_loss"]),
    ("diverges", ["loss=wasserstein", "plan=gradient_reversal"]),
    ("circles", ["loss=wasserstein", ALTERNATING]),
    ("circles", ["loss=hinge", ALTERNATING]),
    ("circles", ["loss=non_saturating", ALTERNATING]),
    ("circles", ["loss=saturating", ALTERNATING]),
    ("converges", ["loss=non_saturating", "penalty=r1", SIMULTANEOUS]),
    ("converges", ["loss=non_saturating", "penalty=r1", ALTERNATING]),
    ("converges", ["loss=hinge", "penalty=r1", ALTERNATING]),
    ("converges", ["loss=wasserstein", "penalty=r2", ALTERNATING]),
    ("converges", ["loss=wasserstein", "penalty=gp", "penalty.gp.target=0", "penalty.gp.weight=0.2"]),
    ("circles", ["loss=wasserstein", "penalty=gp", "penalty.gp.weight=0.2"]),
    ("converges", ["loss=wasserstein", "plan=extragradient"]),
    ("converges", ["loss=wasserstein", "plan=consensus", "plan.weight=0.2"]),
    ("converges", ["loss=wasserstein", "plan=unrolled"]),
    ("converges", ["loss=wasserstein", SIMULTANEOUS, "optimizer=optimistic_sgd"]),
    ("converges", ["loss=wasserstein", ALTERNATING, "optimizer=negative_momentum"]),
    ("diverges", ["loss=wasserstein", ALTERNATING, "optimizer=sgd", "optimizer.momentum=0.5"]),
    ("diverges", ["loss=wasserstein", SIMULTANEOUS, "optimizer=negative_momentum"]),
    ("converges", ["game=scale", "loss=non_saturating", SIMULTANEOUS]),
    ("diverges", ["game=scale", "loss=wasserstein", SIMULTANEOUS]),
    ("converges", ["game=gaussian", "loss=non_saturating", ALTERNATING]),
    ("circles", ["game=gaussian", "loss=wasserstein", ALTERNATING]),
]


@pytest.mark.parametrize(("word", "overrides"), DECIDED, ids=lambda value: value if isinstance(value, str) else None)
def test_what_theory_decides(word, overrides):
    found, path = verdict(*overrides)
    assert found.word == word, found.reason
    if word == "converges":
        assert path.end < path.start
    if word == "circles":
        assert path.end > 0.1 * path.start


@pytest.mark.parametrize(
    ("overrides", "rate"),
    [
        (["loss=wasserstein", SIMULTANEOUS], math.sqrt(1.01)),
        (["loss=non_saturating", "penalty=r1", "penalty.r1.weight=0.3", SIMULTANEOUS], None),
        (["loss=wasserstein", "plan=extragradient"], math.sqrt(0.99**2 + 0.01)),
        (["loss=wasserstein", SIMULTANEOUS, "optimizer=optimistic_sgd"], None),
    ],
)
def test_the_trajectory_goes_as_the_spectral_radius_says(overrides, rate):
    from genexp.dynamics.spectrum import spectrum

    game, built = arena(*overrides)
    radius = spectrum(built, game.equilibrium).radius
    assert rate is None or radius == pytest.approx(rate, abs=1e-10)
    states = built.trajectory(game.equilibrium + 1e-3 * (game.start - game.equilibrium), 400)
    path = Path((states - game.equilibrium).norm(dim=1).numpy(), 400)
    assert path.growth == pytest.approx(radius, abs=4e-3)
    assert (path.growth > 1) == (radius > 1)


@pytest.mark.parametrize(
    ("overrides", "expected"),
    [
        (["loss=saturating"], 2.25358),
        (["loss=non_saturating"], 0.521108),
        (["loss=wasserstein"], math.sqrt(2) * 1.01**250),
        (["loss=non_saturating", "penalty=r1", "penalty.r1.weight=0.3"], 8.64e-4),
        (["loss=non_saturating", "penalty=r1", "penalty.r1.weight=1.0"], 8.3e-12),
    ],
)
def test_the_known_distances_after_500_simultaneous_steps(overrides, expected):
    """From (theta, phi) = (1, -1) with h = 0.1, of losses whose first steps are written out elsewhere."""
    game, built = arena("game.phi=-1.0", SIMULTANEOUS, *overrides)
    end = built.trajectory(game.start, 500)[-1].norm().item()
    assert end == pytest.approx(expected, rel=6e-3)


def test_a_one_centred_penalty_keeps_the_critic_s_slope_at_its_target():
    """In two dimensions the limit is a circle of radius 1 for both players."""
    game, built = arena(
        "loss=wasserstein", "penalty=gp", "penalty.gp.weight=0.5", "optimizer.lr=0.05",
        "game.phi=[0.1,0.2]", "game.theta=[0.2,0.1]",
    )  # fmt: skip
    states = built.trajectory(game.start, 1500)[-200:]
    critic, generator = states[:, :2].norm(dim=1), states[:, 2:].norm(dim=1)
    assert critic.numpy() == pytest.approx(np.ones(200), abs=0.05)
    assert generator.numpy() == pytest.approx(np.ones(200), abs=0.05)


def test_the_angular_momentum_of_the_non_saturating_dirac_gan_is_conserved():
    """L = theta x phi is .03, so that the radius cannot fall below sqrt(.03) for both."""
    game, built = arena("game.phi=[0.1,0.2]", "game.theta=[0.2,0.1]")
    states = built.trajectory(game.start, 600)
    phi, theta = states[:, :2], states[:, 2:]
    momentum = theta[:, 0] * phi[:, 1] - theta[:, 1] * phi[:, 0]
    assert momentum.numpy() == pytest.approx(np.full(601, 0.03), abs=1e-12)


def test_without_a_derivative_the_trajectory_decides():
    found, path = verdict("loss=non_saturating", "penalty=r1", "optimizer=adam", "optimizer.lr=1e-2")
    assert found.word == path.word
    assert "no derivative" in found.reason


def path_of(function, steps=400):
    return Path(np.array([function(t) for t in range(steps + 1)], dtype=float), steps)


@pytest.mark.parametrize(
    ("word", "function"),
    [
        ("converges", lambda t: 0.98**t),
        ("converges", lambda t: 0.98**t * (1.5 + math.cos(t))),
        ("converges", lambda t: max(0.9**t, 1e-17)),
        ("circles", lambda t: 1 + 0.4 * math.cos(0.1 * t)),
        ("circles", lambda t: 1 / math.sqrt(1 + 0.05 * t)),
        ("diverges", lambda t: 1.004**t),
    ],
)
def test_what_a_trajectory_does_by_itself(word, function):
    assert path_of(function).word == word


def test_numbers_that_overflow_diverge():
    path = Path(np.array([1.0, 2.0, np.inf]), 100)
    assert path.word == "diverges"
    assert path.end == math.inf
    assert "overflowed after 2 steps" in judge(Spectrum(np.array([0j]), None), path).reason


def test_the_radius_decides_before_the_trajectory():
    """Repelled from the equilibrium onto a cycle, the trajectory may come nearer than it began: it diverges."""
    found, path = verdict("loss=non_saturating", SIMULTANEOUS, steps=500)
    assert path.end < path.start
    assert found.word == "diverges"
    assert "above 1" in found.reason
