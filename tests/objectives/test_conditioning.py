import math

import pytest
import torch

from genexp.errors import UserError
from genexp.objectives.conditioning import AuxiliaryClassifier, Concatenation, Projection

Y = torch.tensor([0, 1, 2, 2])


def test_a_classifier_that_knows_nothing_costs_the_entropy_of_uniform_classes():
    term = AuxiliaryClassifier(real=2.0, fake=0.5, generator=3.0)
    seen = {}
    nothing = torch.zeros(4, 3)
    assert term.critic_term(Y, nothing, nothing, seen.__setitem__).item() == pytest.approx(2.5 * math.log(3))
    assert term.generator_term(Y, nothing).item() == pytest.approx(3 * math.log(3))
    assert {name: value.item() for name, value in seen.items()} == pytest.approx(
        {"cross_entropy/real": math.log(3), "cross_entropy/fake": math.log(3)}
    )


def test_each_factor_weighs_its_own_cross_entropy():
    torch.manual_seed(0)
    real, fake = torch.randn(2, 4, 3, dtype=torch.float64)
    by_hand = [-torch.log_softmax(logits, dim=1)[range(4), Y].mean() for logits in (real, fake)]
    term = AuxiliaryClassifier(real=0.3, fake=0.7, generator=0.1)
    torch.testing.assert_close(
        term.critic_term(Y, real, fake, lambda name, value: None), 0.3 * by_hand[0] + 0.7 * by_hand[1]
    )
    torch.testing.assert_close(term.generator_term(Y, fake), 0.1 * by_hand[1])


def test_only_a_classifier_of_samples_makes_the_players_cooperate():
    assert AuxiliaryClassifier().cooperates and AuxiliaryClassifier(fake=0).cooperates
    assert not AuxiliaryClassifier(fake=0, generator=0).cooperates
    for conditioning in (Concatenation(), Projection()):
        assert not conditioning.cooperates
        assert conditioning.critic_term(Y, Y, Y, print) == conditioning.generator_term(Y, Y) == 0.0


@pytest.mark.parametrize("name", ["real", "fake", "generator"])
def test_negative_factors_are_refused(name):
    with pytest.raises(UserError, match=name):
        AuxiliaryClassifier(**{name: -1.0})
