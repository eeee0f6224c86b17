"""Every file under conf/plan and conf/optimizer makes its object, with the defaults of its class."""

from pathlib import Path

import pytest
from hydra import compose, initialize_config_dir
from hydra.utils import instantiate

from genexp.training import game_optimizers, plans
from genexp.training.optimizers import OptimizerFactory

CONF = Path(__file__).parents[2] / "conf"
PLANS = {
    "alternating": plans.Alternating(),
    "consensus": plans.Consensus(),
    "extragradient": plans.Extragradient(),
    "gradient_reversal": plans.GradientReversal(),
    "minimize": plans.Minimize(),
    "simultaneous": plans.Simultaneous(),
    "single_loss": plans.SingleLoss(),
    "stages": plans.Stages(["glo", "imle"], [1000]),
    "unrolled": plans.Unrolled(),
    "wgan": plans.Alternating(critic=5, long_turns=plans.LongTurns()),
}


def built(*overrides):
    with initialize_config_dir(str(CONF), version_base="1.3"):
        return instantiate(compose(overrides=list(overrides)), _convert_="all")


@pytest.mark.parametrize("path", (CONF / "plan").glob("*.yaml"), ids=lambda path: path.stem)
def test_plans(path):
    assert built(f"+plan={path.stem}")["plan"] == PLANS[path.stem]


@pytest.mark.parametrize(
    ("option", "algorithm"),
    [
        ("optimistic_adam", game_optimizers.OptimisticAdam),
        ("optimistic_sgd", game_optimizers.OptimisticSGD),
        ("negative_momentum", game_optimizers.NegativeMomentum),
    ],
)
def test_optimizers_for_games(option, algorithm):
    optimizer = built(f"+optimizer={option}")["optimizer"]
    assert isinstance(optimizer, OptimizerFactory)
    assert optimizer.algorithm is algorithm
    assert optimizer.critic_lr is None
