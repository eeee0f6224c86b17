"""Optimizers for games, against the recurrences that define them and their eigenvalues on the bilinear game."""

import copy

import numpy as np
import pytest
import torch
from tests.games import DiracGAN
from torch import nn

from genexp.errors import UserError
from genexp.training.game_optimizers import NegativeMomentum, OptimisticAdam, OptimisticSGD
from genexp.training.optimizers import OptimizerFactory
from genexp.training.plans import Alternating, Simultaneous


def annihilates(polynomial, states):
    """Whether sum_k c_k s_{t+k} = 0 for all t: then the roots are the eigenvalues of the recurrence."""
    n = len(states) - len(polynomial) + 1
    total = sum(c * states[k : k + n] for k, c in enumerate(polynomial))
    return total.abs().max() < 1e-12


def minimise(optimizer, steps, **options):
    """The path of one weight on a wavy slope."""
    weight = nn.Parameter(torch.tensor([1.5, -0.5], dtype=torch.float64))
    algorithm = optimizer([weight], **options)
    path = [weight.detach().clone()]
    for _ in range(steps):
        algorithm.zero_grad()
        (weight**2 + torch.sin(3 * weight)).sum().backward()
        algorithm.step()
        path.append(weight.detach().clone())
    return torch.stack(path)


def slope(w):
    return 2 * w + 3 * torch.cos(3 * w)


@pytest.mark.parametrize("c", [0.5, 1.0])
def test_optimistic_gradient_descent_is_its_recurrence(c):
    path = minimise(OptimisticSGD, 12, lr=0.05, extrapolation=c)
    torch.testing.assert_close(path[1], path[0] - 0.05 * slope(path[0]))
    for before, here, after in zip(path, path[1:], path[2:], strict=False):
        torch.testing.assert_close(after, here - 0.05 * ((1 + c) * slope(here) - c * slope(before)))


@pytest.mark.parametrize("implementation", ["loop", "foreach", "fused"])
def test_optimistic_adam_is_the_papers_recurrence(implementation):
    """It is theta - 2 h m/(sqrt v + eps) + h m'/(sqrt v' + eps), with the last step's m' and v'."""
    b1, b2, h = 0.5, 0.9, 0.05
    chosen = {"foreach": False} if implementation == "loop" else {implementation: True}
    path = minimise(OptimisticAdam, 12, lr=h, betas=(b1, b2), **chosen)
    w, m, v, last = path[0], 0.0, 0.0, None
    for t, expected in enumerate(path[1:], start=1):
        m, v = b1 * m + (1 - b1) * slope(w), b2 * v + (1 - b2) * slope(w) ** 2
        move = -h * (m / (1 - b1**t)) / ((v / (1 - b2**t)).sqrt() + 1e-8)
        w = w + 2 * move - (move if last is None else last)
        last = move
        torch.testing.assert_close(w, expected)


@pytest.mark.parametrize(
    ("optimistic", "plain"), [(OptimisticAdam, torch.optim.Adam), (OptimisticSGD, torch.optim.SGD)]
)
def test_without_extrapolation_it_is_the_optimizer_itself(optimistic, plain):
    assert torch.equal(minimise(optimistic, 9, lr=0.05, extrapolation=0.0), minimise(plain, 9, lr=0.05))


@pytest.mark.parametrize("h", [0.1, 0.3])
def test_optimism_on_the_bilinear_game(h):
    """With F a quarter turn, x² - x + h (2x - 1)(±i) = 0: modulus below 1 for h < 1/sqrt 3."""
    game = DiracGAN("wasserstein")
    states = game.trajectory(Simultaneous(), 40, game.players(h, OptimisticSGD))[1:]
    # (x² - x)² + h² (2x - 1)² from x^0 on
    polynomial = [h * h, -4 * h * h, 1 + 4 * h * h, -2.0, 1.0]
    assert annihilates(polynomial, states)
    assert abs(np.roots(polynomial[::-1])).max() < 1
    assert states[-1].norm() < states[0].norm()


@pytest.mark.parametrize(("h", "beta"), [(0.1, -0.5), (0.5, -0.3), (0.1, 0.5), (0.3, 0.0)])
def test_momentum_of_either_sign_in_alternating_updates_of_the_bilinear_game(h, beta):
    """(x - 1)² (x - beta)² + h² x³ = 0 (Gidel et al., 2018): inwards for beta < 0, outwards for beta > 0."""
    game = DiracGAN("wasserstein")
    states = game.trajectory(Alternating(), 60, game.players(h, NegativeMomentum, momentum=beta))
    s, p = -(1 + beta), beta  # (x - 1)(x - beta) = x² + s x + p
    polynomial = [p * p, 2 * s * p, s * s + 2 * p, 2 * s + h * h, 1.0]
    assert annihilates(polynomial, states[1:])
    early, late = states[20:40].norm(dim=1).max(), states[40:].norm(dim=1).max()
    assert (late < 0.99 * early) == (beta < 0)
    assert (late > 1.01 * early) == (beta > 0)


def test_momentum_is_torchs_where_torch_has_it():
    ours = minimise(NegativeMomentum, 9, lr=0.05, momentum=0.4)
    assert torch.equal(ours, minimise(torch.optim.SGD, 9, lr=0.05, momentum=0.4))


@pytest.mark.parametrize(
    ("name", "options"),
    [("OptimisticAdam", {}), ("OptimisticSGD", {"extrapolation": 0.5}), ("NegativeMomentum", {"momentum": -0.7})],
)
def test_saved_and_loaded_they_go_on_with_the_same_bits(name, options):
    factory = OptimizerFactory(f"genexp.training.game_optimizers.{name}", lr=0.05, **options)

    def steps(weight, optimizer, n):
        for _ in range(n):
            optimizer.zero_grad()
            (weight**2 + torch.sin(3 * weight)).sum().backward()
            optimizer.step()

    weight = nn.Parameter(torch.tensor([1.5, -0.5]))
    optimizer = factory("critic", [weight])
    steps(weight, optimizer, 3)
    other = nn.Parameter(weight.detach().clone())
    resumed = factory("critic", [other])
    resumed.load_state_dict(copy.deepcopy(optimizer.state_dict()))
    steps(weight, optimizer, 4), steps(other, resumed, 4)
    assert torch.equal(weight, other)


@pytest.mark.parametrize(
    ("name", "options", "word"),
    [
        ("OptimisticAdam", {"extrapolation": -1.0}, "extrapolation=-1.0 is negative"),
        ("OptimisticAdam", {"extrapolatoin": 1.0}, "extrapolatoin"),
        ("NegativeMomentum", {"momentum": -1.0}, r"momentum=-1.0 is not in \(-1, 1\)"),
        ("NegativeMomentum", {"nesterov": True}, "nesterov momentum is positive"),
    ],
)
def test_refusals(name, options, word):
    with pytest.raises(UserError, match=word):
        OptimizerFactory(f"genexp.training.game_optimizers.{name}", lr=0.1, **options)


def test_all_implementations_are_found_through_the_class_below():
    assert OptimizerFactory("genexp.training.game_optimizers.OptimisticAdam", lr=0.1).implementation == {"fused": True}


@pytest.mark.parametrize(
    ("algorithm", "ignores"),
    [
        ("torch.optim.Adam", True),
        ("torch.optim.RMSprop", True),
        ("genexp.training.game_optimizers.OptimisticAdam", True),
        ("torch.optim.SGD", False),
        ("genexp.training.game_optimizers.NegativeMomentum", False),
    ],
)
def test_who_ignores_the_scale_of_a_gradient(algorithm, ignores):
    assert OptimizerFactory(algorithm, lr=0.1).ignores_scale is ignores
