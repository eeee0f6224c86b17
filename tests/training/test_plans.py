"""Update plans on the Dirac-GAN, whose discrete trajectories are known, and on a small two-player game."""

import math

import pytest
import torch
from torch import nn
from torch.nn.functional import softplus

from genexp.errors import UserError
from genexp.training.plans import Alternating, Minimize, Simultaneous, SingleLoss
from genexp.training.players import Players, check_partition

LINK = {
    # (critic part on a fake score, generator part), real scores are D(0) = 0
    "minimax": (softplus, lambda f: -softplus(f)),
    "non-saturating": (softplus, lambda f: softplus(-f)),
    "wasserstein": (lambda f: f, lambda f: -f),
}


class DiracGAN(nn.Module):
    """Data at 0, fakes at theta, D(x) = phi x: the smallest GAN (Mescheder et al., 2018)."""

    def __init__(self, kind: str, gamma: float = 0.0):
        super().__init__()
        self.theta = nn.ParameterDict({"theta": nn.Parameter(torch.ones((), dtype=torch.float64))})
        self.phi = nn.ParameterDict({"phi": nn.Parameter(-torch.ones((), dtype=torch.float64))})
        self.critic_part, self.generator_part = LINK[kind]
        self.gamma = gamma
        self.log: list[str] = []

    def generate(self, batch):
        return self.theta["theta"] * 1.0

    def critic_loss(self, batch, fakes):
        return self.critic_part(self.phi["phi"] * fakes) + 0.5 * self.gamma * self.phi["phi"] ** 2

    def generator_loss(self, batch, fakes):
        return self.generator_part(self.phi["phi"] * fakes)

    def single_loss(self, batch, fakes, ratio):
        fake, cut = self.phi["phi"] * fakes, self.phi["phi"] * fakes.detach()
        return self.critic_loss(batch, fakes.detach()) + ratio * (self.generator_part(fake) - self.generator_part(cut))

    def updated(self, player):
        self.log.append(player)

    def players(self, h=0.1):
        optimizers = {
            "critic": torch.optim.SGD(self.phi.parameters(), lr=h),
            "generator": torch.optim.SGD(self.theta.parameters(), lr=h),
        }
        return Players({"critic": self.phi, "generator": self.theta}, optimizers)

    def radius(self, plan, steps=500):
        players = self.players()
        for _ in range(steps):
            plan.run(self, players, [{}] * plan.sub_batches)
        return math.hypot(self.theta["theta"].item(), self.phi["phi"].item())

    def radius_generator_first(self, steps=500):
        """G C G C ... C: one generator step, `steps - 1` times (C, G), one critic step."""
        players = self.players()
        with players.only("generator"):
            players.backward(self.generator_loss({}, self.generate({})), "generator")
        players.apply("generator")
        for _ in range(steps - 1):
            Alternating().run(self, players, [{}])
        players.backward(self.critic_loss({}, self.generate({}).detach()), "critic")
        players.apply("critic")
        return math.hypot(self.theta["theta"].item(), self.phi["phi"].item())


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
    assert DiracGAN(kind, gamma).radius_generator_first() == pytest.approx(generator_first, rel=6e-3)


@pytest.mark.parametrize("kind", LINK)
def test_single_loss_is_simultaneous(kind):
    """The cut gradient gives both players their own gradient exactly, hence the same trajectory."""
    single, two = DiracGAN(kind, 0.2), DiracGAN(kind, 0.2)
    assert single.radius(SingleLoss(), 50) == pytest.approx(two.radius(Simultaneous(), 50), abs=1e-13)


def test_shared_fakes_change_nothing_when_the_generator_is_deterministic():
    shared, fresh = DiracGAN("minimax"), DiracGAN("minimax")
    assert shared.radius(Alternating(share_fakes=True), 50) == fresh.radius(Alternating(share_fakes=False), 50)


def test_order_of_updates():
    game = DiracGAN("minimax")
    game.radius(Alternating(critic=3, generator=2), steps=1)
    assert game.log == ["critic"] * 3 + ["generator"] * 2
    assert Alternating(critic=3).sub_batches == 3


class Recorder:
    """Counts what each loss sees; gradients must reach one player only."""

    def __init__(self):
        self.generator, self.critic = nn.Linear(2, 2), nn.Linear(2, 1)
        self.seen: list[tuple[str, float]] = []

    def generate(self, batch):
        return self.generator(batch["x"])

    def critic_loss(self, batch, fakes):
        assert not fakes.requires_grad
        self.seen.append(("critic", batch["x"].sum().item()))
        return self.critic(fakes).mean() - self.critic(batch["x"]).mean()

    def generator_loss(self, batch, fakes):
        assert fakes.requires_grad
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
    with pytest.raises(UserError, match="plan.critic=0"):
        Alternating(critic=0)
    layer = nn.Linear(1, 1)
    with pytest.raises(UserError, match="belongs to both"):
        check_partition({"critic": layer, "generator": nn.Sequential(layer)})
