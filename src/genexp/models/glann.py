r"""GLO and GLANN: generators that are trained without a critic, by reconstruction and by nearest neighbours.

**GLO** gives every datum a latent of its own on the unit sphere and learns these with the generator,

$$\min_{G, \{z_i\}} \frac1M \sum_i d(x_i, G(z_i)), \qquad \|z_i\| = 1.$$

It reconstructs and cannot sample: where the latents lie is not known but by fitting a Gaussian to them.

**GLANN** is GLO and then IMLE (`genexp.models.imle`) on its latents, with a map $T$ from noise to latents,
$\min_T \frac1M \sum_i \min_j \|z_i - T(\epsilon_j)\|^2$, and samples $G(T(\epsilon))$.

Nearest neighbours are exact. With several processes each sees its own samples' latents; the gradient of the whole table
is averaged over the processes like any other, which costs a table's worth of traffic in each step, and each process
makes the same candidates and searches them all.

References:
    Optimizing the Latent Space of Generative Networks, Bojanowski et al., 2017. https://arxiv.org/abs/1707.05776
    Non-Adversarial Image Synthesis with Generative Latent Nearest Neighbors, Hoshen and Malik, 2018.
    https://arxiv.org/abs/1812.08985

Expected result: `experiment=digits_glann` and `experiment=digits_glo`.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from genexp.errors import UserError
from genexp.models.base import Regime
from genexp.models.imle import check
from genexp.models.latent import LatentVariableModel
from genexp.networks.latents import Latents
from genexp.objectives.distances import Distance
from genexp.objectives.neighbours import nearest
from genexp.training.plans import Batch, Stages
from genexp.training.randomness import mix

TABLE = 101
"""The stream of random numbers that the latents start from."""


class GLO(LatentVariableModel):
    """A generator and a latent for each training sample.

    Arguments:
        shape: shape of one datum, (C, H, W) or (D,).
        latent_dim: dimensions of the latents.
        decoder: makes the generator, `decoder(latent_dim=..., shape=...)`.
        loss: the distance of reconstructions.
        latent_rate: how many times as fast as the generator the latents learn, under Adam.

    Raises:
        UserError: if a number is out of range, or the loss is no distance.
    """

    averaged: ClassVar[tuple[str, ...]] = ("decoder", "table")
    default_plan = "minimize"
    reads_index = True

    def __init__(
        self,
        shape: Sequence[int],
        latent_dim: int,
        decoder: Callable[..., nn.Module],
        loss: Distance,
        latent_rate: float = 10.0,
    ) -> None:
        super().__init__(shape)
        check(self, loss, latent_dim=latent_dim, latent_rate=latent_rate)
        if latent_dim < 2:
            raise UserError(f"model.latent_dim={latent_dim} makes a sphere of two points: give at least 2.")
        self.latent_dim, self.distance = latent_dim, loss
        self.decoder = decoder(latent_dim=latent_dim, shape=self.shape)
        self.table = Latents(latent_dim, latent_rate)

    def players(self) -> dict[str, nn.Module]:
        """One player: generator and latents together."""
        return {"model": nn.ModuleList([self.decoder, self.table])}

    def expect(self, samples: int) -> None:
        """Makes the latents."""
        assert self.regime is not None
        self.table.expect(samples, mix(self.regime.seed, TABLE))

    def loss(self, batch: Batch) -> Tensor:
        """The mean distance of the batch from its reconstructions."""
        loss = self.distance(batch["x"], self.decode(self.table(batch["index"]))).mean()
        self.record("loss/reconstruction", loss)
        return loss

    def updated(self, player: str) -> None:
        """Put the latents back on the sphere."""
        self.table.project()

    # --- what a trained one can do ----------------------------------------------------------------------------------

    def latents(self, n: int, seed: int | None = None, temperature: float = 1.0) -> Tensor:
        """Draws of the Gaussian that fits the training samples' latents best, (n, latent_dim)."""
        rows = F.normalize(self.table(), dim=1)
        mean = rows.mean(0)
        covariance = (rows - mean).T @ (rows - mean) / len(rows)
        root = torch.linalg.cholesky(covariance + 1e-6 * torch.eye(self.latent_dim).to(covariance))
        noise = torch.randn(n, self.latent_dim, device=self.device, generator=self.generator_for(seed))
        return mean + temperature * noise @ root.T

    def decode(self, z: Tensor, y: Tensor | None = None) -> Tensor:
        """Data of latents, (B, latent_dim) -> (B, *shape); only their direction counts."""
        return self.decoder(F.normalize(z, dim=1))


class GLANN(GLO):
    """GLO, then IMLE from noise to its latents: two players, `glo` and `imle`, one after the other.

    Arguments:
        shape: shape of one datum, (C, H, W) or (D,).
        latent_dim: dimensions of the latents.
        decoder: makes the generator, `decoder(latent_dim=..., shape=...)`.
        loss: the distance of reconstructions.
        map: makes the map from noise to latents, `map(latent_dim=noise_dim, shape=(latent_dim,))`.
        latent_rate: how many times as fast as the generator the latents learn, under Adam.
        noise_dim: dimensions of the noise.
        candidates: draws of noise for each training sample, of which it takes the nearest.
        refresh: steps between two searches; None for an epoch.

    Raises:
        UserError: if a number is out of range, or the loss is no distance.
    """

    averaged = ("decoder", "table", "map")
    default_plan = "stages"

    def __init__(
        self,
        shape: Sequence[int],
        latent_dim: int,
        decoder: Callable[..., nn.Module],
        loss: Distance,
        map: Callable[..., nn.Module],
        latent_rate: float = 10.0,
        noise_dim: int = 32,
        candidates: int = 2,
        refresh: int | None = None,
    ) -> None:
        super().__init__(shape, latent_dim, decoder, loss, latent_rate)
        check(self, loss, noise_dim=noise_dim, candidates=candidates, refresh=1 if refresh is None else refresh)
        self.noise_dim, self.candidates, self.refresh = noise_dim, candidates, refresh
        self.map = map(latent_dim=noise_dim, shape=(latent_dim,))
        self.register_buffer("matched", torch.empty(0, noise_dim))  # of each training sample, until the next search
        self.register_buffer("searches", torch.zeros((), dtype=torch.long))

    matched: Tensor
    searches: Tensor

    def players(self) -> dict[str, nn.Module]:
        """Generator and latents, and the map."""
        return {"glo": nn.ModuleList([self.decoder, self.table]), "imle": self.map}

    def prepare(self, regime: Regime) -> None:
        """Take up the way to be trained.

        Raises:
            UserError: if the plan does not train the players in this order.
        """
        super().prepare(regime)
        plan = regime.plan
        if not isinstance(plan, Stages) or tuple(plan.players) != ("glo", "imle"):
            raise UserError("GLANN learns its latents before the map to them: set plan=stages plan.players=[glo,imle].")
        self._start: int = plan.start_of("imle")

    def expect(self, samples: int) -> None:
        """Makes the latents, and room for what is matched with them."""
        super().expect(samples)
        self.matched = torch.zeros(samples, self.noise_dim)

    def stage_loss(self, player: str, batch: Batch) -> Tensor:
        """The reconstructions' distance, then the squared distance of latents from what the map makes."""
        return {"glo": self.loss, "imle": self.matching_loss}[player](batch)

    def matching_loss(self, batch: Batch) -> Tensor:
        r"""The mean $\|z_i - T(\epsilon)\|^2$, with the noise that was nearest in the last search."""
        assert self.regime is not None
        batches = self.regime.clock.images_per_step
        every = self.refresh or -(-len(self.matched) // batches)
        if (self.regime.clock.step - self._start) % every == 0:
            self._search()
        made = self.map(self.matched[batch["index"]])
        loss = (self.table(batch["index"]) - made).square().sum(1).mean()
        self.record("loss/matching", loss)
        return loss

    @torch.no_grad()
    def _search(self) -> None:
        z = self.table()
        noise = self.random.normal_alike(self.candidates * len(z), self.noise_dim)
        made = torch.cat([self.map(part) for part in noise.split(8192)])
        self.matched.copy_(noise[nearest(z, made)])
        self.searches += 1

    def updated(self, player: str) -> None:
        """Put the latents back on the sphere while they move."""
        if player == "glo":
            super().updated(player)

    def latents(self, n: int, seed: int | None = None, temperature: float = 1.0) -> Tensor:
        """What the map makes of standard normal noise, (n, latent_dim); before its stage, those of GLO."""
        if not self.searches:
            return super().latents(n, seed, temperature)
        noise = torch.randn(n, self.noise_dim, device=self.device, generator=self.generator_for(seed))
        return self.map(temperature * noise)

    def _load_from_state_dict(self, state_dict: Mapping[str, Any], prefix: str, *args: Any) -> None:
        saved = state_dict.get(f"{prefix}matched")
        if saved is not None and saved.shape != self.matched.shape:
            self.matched = torch.zeros_like(saved, device=self.matched.device)
        super()._load_from_state_dict(state_dict, prefix, *args)
