"""The registry of families and plans that every contract is tested on: a new model enters by its file in conf/model."""

from dataclasses import dataclass

from genexp import catalogue

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


SETTINGS = {
    "conditional_gan": ["model.critic_conditioning.code_dim=8"],
    "info_gan": ["model.continuous=1"],
    "o_gan": ["model.latent_dim=3"],
    "ali": ["model.head_width=16", "model.code_dim=8"],
    # by SGD as above: these two cancel in biases of the critic
    "bigan_qp": ["model.head_width=16", "model.code_dim=8", "optimizer=sgd"],
    "vae_gan": ["model.code_dim=8"],
    "energy_gan": ["model.langevin_steps=2", "optimizer=sgd"],
    "aae": ["model.critic.width=16"],
    "glo": ["dataset=digits"],
    "glann": ["dataset=digits", "plan.boundaries=[10]", "model.map.width=16", "model.map.norm=none"],
}
"""What a family needs beside `TINY`."""

LONG = (
    "conditional_gan",
    "info_gan",
    "o_gan",
    "ali",
    "bigan_qp",
    "vae_gan",
    "energy_gan",
    "aae",
    "glo",
    "imle",
    "glann",
)
"""Families whose killed processes are no part of the short suite."""


@dataclass(frozen=True)
class Case:
    """A family with an update plan."""

    model: str
    plan: str | None

    @property
    def slow(self) -> bool:
        return self.plan not in ESSENTIAL or self.model in LONG

    @property
    def overrides(self) -> list[str]:
        chosen = [] if self.plan is None else [f"plan={self.plan}", *PLANS[self.model][self.plan]]
        return [*TINY, f"model={self.model}", "model.latent_dim=2", *SETTINGS.get(self.model, []), *chosen]

    def __str__(self) -> str:
        return self.model if self.plan is None else f"{self.model}-{self.plan}"


CASES = [Case(model, plan) for model in catalogue.options("model") for plan in PLANS.get(model, (None,))]
