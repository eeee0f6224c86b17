"""What is filled in must be what Hydra composes, whatever else depends on the values."""

import itertools

import pytest
from omegaconf import OmegaConf
from tests.cases import TINY

from genexp import config, templates
from genexp.errors import UserError
from genexp.templates import Template, shape_and_values

BASE = [*TINY, "model=gan"]
AXES = {
    "loss": ["hinge", "non_saturating"],
    "penalty": ["none", "[gp,r1]"],
    "optimizer.lr": ["1e-3", "2e-4", "0.5"],
    "batch_size": ["8", "16"],
    "model.latent_dim": ["2", "3"],
    "network.decoder.activation": ["relu", "silu"],  # the model's node repeats it
    "dataset.density.modes": ["8", "5"],  # others interpolate it
    "evaluation.seed": ["${seed}", "4"],
    "optimizer.betas": ["[0.0,0.9]", "[0.5,0.9]"],
    "name": ["null", "mine", "a${batch_size}"],
    "seed": ["0", "7"],
}


def alone(job: list[str], seed: int) -> dict:
    """The config as Hydra makes it for this job and no other, the seed being an override like others."""
    ((composed,),) = config.compose_seeds([[*job, f"seed={seed}"]], None)
    return composed.plain


PAIRS = [
    ("loss", "optimizer.lr"),
    ("penalty", "dataset.density.modes"),
    ("evaluation.seed", "name"),
    ("batch_size", "network.decoder.activation"),
    ("optimizer.betas", "seed"),
]


@pytest.mark.parametrize("keys", PAIRS, ids="-".join)
def test_many_at_once_are_what_each_is_alone(keys):
    jobs = [
        [*BASE, *(f"{key}={value}" for key, value in zip(keys, values, strict=True))]
        for values in itertools.product(*(AXES[key] for key in keys))
    ]
    seeds = 1 if "seed" in keys else 2
    found = config.compose_seeds(jobs, seeds)
    assert [len(of_seeds) for of_seeds in found] == [seeds] * len(jobs)
    for job, of_seeds in [*zip(jobs, found, strict=True)][-4:]:  # the first are what the others are filled from
        expected = alone(job, of_seeds[-1].plain["seed"])
        assert of_seeds[-1].plain == expected
        assert [*map(type, of_seeds[-1].plain.values())] == [*map(type, expected.values())]


def test_plain_values_are_composed_once(monkeypatch):
    composed = []
    real = config._compose
    monkeypatch.setattr(config, "_compose", lambda *args, **kwargs: composed.append(args[0]) or real(*args, **kwargs))
    jobs = [[*BASE, f"loss={loss}", f"optimizer.lr={i}e-4"] for loss in AXES["loss"] for i in range(1, 50)]
    found = config.compose_seeds(jobs, 5)
    assert len(composed) == 2
    assert len({config.identity(one.plain) for of_seeds in found for one in of_seeds}) == 2 * 49 * 5


def test_values_of_another_type_are_checked_as_ever():
    jobs = [[*BASE, "batch_size=8"], [*BASE, "batch_size=16"]]
    for wrong, sentence in (
        ("batch_size=many", "batch_size"),
        ("batch_size=0", "batch_size=0"),
        ("seed=-1", "seed=-1"),
    ):
        with pytest.raises(UserError, match=sentence):
            config.compose_seeds([*jobs, [*BASE, wrong]], None)


def test_what_a_value_decides_is_resolved_anew():
    composed = OmegaConf.create(
        {"n": 1, "text": "n is ${n}", "of": {"a": 10, "b": 20}, "key": "a", "chosen": "${of.${key}}", "alone": 1}
    )
    template = Template(composed, {"n": 1, "key": "a", "alone": 1})
    assert template.filled({"n": 2})["text"] == "n is 2"
    assert template.filled({"key": "b"})["chosen"] == 20
    assert template._places["n"] is template._places["key"] is None
    assert template.filled({"n": 1, "alone": 5})["alone"] == 5
    assert template._places["alone"] == [("alone",)]
    assert template.filled({})["alone"] == 1  # what was shared has not changed


def test_what_is_no_plain_value_is_of_the_shape():
    words = ["a=1", "+b=1", "~c", "d=[1]", "e={f:1}", "g=null", "h=${a}", "loss=1", "i/j=k", "hydra.run=1", "k='${a}'"]
    other = [f"{word.partition('=')[0]}=2" for word in words]
    (shape, values), _ = shape_and_values([words, other], {"loss"})
    assert values == {"a": 1}
    assert shape == (("a", int), *words[1:])
    twice = ["a=1", "a=2"]
    assert shape_and_values([twice, other], {})[0] == (("a=1", "a=2"), {})


@pytest.mark.parametrize("value", [True, 3, 0.25, "word"])
def test_another_value_is_another_and_of_the_same_type(value):
    other = templates._another(value)
    assert other != value and type(other) is type(value)
