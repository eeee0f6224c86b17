from typing import Any

import pytest
from scipy import stats
from tests.reporting.synthetic_runs import FINGERPRINTS

from genexp.reporting.comparisons import judgement

GOOD = {"fd32c": [1.0, 1.1, 0.9, 1.0], "coverage": [0.8, 0.81, 0.8, 0.79], "recall": [0.7] * 4, "copy_rate": [0.01] * 4}
BAD = {**GOOD, "fd32c": [3.0, 3.1, 2.9, 3.0]}


def setting(label: str, failures: int = 0, **values) -> dict[str, Any]:
    mean = {name: sum(column) / len(column) for name, column in values.items()}
    count = len(values["fd32c"])
    return {
        **{"id": label, "label": label, "seeds": list(range(count)), "values": values, "mean": mean, "n": count},
        "failures": [{}] * failures,
    }


def verdict(a, b, **more) -> str:
    return judgement(setting("A", **a), setting("B", **b, **more), "fd32c", FINGERPRINTS["digits"])["sentence"]


def test_better_is_said_in_either_order():
    p = stats.ttest_ind(GOOD["fd32c"], BAD["fd32c"], equal_var=False).pvalue
    expected = f"fd32c 1 against 3 (Welch p = {p:.2g})."
    assert verdict(GOOD, BAD) == f"A is better than B: {expected}"
    assert verdict(BAD, GOOD) == f"B is better than A: {expected}"
    assert verdict(BAD, GOOD, failures=4) == (
        f"B is better than A: {expected} It failed in 4 of 8 runs, which this does not count."
    )


@pytest.mark.parametrize(
    ("spoilt", "why"),
    [
        ({"coverage": [0.5, 0.51, 0.5, 0.49]}, "its coverage is significantly worse (Welch p ="),
        ({"recall": [0.3, 0.31, 0.3, 0.29]}, "its recall is significantly worse (Welch p ="),
        ({"copy_rate": [0.01, 0.01, 0.03, 0.03]}, "the interval of its copy_rate exceeds 0.02"),
    ],
)
def test_a_better_headline_must_not_be_paid_for(spoilt, why):
    sentence = verdict({**GOOD, **spoilt}, BAD)
    assert sentence.startswith("Not separable at this budget: A has the better fd32c (Welch p = ")
    assert why in sentence


def test_what_gets_better_elsewhere_is_no_objection():
    assert verdict({**GOOD, "coverage": [0.95, 0.96, 0.95, 0.96]}, BAD).startswith("A is better than B")


def test_no_difference_and_too_few_runs():
    near = {**GOOD, "fd32c": [1.0, 1.2, 0.9, 1.1]}
    assert verdict(GOOD, near).startswith(
        "Not separable at this budget: fd32c does not differ significantly (Welch p ="
    )
    one = {name: column[:1] for name, column in GOOD.items()}
    assert verdict(one, BAD) == "Not separable at this budget: a test needs at least two finished runs of each."


def test_the_rows_hold_the_metrics_that_decide():
    found = judgement(setting("A", **GOOD), setting("B", **BAD), "fd32c", FINGERPRINTS["digits"])
    assert [row["metric"] for row in found["rows"]] == ["fd32c", "coverage", "recall", "copy_rate"]
    assert [row["a_wins"] for row in found["rows"]] == [4, 0, 0, 0]
    assert found["rows"][0]["difference"] == pytest.approx(-2.0)
