"""The registry of families and plans that every contract is tested on: a new model enters by its file in conf/model."""

from dataclasses import dataclass

from genexp import config

TINY = [
    "dataset=ring8",
    "network=mlp",
    "network.decoder.width=16",
    "network.encoder.width=16",
    "evaluation.n=200",
    "evaluation.draws=2",
    "evaluation.fast_n=100",
    "batch_size=32",
    "logger=none",
    "trainer.accelerator=cpu",
    "trainer.threads=1",
]
"""A run of seconds: small points, small networks, a small score."""

PLANS = {
    "gan": {
        "alternating": ["plan.critic=2", "penalty=gp"],
        # By SGD: this loss cancels in the critic's biases, and Adam makes a step of what rounding leaves of a gradient.
        "simultaneous": ["loss=relativistic", "penalty=r1", "penalty.r1.interval=4", "optimizer=sgd"],
        "single_loss": ["penalty=[r1,r2]"],
    },
}
"""For models of several players: each plan, with penalties. Every other model is tested with its default plan."""


@dataclass(frozen=True)
class Case:
    """A family with an update plan."""

    model: str
    plan: str | None

    @property
    def overrides(self) -> list[str]:
        chosen = [] if self.plan is None else [f"plan={self.plan}", *PLANS[self.model][self.plan]]
        return [*TINY, f"model={self.model}", "model.latent_dim=2", *chosen]

    def __str__(self) -> str:
        return self.model if self.plan is None else f"{self.model}-{self.plan}"


CASES = [Case(model, plan) for model in config.options("model") for plan in PLANS.get(model, (None,))]
