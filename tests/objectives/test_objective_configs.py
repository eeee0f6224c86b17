"""Every file under conf/loss, conf/penalty and conf/constraint makes its object; penalties can be joined."""

from pathlib import Path

import pytest
from hydra import compose, initialize_config_dir
from hydra.utils import instantiate
from omegaconf import OmegaConf

from genexp.objectives.adversarial import (
    FGAN,
    AdversarialLoss,
    LeastSquares,
    LikelihoodRatio,
    Pair,
    QuadraticPotential,
    Relativistic,
)
from genexp.objectives.adversarial.relativistic import COMPARISONS, PAIRINGS
from genexp.objectives.adversarial.transport import DISTANCES
from genexp.objectives.constraints import (
    Constraint,
    GradientNormalisation,
    NoConstraint,
    SpectralNormalisation,
    WeightClip,
)
from genexp.objectives.distances import Distance
from genexp.objectives.divergences import TABLE
from genexp.objectives.heads import Cascading, Linear
from genexp.objectives.likelihood import ELBO
from genexp.objectives.penalties import (
    DRAGAN,
    R1,
    R2,
    Consistency,
    GradientPenalty,
    LeCam,
    Penalty,
    TrustRegion,
    WassersteinDivergence,
)
from genexp.objectives.ratio_pairs import PAIRS
from genexp.sweeping.jobs import Request, combinations

CONF = Path(__file__).parents[2] / "conf"


def options(group):
    return sorted(path.stem for path in (CONF / group).glob("*.yaml"))


def built(*overrides):
    with initialize_config_dir(str(CONF), version_base="1.3"):
        return instantiate(compose(overrides=list(overrides)), _convert_="all")


@pytest.mark.parametrize("option", options("loss"))
def test_losses(option):
    loss = built(f"+loss={option}", "+dataset=digits")["loss"]
    kinds = {"elbo": ELBO, "pixels": Distance, "perceptual": Distance}
    assert isinstance(loss, kinds.get(option, AdversarialLoss))


def test_config_defaults_are_those_of_the_classes():
    for option, loss in (
        ("least_squares", LeastSquares()),
        ("relativistic", Relativistic()),
        ("pair", Pair()),
        ("quadratic_potential", QuadraticPotential()),
        ("f_gan", FGAN()),
        ("likelihood_ratio", LikelihoodRatio()),
    ):
        assert built(f"+loss={option}")["loss"] == loss
    assert built("+penalty=[gp,r1,r2,wgan_div,dragan,cr,bcr,trust_region]")["penalty"] == {
        "gp": GradientPenalty(),
        "r1": R1(),
        "r2": R2(),
        "wgan_div": WassersteinDivergence(),
        "dragan": DRAGAN(),
        "cr": Consistency(),
        "bcr": Consistency(samples=1.0),
        "trust_region": TrustRegion(),
    }
    lecam, own = built("+penalty=lecam")["penalty"]["lecam"], LeCam()
    numbers = ("weight", "decay", "one_sided", "interval")
    assert [getattr(lecam, name) for name in numbers] == [getattr(own, name) for name in numbers]
    for option, constraint in (
        ("none", NoConstraint()),
        ("clip", WeightClip()),
        ("spectral", SpectralNormalisation()),
        ("gradient", GradientNormalisation()),
    ):
        assert built(f"+constraint={option}")["constraint"] == constraint


@pytest.mark.parametrize(
    ("option", "key", "names"),
    [
        ("f_gan", "divergence", TABLE),
        ("f_gan", "activation", ("log_ratio", "domain")),
        ("f_gan", "generator_loss", FGAN.generator_losses),
        ("likelihood_ratio", "pair", PAIRS),
        ("relativistic", "pairing", PAIRINGS),
        ("relativistic", "comparison", COMPARISONS),
        ("pair", "comparison", COMPARISONS),
        ("quadratic_potential", "distance", DISTANCES),
    ],
)
def test_every_name_builds_and_stands_in_a_comment_or_the_table(option, key, names):
    text = (CONF / "loss" / f"{option}.yaml").read_text()
    text += (CONF.parent / "docs" / "losses.md").read_text() if key == "pair" else ""
    for name in names:
        assert built(f"+loss={option}", f"loss.{key}={name}")["loss"] is not None
        assert name in text


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


@pytest.mark.slow
def test_formulas_need_no_quotes_beyond_the_shell_s(genexp):
    """As the shell hands them over, and what a user reads when one is wrong: before anything is written."""
    shown = genexp("train", "--cfg", "loss=f_gan", "loss.f=u*log(u) - (u + 1)*log((u + 1)/2)").stdout
    assert "f: u*log(u) - (u + 1)*log((u + 1)/2)" in shown
    for wrong, sentence in (
        (["loss=f_gan", "loss.f=sqrt(u) - 1"], "is not convex near u"),
        (["loss=f_gan", "loss.f=__import__('os')"], "the function __import__"),
        (["loss=likelihood_ratio", "loss.omega=log(r)"], "loss.rho is missing"),
    ):
        done = genexp("train", *wrong, check=False)
        assert done.returncode == 2 and sentence in done.stderr and len(done.stderr.strip().splitlines()) == 1


def test_a_sweep_over_formulas_takes_them_in_quotes():
    request = Request.of(["loss=f_gan", 'loss.f="u*log(u)","-log(u)"', "seed=0,1"])
    assert len(combinations(request.overrides)) == 4
    assert Request.of(["loss.f=u*log(u)"]).overrides == ('loss.f="u*log(u)"',)


@pytest.mark.parametrize(("option", "kind"), [("linear", Linear()), ("cascading", Cascading())])
def test_heads_have_the_defaults_of_their_class(option, kind):
    assert built(f"+head={option}")["head"] == kind
