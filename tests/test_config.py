"""Every file under conf/ composes and builds, every experiment trains, and a misspelt key anywhere fails."""

import math

import pytest
from omegaconf import open_dict
from tests.stacked import write_digits

from genexp import catalogue
from genexp import config as configs
from genexp.assembly import Hardware, build_model, build_session
from genexp.errors import UserError
from genexp.runs import Run
from genexp.trainer import make_trainer

NEEDS = {  # what an option needs beside itself
    ("loss", "wasserstein"): ["constraint=clip"],
    ("loss", "elbo"): ["model=vae"],
    ("loss", "pair"): ["model=pair_gan"],
    ("loss", "pixels"): ["model=glo"],
    ("loss", "perceptual"): ["model=glo"],
    ("prior", "ring"): ["model=aae"],
    ("plan", "stages"): ["model=glann"],
    ("model", "vae"): ["network.encoder.norm=batch"],
    ("plan", "minimize"): ["model=vae"],
    ("penalty", "gp"): ["network.encoder.norm=none"],
    ("penalty", "r1"): ["network.encoder.norm=none"],
    ("penalty", "r2"): ["network.encoder.norm=none"],
    ("penalty", "wgan_div"): ["network.encoder.norm=none"],
    ("penalty", "dragan"): ["network.encoder.norm=none"],
    ("penalty", "trust_region"): ["plan.generator=2", "plan.same_latents=true"],
    ("constraint", "spectral"): ["network.encoder.norm=none"],
    ("constraint", "gradient"): ["network.encoder.norm=none"],
    ("plan", "gradient_reversal"): ["loss=saturating"],
    ("evaluation", "points"): ["dataset=ring8", "network=mlp"],
    ("dataset", "celeba"): ["batch_size=4"],
}
POINTS = ["ring8", "grid25", "two_moons", "checkerboard", "swiss_roll", "gaussian_mixture"]
BUILT = (
    "model",
    "loss",
    "head",
    "prior",
    "constraint",
    "augment",
    "plan",
    "optimizer",
    "schedule",
    "ema",
    "evaluation",
    "dataset",
    "logger",
)
BUILT += ("launcher", "search", "health")
OPTIONS = [(g, o) for g in catalogue.groups() for o in catalogue.options(g) if g not in ("paths", "experiment", "game")]


def needs(group: str, option: str) -> list[str]:
    extra = NEEDS.get((group, option), [])
    return [*extra, "network=mlp"] if option in POINTS else extra


@pytest.fixture(autouse=True)
def folders(monkeypatch, tmp_path, cache):
    monkeypatch.setenv("GENEXP_OUTPUT", str(tmp_path / "runs"))
    monkeypatch.setenv("GENEXP_CACHE", str(cache))
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize(("group", "option"), OPTIONS, ids=lambda value: value)
def test_every_option_composes_and_builds(group, option):
    config = configs.compose_train([*needs(group, option), f"{group}={option}"]).config
    for part in BUILT:
        built = configs.build(config[part], part)
        assert built is not None
    model = build_model(config)
    assert sum(p.numel() for p in model.parameters()) > 0


@pytest.mark.parametrize(("group", "option"), OPTIONS, ids=lambda value: value)
def test_a_misspelt_key_in_any_file_fails(group, option):
    config = configs.compose_train([*needs(group, option), f"{group}={option}"]).config
    node = config[group]
    if group == "penalty":
        node = next(iter(config.penalty.values()), None)
    if (group, option) == ("search", "none"):
        node = None
    if group == "network":
        node = config.model.decoder  # where the interpolation has put it
    if node is None:
        pytest.skip(f"{group}={option} has no keys")
    with open_dict(node):
        node["mispelt_key"] = 1
    with pytest.raises(UserError, match="mispelt_key|takes no arguments"):
        Hardware.of(config.trainer, config.batch_size)
        for part in (*BUILT, "penalty"):
            configs.build(config[part], part)


@pytest.fixture(scope="module")
def small_mnist(tmp_path_factory):
    """A folder in MNIST's layout, of 400 images that are grey squares."""
    return write_digits(tmp_path_factory.mktemp("mnist"))


@pytest.mark.parametrize("experiment", catalogue.options("experiment"))
def test_every_experiment_trains_two_steps(experiment, tmp_path, small_mnist):
    short = ["max_steps=2", "log_every=1", "score_every=2", "logger=none", "progress=false"]
    short += ["plan.boundaries=[1]"] if experiment.endswith("_glann") else []  # a step for each stage
    if "cifar10" in experiment:
        short += ["batch_size=8", "evaluation.fast_n=50", "dataset.image_column=image"]
        short += ["network.decoder.width=16", "network.encoder.width=16"]
    if "mnist" in experiment or "cifar10" in experiment:
        short += [f"dataset.path={small_mnist}", "evaluation.features.settings.max_steps=2"]
    config = configs.compose_train([f"experiment={experiment}", *short]).config
    session = build_session(config)
    before = {name: p.detach().clone() for name, p in session.model.named_parameters()}
    run = Run(tmp_path / "run")
    run.create(configs.to_plain(config), {})
    trainer, _ = make_trainer(session, config, run, None, lambda step: None)
    trainer.fit(session.model, datamodule=session.data)
    assert session.regime.clock.step == 2
    moved = [name for name, p in session.model.named_parameters() if not p.detach().equal(before[name])]
    still = set(before) - set(moved)
    # a constant in scores changes no loss: nor that of a hinge, as long as all scores are within its margins
    if any(word in experiment for word in ("wasserstein", "wgan", "t_gan", "sndcgan", "energy_gan")):
        assert all(name.startswith("critic") and name.endswith("bias") for name in still)
    else:
        assert not still
    losses = {name: value for name, value in trainer.callbacks[2].latest.items() if name.startswith("loss/")}
    assert losses and all(math.isfinite(value) for value in losses.values())


def test_identity_ignores_where_and_how_loudly():
    def identity(*overrides: str, with_seed: bool = True) -> str:
        return configs.identity(configs.compose_train(overrides).plain, with_seed)

    base = identity()
    assert identity("logger=none") == identity("paths.output=/elsewhere") == identity("progress=false") == base
    assert identity("optimizer.lr=1e-3") != base
    assert identity("seed=1") != base
    assert identity("seed=1", with_seed=False) == identity(with_seed=False)


def test_round_trip_through_yaml(tmp_path):
    plain = configs.compose_train(["penalty=[r1,r2]", "network.encoder.norm=none", "optimizer.lr=1e-5"]).plain
    configs.save_yaml(plain, tmp_path / "config.yaml")
    assert configs.load_yaml(tmp_path / "config.yaml") == plain


def test_a_recipe_s_penalty_can_be_replaced_by_another():
    """What the recipe set for its own penalties does not stay behind as a penalty without a class."""
    recipe = ["experiment=ring8_gan"]
    assert list(configs.compose_train([*recipe, "penalty=gp"]).config.penalty) == ["gp"]
    assert configs.compose_train([*recipe, "penalty=none"]).config.penalty == {}
    assert configs.compose_train([*recipe, "penalty=r2"]).config.penalty.r2.weight == 0.01
    with pytest.raises(UserError, match="penalty=r1"):
        configs.compose_train([*recipe, "penalty=gp", "penalty.r1.weight=1.0"])
