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
        "unrolled": ["plan.steps=2", "penalty=[wgan_div,dragan]", "penalty.dragan.weight=0.1"],
        "extragradient": ["penalty=bcr", "constraint=spectral", "optimizer=optimistic_adam"],
        "consensus": ["penalty=lecam", "optimizer=sgd"],
        "gradient_reversal": [
            "loss=saturating",
            "penalty=cr",
            "penalty.cr.interval=2",
            "constraint=gradient",
            "optimizer=negative_momentum",
        ],
        "wgan": [
            "loss=wasserstein",
            "penalty=trust_region",
            "constraint=clip",
            "constraint.when=before",
            "plan.critic=2",
            "plan.generator=2",
            "plan.same_latents=true",
            "plan.long_turns.factor=2",
            "plan.long_turns.first=2",
            "plan.long_turns.every=4",
            "optimizer=sgd",
        ],
    },
}
"""For models of several players: each plan, with penalties. Every other model is tested with its default plan."""

ESSENTIAL = (None, "alternating", "simultaneous", "single_loss")
"""Plans whose killed processes are part of the short suite; the others' are slow."""


@dataclass(frozen=True)
class Case:
    """A family with an update plan."""

    model: str
    plan: str | None

    @property
    def slow(self) -> bool:
        return self.plan not in ESSENTIAL

    @property
    def overrides(self) -> list[str]:
        chosen = [] if self.plan is None else [f"plan={self.plan}", *PLANS[self.model][self.plan]]
        return [*TINY, f"model={self.model}", "model.latent_dim=2", *chosen]

    def __str__(self) -> str:
        return self.model if self.plan is None else f"{self.model}-{self.plan}"


CASES = [Case(model, plan) for model in config.options("model") for plan in PLANS.get(model, (None,))]
