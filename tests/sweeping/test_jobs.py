import pytest

from genexp.errors import UserError
from genexp.sweeping.jobs import Request, combinations, recorded


def test_combinations_are_hydras_own():
    assert combinations(["a=1,2", "b=x", "c=range(2)"]) == [
        ["a=1", "b=x", "c=0"],
        ["a=1", "b=x", "c=1"],
        ["a=2", "b=x", "c=0"],
        ["a=2", "b=x", "c=1"],
    ]
    assert combinations(["penalty=gp,[r1,r2]"]) == [["penalty=gp"], ["penalty=[r1,r2]"]]
    with pytest.raises(UserError, match="does not parse"):
        combinations(["a=[1"])


def test_a_preset_is_read_as_if_it_stood_on_the_line(tmp_path):
    preset = tmp_path / "ttur.yaml"
    preset.write_text(
        "experiment: ring8_gan\noptimizer.lr: 5e-4,1e-3\npenalty: [r1, r2]\nema: null\nseeds: 3\n"
        "penalty.r2.interval: ${penalty.r1.interval}\n"
    )
    request = Request.of([str(preset), "optimizer.lr=1e-3", "max_steps=10", "launcher.jobs=2"])
    assert request.preset == "ttur"
    assert set(request.own) == {"seeds=3", "launcher.jobs=2"}
    assert request.overrides == (
        "experiment=ring8_gan",
        "penalty=[r1,r2]",
        "ema=null",
        "penalty.r2.interval=${penalty.r1.interval}",
        "optimizer.lr=1e-3",  # later on the line, so it wins
        "max_steps=10",
    )
    assert request.swept == []
    assert Request.of([str(preset)]).swept == ["optimizer.lr"]


ZOO = """
experiment: ring8_gan
loss:
  - loss: hinge,least_squares
  - loss: f_gan
    loss.f: u*log(u)
penalty:
  - {penalty: none}
  - {constraint: spectral}
"""


def test_settings_that_vary_together_are_one_axis(tmp_path):
    preset = tmp_path / "zoo.yaml"
    preset.write_text(ZOO)
    request = Request.of([str(preset), "max_steps=10"])
    fixed = ["experiment=ring8_gan", "max_steps=10"]
    formula = ["loss=f_gan", 'loss.f="u*log(u)"']
    assert request.combinations() == [
        [*fixed, *loss, penalty]
        for loss in (["loss=hinge"], ["loss=least_squares"], formula)
        for penalty in ("penalty=none", "constraint=spectral")
    ]
    assert request.swept == ["loss", "penalty"]
    assert Request.of([str(preset), "loss=hinge"]).combinations() == [
        ["experiment=ring8_gan", "loss=hinge", penalty] for penalty in ("penalty=none", "constraint=spectral")
    ]
    with pytest.raises(UserError, match="constraint=clip is one of the settings that vary together under penalty"):
        Request.of([str(preset), "constraint=clip"])


@pytest.mark.parametrize("content", ["- a\n- b\n", "a: {b: 1}\n", "a: [\n", "word\n"])
def test_a_damaged_preset_is_refused(content, tmp_path):
    (tmp_path / "p.yaml").write_text(content)
    with pytest.raises(UserError, match="p.yaml"):
        Request.of([str(tmp_path / "p.yaml")])


def test_a_search_may_have_ranges_that_are_no_lists():
    request = Request.of(["search=optuna", "optimizer.lr=tag(log,interval(1e-5,1e-2))", "loss=hinge"])
    assert request.searches
    assert request.fixed == ["loss=hinge"] and request.swept == ["optimizer.lr"]
    assert not Request.of(["search=none", "loss=hinge"]).searches


def test_what_is_recorded_is_what_a_person_gives_for_this_run_alone():
    given = ["loss=hinge", "seed=3", "seeds=5", "sweep=x", "launcher.jobs=2", "progress=false", "run_dir=y"]
    assert recorded(given, 4) == ("loss=hinge", "seed=4")
