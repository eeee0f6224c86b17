"""Small games with known answers, for update plans."""

import math
from contextlib import contextmanager

import torch
from torch import nn
from torch.nn.functional import softplus

from genexp.training.players import Players

LINK = {
    # (critic part on a fake score, generator part), real scores are D(0) = 0
    "minimax": (softplus, lambda f: -softplus(f)),
    "non-saturating": (softplus, lambda f: softplus(-f)),
    "wasserstein": (lambda f: f, lambda f: -f),
}


class DiracGAN(nn.Module):
    """Data at 0, fakes at theta, D(x) = phi x: the smallest GAN (Mescheder et al., 2018).

    With the Wasserstein loss it is the bilinear game: F = (theta, -phi).
    """

    def __init__(self, kind: str, gamma: float = 0.0):
        super().__init__()
        self.theta = nn.ParameterDict({"theta": nn.Parameter(torch.ones((), dtype=torch.float64))})
        self.phi = nn.ParameterDict({"phi": nn.Parameter(-torch.ones((), dtype=torch.float64))})
        self.critic_part, self.generator_part = LINK[kind]
        self.gamma = gamma
        self.log: list[str] = []

    def generate(self, batch):
        return self.theta["theta"] * 1.0

    def with_latents(self, batch):
        return batch

    def critic_loss(self, batch, fakes):
        return self.critic_part(self.phi["phi"] * fakes) + 0.5 * self.gamma * self.phi["phi"] ** 2

    def generator_loss(self, batch, fakes):
        return self.generator_part(self.phi["phi"] * fakes)

    def single_loss(self, batch, fakes, ratio):
        fake, cut = self.phi["phi"] * fakes, self.phi["phi"] * fakes.detach()
        return self.critic_loss(batch, fakes.detach()) + ratio * (self.generator_part(fake) - self.generator_part(cut))

    @contextmanager
    def rehearsal(self):
        yield

    def updated(self, player):
        self.log.append(player)

    def players(self, h=0.1, optimizer=torch.optim.SGD, **options):
        optimizers = {
            "critic": optimizer(self.phi.parameters(), lr=h, **options),
            "generator": optimizer(self.theta.parameters(), lr=h, **options),
        }
        return Players({"critic": self.phi, "generator": self.theta}, optimizers)

    @property
    def state(self) -> torch.Tensor:
        """(phi, theta)."""
        return torch.stack([self.phi["phi"].detach(), self.theta["theta"].detach()])

    def put(self, phi: float, theta: float) -> None:
        with torch.no_grad():
            self.phi["phi"].fill_(phi), self.theta["theta"].fill_(theta)

    def trajectory(self, plan, steps, players=None):
        """The states (steps + 1, 2)."""
        players = players or self.players()
        states = [self.state]
        for step in range(steps):
            plan.run(self, players, [{}] * plan.sub_batches, step)
            states.append(self.state)
        return torch.stack(states)

    def radius(self, plan, steps=500):
        return math.hypot(*self.trajectory(plan, steps)[-1].tolist())


def linear_map(plan, h=0.1, kind="wasserstein", gamma=0.0):
    """The matrix of one step on (phi, theta), which is linear in the bilinear game."""
    columns = []
    for start in ((1.0, 0.0), (0.0, 1.0)):
        game = DiracGAN(kind, gamma)
        game.put(*start)
        columns.append(game.trajectory(plan, 1, game.players(h))[-1])
    return torch.stack(columns, dim=1)


class SmallGAN:
    """Two small networks in float64, and losses with no randomness."""

    def __init__(self, seed=0):
        torch.manual_seed(seed)
        self.generator = nn.Sequential(nn.Linear(2, 5), nn.Tanh(), nn.Linear(5, 2)).double()
        self.critic = nn.Sequential(nn.Linear(2, 5), nn.Softplus(), nn.Linear(5, 1)).double()
        self.batch = {"x": torch.randn(7, 2, dtype=torch.float64)}
        self.rehearsing, self.seen = False, []

    def generate(self, batch):
        return self.generator(batch["x"])

    def with_latents(self, batch):
        return batch

    def critic_loss(self, batch, fakes):
        self.seen.append(("critic", self.rehearsing))
        return softplus(self.critic(fakes)).mean() + softplus(-self.critic(batch["x"])).mean()

    def generator_loss(self, batch, fakes):
        self.seen.append(("generator", self.rehearsing))
        return softplus(-self.critic(fakes)).mean()

    @contextmanager
    def rehearsal(self):
        self.rehearsing = True
        yield
        self.rehearsing = False

    def updated(self, player):
        pass

    def players(self, lr=0.0):
        return Players(
            {"critic": self.critic, "generator": self.generator},
            {
                "critic": torch.optim.SGD(self.critic.parameters(), lr=lr),
                "generator": torch.optim.SGD(self.generator.parameters(), lr=lr),
            },
        )

    def gradients(self, plan):
        """What a step leaves in `.grad` of the critic's and of the generator's parameters."""
        plan.run(self, self.players(), [self.batch] * plan.sub_batches)
        return [[p.grad.clone() for p in m.parameters()] for m in (self.critic, self.generator)]
