"""Each alarm is a function of rows: it holds where it should, and for nothing else."""

import pytest

from genexp.errors import UserError
from genexp.training.alarms import CriticWon, GeneratorDead, ModeCollapse, Oscillation

HEALTHY = {"separation": 0.8, "gap": 1.2, "diversity": 1.0, "gradient_generator": 1e-3, "gradient_critic": 1e-3}
WON = {"separation": 1.0, "gap": 12.0, "diversity": 0.1}
COLLAPSED = {"separation": 0.6, "gap": 0.4, "diversity": 0.12}
SWINGS = [{"gap": 3.0}, {"gap": -3.0}] * 10


def rows(*changes, count=20):
    changes = changes * (count if len(changes) == 1 else 1)
    return [{"step": 50 * k, **HEALTHY, **change} for k, change in enumerate(changes)]


ALL = [GeneratorDead(), CriticWon(), ModeCollapse(), Oscillation()]


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        (rows({}), None),
        (rows({"gradient_generator": 0.0}), GeneratorDead),
        (rows({"gradient_generator": 5e-9}), GeneratorDead),
        (rows(WON), CriticWon),
        (rows(COLLAPSED), ModeCollapse),
        (rows(*SWINGS), Oscillation),
        (rows(*[{**COLLAPSED, **swing} for swing in SWINGS]), ModeCollapse),
        (rows({"separation": 1.0, "gap": 4.5}), None),
        (rows({"gap": -3.0, "separation": 0.02}), None),
    ],
)
def test_one_name_for_one_failure(found, expected):
    assert [type(alarm) for alarm in ALL if alarm(found) is not None] == ([expected] if expected else [])


@pytest.mark.parametrize("bad", [{"gradient_generator": 0.0}, WON, COLLAPSED])
def test_a_single_row_that_is_well_is_no_alarm(bad):
    found = [*rows(bad, count=10), *rows({}, count=1), *rows(bad, count=9)]
    assert all(alarm(found) is None for alarm in ALL)


@pytest.mark.parametrize("alarm", ALL, ids=lambda alarm: type(alarm).__name__)
def test_numbers_that_a_model_does_not_have_raise_no_alarm(alarm):
    assert alarm([{"step": k, "gradient_model": 0.0} for k in range(30)]) is None


def test_a_small_swing_or_few_turns_are_no_oscillation():
    assert Oscillation()(rows(*[{"gap": 0.9}, {"gap": -0.9}] * 10)) is None
    assert Oscillation()(rows(*[{"gap": 3.0}] * 10, *[{"gap": -3.0}] * 10)) is None
    assert Oscillation(turns=1)(rows(*[{"gap": 3.0}] * 10, *[{"gap": -3.0}] * 10)) is not None


@pytest.mark.parametrize("make", [GeneratorDead, CriticWon, ModeCollapse, Oscillation])
def test_numbers_out_of_range_are_refused(make):
    with pytest.raises(UserError, match="steps=0"):
        make(steps=0)
