"""Trainings of seconds that a monitor watches, healthy ones and ones made to fail."""

from genexp import config as configs
from genexp.assembly import build_session
from genexp.runs import Run
from genexp.trainer import make_trainer
from genexp.training import checkpoint

QUICK = [f"health.alarms.{name}.steps=100" for name in ("generator_dead", "critic_won", "mode_collapse", "oscillation")]
BASE = [
    "dataset=ring8",
    "network=mlp",
    "network.decoder.width=32",
    "network.encoder.width=32",
    "model.latent_dim=2",
    "batch_size=64",
    "logger=none",
    "trainer.accelerator=cpu",
    "trainer.threads=1",
    "evaluation.n=200",
    "evaluation.draws=2",
    "evaluation.fast_n=100",
    "score_every=0",
    "log_every=5",
    "checkpoint_every=20",
    "max_steps=200",
    "progress=false",
]
PLANTED = {
    # a critic that learns, a generator that does not
    "critic_won": [*QUICK, "optimizer.lr=1e-6", "optimizer.critic_lr=5e-3"],
    # steps so large that tanh saturates, where its derivative is zero in float32
    "generator_dead": [*QUICK, "network.decoder.output=tanh", "optimizer.lr=5", "optimizer.critic_lr=1e-3"],
    # a generator that runs to the best score of a slow critic with all its samples
    "mode_collapse": [*QUICK, "plan.generator=5", "optimizer.lr=1e-2", "optimizer.critic_lr=1e-3"],
    # linear players far from the data: the mean of the samples swings around that of the data, as in a bilinear game
    "oscillation": [
        *QUICK,
        "dataset=gaussian_mixture",
        "dataset.density.means=[[1.5,0.0]]",
        "dataset.num_classes=1",
        "plan=simultaneous",
        "optimizer=sgd",
        "optimizer.lr=0.3",
        "network.encoder.depth=0",
        "network.decoder.depth=0",
        "max_steps=400",
    ],
    "nan": ["loss=least_squares", "optimizer=sgd", "optimizer.lr=5"],
}


def train(folder, *overrides, resume=False):
    """Train in this process; the run and the model."""
    composed = configs.compose_train([*BASE, *overrides, "name=x"])
    run = Run(folder)
    if not resume:
        run.create(composed.plain, composed.choices)
    state = checkpoint.latest(run.checkpoints)[0]
    session = build_session(composed.config, state["step"] if state else 0)
    trainer, _ = make_trainer(session, composed.config, run, state, lambda step: None)
    trainer.fit(session.model, datamodule=session.data)
    return run, session.model
