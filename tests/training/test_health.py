"""The signs against enumeration, and the monitor's word for trainings that were made to fail."""

import math

import pytest
import torch
from tests.training.watched import PLANTED, QUICK, train
from torch import nn

from genexp import config as configs
from genexp.errors import Diverged, UserError
from genexp.training.health import Monitor, NoMonitor, diversity, gap, separation, signs, size


def test_separation_is_the_share_of_pairs_in_order():
    generator = torch.Generator().manual_seed(0)
    real, fake = (torch.randint(0, 5, (40,), generator=generator).float() for _ in range(2))
    pairs = [(r > f) + 0.5 * (r == f) for r in real for f in fake]
    assert separation(real, fake).item() == pytest.approx(torch.stack(pairs).float().mean().item())
    assert separation(fake + 10, fake) == 1
    assert separation(fake, fake + 10) == 0


def test_the_gap_has_no_units():
    real, fake = torch.randn(500) + 3, torch.randn(500)
    assert gap(real, fake).item() == pytest.approx(3, abs=0.3)
    torch.testing.assert_close(gap(1000 * real + 7, 1000 * fake + 7), gap(real, fake), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("modes", [1, 2, 4, 8])
def test_diversity_counts_modes(modes):
    """Of eight points far apart, so many are left: the share of distinct samples is modes / 8."""
    angles = torch.arange(8) * math.pi / 4
    ring = torch.stack([angles.cos(), angles.sin()], 1) * 10
    data, samples = ring.repeat(16, 1), ring[:modes].repeat(128 // modes, 1)
    assert diversity(data, samples).item() == pytest.approx(modes / 8, rel=0.06)


def test_diversity_of_the_same_law_is_one_and_of_a_point_is_small():
    x, same = torch.randn(256, 3, 8, 8), torch.randn(256, 3, 8, 8)
    assert diversity(x, same).item() == pytest.approx(1, rel=0.1)
    assert diversity(x, torch.zeros_like(x)) < 0.02
    assert diversity(x, x[:1].expand_as(x) + 1e-3 * same) < 0.02


def test_the_size_of_a_gradient():
    module = nn.Linear(3, 2)
    assert size(module.parameters()) is None
    module(torch.ones(1, 3)).sum().backward()
    module.bias.grad = None
    assert size(module.parameters()) == pytest.approx(1.0)


def test_a_model_that_is_no_game_has_gradients_alone():
    module = nn.Linear(1, 1)
    module(torch.ones(1, 1)).backward()
    assert list(signs({}, {"model": module})) == ["gradient_model"]


class Low:
    """Holds where all rows are below zero."""

    def __init__(self, steps):
        self.steps = steps

    def __call__(self, rows):
        return "low" if max(row["level"] for row in rows) < 0 else None


def raised(monitor, levels, every=10):
    found = [monitor.take(every * k, {"level": level}, {}) for k, level in enumerate(levels, start=1)]
    return [(alarm.step, alarm.name, alarm.since) for alarm in found if alarm is not None]


def test_an_alarm_is_raised_once_for_as_long_as_it_holds():
    monitor = Monitor({"low": Low(30)}, rows=2)
    assert raised(monitor, [1, -1, -1, -1, -1, -1, 1, -1, -1, -1, -1]) == [(50, "low", 20), (110, "low", 80)]
    assert [alarm["step"] for alarm in monitor.raised] == [50, 110]


def test_an_alarm_needs_as_many_rows_as_steps():
    assert raised(Monitor({"low": Low(30)}, rows=6), [-1] * 7) == [(60, "low", 10)]
    assert raised(Monitor({"low": Low(30)}, rows=1), [-1] * 7, every=100) == [(200, "low", 100)]


def test_causes_come_before_effects():
    monitor = Monitor({"cause": Low(20), "effect": Low(20)}, rows=2)
    assert raised(monitor, [-1] * 6) == [(30, "cause", 10)]


def test_a_saved_monitor_goes_on_as_if_nothing_had_happened():
    levels = [1, -1, -1, -1, 1, -1, -1, -1, -1]
    whole, first, second = (Monitor({"low": Low(20)}, rows=2) for _ in range(3))
    expected = raised(whole, levels)
    for cut in range(len(levels)):
        first = Monitor({"low": Low(20)}, rows=2)
        raised(first, levels[:cut])
        second = Monitor({"low": Low(20)}, rows=2)
        second.load_state_dict(first.state_dict())
        for k, level in enumerate(levels[cut:], start=cut + 1):
            second.take(10 * k, {"level": level}, {})
        assert [alarm["step"] for alarm in second.raised] == [step for step, _, _ in expected]


def test_a_number_that_is_not_finite_comes_first():
    monitor = Monitor({"low": Low(1)}, rows=1)
    alarm = monitor.take(10, {"level": -1.0}, {"score/real": math.inf, "loss/critic": math.nan})
    assert alarm is not None
    assert (alarm.name, alarm.reason) == ("nan", "loss/critic is not a number")


def test_no_monitor_sees_nothing():
    assert NoMonitor().take(10, {}, {"loss/critic": math.nan}) is None


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"on_alarm": "panic"}, "choose log, stop or rollback"),
        ({"slow_down": 1.0}, "between 0 and 1"),
        ({"rollbacks": 0}, "rollbacks=0"),
        ({"rows": 0}, "rows=0"),
    ],
)
def test_impossible_options_are_refused(options, sentence):
    with pytest.raises(UserError, match=sentence):
        Monitor({}, **options)


def test_the_config_s_defaults_are_those_of_the_classes():
    config = configs.compose_train([]).config
    built = configs.build(config.health, "health")
    assert all(alarm == type(alarm)() for alarm in built.alarms.values())
    assert list(built.alarms) == ["generator_dead", "critic_won", "mode_collapse", "oscillation"]


@pytest.mark.parametrize("name", [name for name in PLANTED if name != "nan"])
def test_planted_failures_are_named(name, tmp_path):
    run, _ = train(tmp_path / "run", *PLANTED[name])
    assert run.record["alarms"][0]["alarm"] == name


def test_a_planted_nan_is_named_and_ends_the_run(tmp_path):
    with pytest.raises(Diverged, match="is not a number at step 5"):
        train(tmp_path / "run", *PLANTED["nan"])


@pytest.mark.parametrize("loss", ["non_saturating", "hinge", "wasserstein"])
def test_a_healthy_training_raises_no_alarm(loss, tmp_path):
    """Under thresholds ten times as quick as the defaults; the recipes themselves are in docs/health.md."""
    healthy = ["optimizer.lr=1e-3", "optimizer.betas=[0.0,0.9]", "penalty=gp", "penalty.gp.weight=0.1", "max_steps=400"]
    run, _ = train(tmp_path / "run", *QUICK, f"loss={loss}", *healthy)
    assert run.record["alarms"] == []


def test_watching_changes_no_weight(tmp_path):
    models = [train(tmp_path / name, f"health={name}", "max_steps=60")[1] for name in ("none", "monitor")]
    for one, other in zip(*(model.state_dict().values() for model in models), strict=True):
        assert torch.equal(one, other)
    assert "health/" not in (tmp_path / "none" / "metrics.csv").read_text()
    assert "health/separation" in (tmp_path / "monitor" / "metrics.csv").read_text()


@pytest.mark.slow
@pytest.mark.parametrize("recipe", ["ring8_gan", "digits_dcgan"])
@pytest.mark.parametrize("seed", [0, 1])
def test_the_recipes_raise_no_alarm(recipe, seed, genexp, tmp_path):
    from genexp.runs import Run

    genexp("train", f"experiment={recipe}", f"seed={seed}", "logger=none", "score_every=0", "run_dir=run")
    assert Run(tmp_path / "run").record["alarms"] == []
