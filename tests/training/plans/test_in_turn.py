"""Alternating updates on the Dirac-GAN, whose discrete trajectories are known, and on a small two-player game."""

import math

import pytest
import torch
from tests.games import DiracGAN, SmallGAN, linear_map
from torch import nn

from genexp.errors import UserError
from genexp.training.plans import Alternating, LongTurns, Minimize, Simultaneous
from genexp.training.players import Players, check_partition


def radius_generator_first(game, steps=500):
    """G C G C ... C: one generator step, `steps - 1` times (C, G), one critic step."""
    players = game.players()
    with players.only("generator"):
        players.backward(game.generator_loss({}, game.generate({})), "generator")
    players.apply("generator")
    for _ in range(steps - 1):
        Alternating().run(game, players, [{}])
    players.backward(game.critic_loss({}, game.generate({}).detach()), "critic")
    players.apply("critic")
    return math.hypot(*game.state.tolist())


@pytest.mark.parametrize(
    ("kind", "gamma", "simultaneous", "generator_first"),
    [
        ("minimax", 0.0, 2.25358, 1.41544),
        ("non-saturating", 0.0, 0.521108, 0.390187),
        ("wasserstein", 0.0, math.sqrt(2) * 1.01**250, 1.41026),
        ("non-saturating", 0.3, 8.64e-4, 4.36e-4),
        ("non-saturating", 1.0, 8.3e-12, 7.6e-10),
    ],
)
def test_dirac_gan_radius_after_500_steps(kind, gamma, simultaneous, generator_first):
    """From (theta, phi) = (1, -1), h = 0.1: explicit Euler spirals outwards, symplectic Euler stays on its orbit."""
    assert DiracGAN(kind, gamma).radius(Simultaneous()) == pytest.approx(simultaneous, rel=6e-3)
    assert radius_generator_first(DiracGAN(kind, gamma)) == pytest.approx(generator_first, rel=6e-3)


def test_shared_fakes_change_nothing_when_the_generator_is_deterministic():
    shared, fresh = DiracGAN("minimax"), DiracGAN("minimax")
    assert shared.radius(Alternating(share_fakes=True), 50) == fresh.radius(Alternating(share_fakes=False), 50)


def test_order_of_updates():
    game = DiracGAN("minimax")
    game.radius(Alternating(critic=3, generator=2), steps=1)
    assert game.log == ["critic"] * 3 + ["generator"] * 2
    assert Alternating(critic=3).sub_batches == 3


@pytest.mark.parametrize("h", [0.1, 0.7])
def test_the_linear_map_of_the_bilinear_game(h):
    """It is phi' = phi - h theta, theta' = theta + h phi': trace 2 - h², determinant 1, a rotation."""
    found = linear_map(Alternating(), h)
    torch.testing.assert_close(found, torch.tensor([[1, -h], [h, 1 - h * h]], dtype=torch.float64))
    eigenvalues = torch.linalg.eigvals(found)
    torch.testing.assert_close(eigenvalues.abs(), torch.ones(2, dtype=torch.float64))
    torch.testing.assert_close(eigenvalues.real, torch.full((2,), 1 - h * h / 2, dtype=torch.float64))


@pytest.mark.parametrize(("factor", "first", "every"), [(20, 25, 500), (3, 2, 4), (4, 0, 3), (2, 5, 0), (1, 3, 2)])
def test_long_turns_are_those_of_the_loop_that_counts_generator_updates(factor, first, every):
    turns = LongTurns(factor, first, every)
    expected = []
    for update in range(1100):
        long = update < first or (every and update % every == 0)
        expected += [False] * (factor - 1 if long else 0) + [True]
    assert [turns.generator_moves(step) for step in range(len(expected))] == expected


def test_a_step_of_a_long_turn_leaves_the_generator_alone():
    game = DiracGAN("minimax")
    states = game.trajectory(Alternating(critic=2, long_turns=LongTurns(factor=3, first=1, every=0)), 4)
    assert game.log == ["critic"] * 6 + ["generator"] + ["critic"] * 2 + ["generator"]
    assert states[0, 1] == states[2, 1] != states[3, 1]


def test_a_generator_that_waits_shows_no_gradient_of_an_earlier_step():
    """A run that goes on from a checkpoint has none either."""
    game = SmallGAN()
    plan, players = Alternating(long_turns=LongTurns(factor=2, first=9, every=0)), game.players()
    for step, moves in enumerate((False, True, False)):
        plan.run(game, players, [game.batch], step)
        assert all((p.grad is not None) == moves for p in game.generator.parameters())


class Recorder:
    """Counts what each loss sees; gradients must reach one player only."""

    def __init__(self):
        self.generator, self.critic = nn.Linear(2, 2), nn.Linear(2, 1)
        self.seen: list[tuple[str, float]] = []
        self.references: list[torch.Tensor | None] = []

    def generate(self, batch):
        return self.generator(batch.get("latents", batch["x"]))

    def with_latents(self, batch):
        return {**batch, "latents": torch.full_like(batch["x"], 7.0)}

    def critic_loss(self, batch, fakes):
        assert not fakes.requires_grad
        self.seen.append(("critic", batch["x"].sum().item()))
        return self.critic(fakes).mean() - self.critic(batch["x"]).mean()

    def generator_loss(self, batch, fakes):
        assert fakes.requires_grad
        self.references.append(batch.get("reference"))
        self.seen.append(("generator", batch["x"].sum().item()))
        return -self.critic(fakes).mean()

    def updated(self, player):
        pass


@pytest.mark.parametrize("plan", [Alternating(critic=2), Alternating(critic=2, share_fakes=False), Simultaneous()])
def test_each_loss_moves_its_own_player_alone(plan):
    game = Recorder()
    optimizers = {
        "critic": torch.optim.SGD(game.critic.parameters(), lr=0.0),
        "generator": torch.optim.SGD(game.generator.parameters(), lr=0.0),
    }
    players = Players({"critic": game.critic, "generator": game.generator}, optimizers)
    batches = [{"x": torch.full((4, 2), float(i + 1))} for i in range(plan.sub_batches)]
    plan.run(game, players, batches)
    last = batches[-1]
    fakes = game.generator(last["x"])
    want = torch.autograd.grad(game.critic_loss(last, fakes.detach()), list(game.critic.parameters()))
    got = [p.grad for p in game.critic.parameters()]
    assert all(torch.allclose(a, b) for a, b in zip(want, got, strict=True))
    want = torch.autograd.grad(game.generator_loss(last, fakes), list(game.generator.parameters()))
    got = [p.grad for p in game.generator.parameters()]
    assert all(torch.allclose(a, b) for a, b in zip(want, got, strict=True))
    assert all(p.requires_grad for p in (*game.critic.parameters(), *game.generator.parameters()))
    sums = [total for player, total in game.seen[: plan.sub_batches] if player == "critic"]
    assert sums == [8.0 * (i + 1) for i in range(plan.sub_batches)]  # every critic update saw fresh data


@pytest.mark.parametrize("share", [True, False])
def test_the_generators_updates_may_take_the_same_latents(share):
    """They all see the fakes before the first of them as a reference, and the last critic update sees those too."""
    game = Recorder()
    optimizers = {name: torch.optim.SGD(getattr(game, name).parameters(), lr=0.1) for name in ("critic", "generator")}
    players = Players({"critic": game.critic, "generator": game.generator}, optimizers)
    plan = Alternating(generator=3, same_latents=True, share_fakes=share)
    assert plan.repeats_latents and not Alternating(same_latents=True).repeats_latents
    start = game.generator(torch.full((4, 2), 7.0)).detach()
    plan.run(game, players, [{"x": torch.ones(4, 2)}])
    assert len(game.references) == 3
    assert all(torch.equal(reference, start) for reference in game.references)
    assert not torch.equal(game.generator(torch.full((4, 2), 7.0)), start)


def test_minimize_is_gradient_descent():
    class Bowl(nn.Module):
        def __init__(self):
            super().__init__()
            self.w = nn.Parameter(torch.tensor(1.0))

        def loss(self, batch):
            return 0.5 * self.w**2

        def updated(self, player):
            pass

    bowl = Bowl()
    players = Players({"model": bowl}, {"model": torch.optim.SGD(bowl.parameters(), lr=0.1)})
    for _ in range(10):
        Minimize().run(bowl, players, [{}])
    assert bowl.w.item() == pytest.approx(0.9**10, rel=1e-6)


def test_impossible_plans_and_shared_parameters():
    with pytest.raises(UserError, match="plan.generator=1.5 updates nobody: give a whole number"):
        Alternating(generator=1.5)
    with pytest.raises(UserError, match="plan.critic=0"):
        Alternating(critic=0)
    with pytest.raises(UserError, match="plan.long_turns=0, 25, 500 are out of range"):
        LongTurns(factor=0)
    layer = nn.Linear(1, 1)
    with pytest.raises(UserError, match="belongs to both"):
        check_partition({"critic": layer, "generator": nn.Sequential(layer)})
