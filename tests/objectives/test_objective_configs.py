"""Every file under conf/loss, conf/penalty and conf/constraint makes its object; penalties can be joined."""

from pathlib import Path

import pytest
from hydra import compose, initialize_config_dir
from hydra.utils import instantiate
from omegaconf import OmegaConf

from genexp.objectives.adversarial import AdversarialLoss, LeastSquares
from genexp.objectives.constraints import Constraint
from genexp.objectives.likelihood import ELBO
from genexp.objectives.penalties import R1, R2, GradientPenalty, Penalty

CONF = Path(__file__).parents[2] / "conf"


def options(group):
    return sorted(path.stem for path in (CONF / group).glob("*.yaml"))


def built(*overrides):
    with initialize_config_dir(str(CONF), version_base="1.3"):
        return instantiate(compose(overrides=list(overrides)), _convert_="all")


@pytest.mark.parametrize("option", options("loss"))
def test_losses(option):
    loss = built(f"+loss={option}")["loss"]
    assert isinstance(loss, ELBO if option == "elbo" else AdversarialLoss)


def test_config_defaults_are_those_of_the_classes():
    assert built("+loss=least_squares")["loss"] == LeastSquares()
    assert built("+penalty=gp")["penalty"]["gp"] == GradientPenalty()
    assert built("+penalty=[r1,r2]")["penalty"] == {"r1": R1(), "r2": R2()}


@pytest.mark.parametrize("option", options("constraint"))
def test_constraints(option):
    constraint = built(f"+constraint={option}")["constraint"]
    assert isinstance(constraint, Constraint)
    assert constraint.bounds_critic is (option != "none")


@pytest.mark.parametrize("option", [option for option in options("penalty") if option != "none"])
def test_penalties_write_under_their_own_name(option):
    penalty = built(f"+penalty={option}", f"penalty.{option}.interval=16")["penalty"]
    assert list(penalty) == [option]
    assert isinstance(penalty[option], Penalty)
    assert penalty[option].scaled_weight == 16 * penalty[option].weight


def test_no_penalty_is_an_empty_mapping():
    with initialize_config_dir(str(CONF), version_base="1.3"):
        assert OmegaConf.to_container(compose(overrides=["+penalty=none"]).penalty) == {}
