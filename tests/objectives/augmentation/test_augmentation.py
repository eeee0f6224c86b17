"""When images are changed, and how often the adaptive augmentation changes them."""

import pytest
import torch

from genexp.errors import UserError
from genexp.objectives.augmentation import (
    AdaptiveAugmentation,
    Colour,
    Cutout,
    Mirror,
    NoAugmentation,
    RandomAugmentation,
    Translation,
)
from genexp.training.randomness import StepRandomness

ALL = {"colour": Colour(), "translation": Translation(), "cutout": Cutout()}


def alone(mean):
    return mean


def refuse(*shape):
    raise AssertionError("no number is needed")


def test_none_is_the_image_itself_without_a_draw():
    x = torch.randn(3, 1, 8, 8)
    assert NoAugmentation()(x, refuse) is x
    assert not NoAugmentation().state_dict()
    assert NoAugmentation().observe(x, 3, alone) == {}


def test_each_change_happens_with_its_probability_to_each_image():
    torch.manual_seed(0)
    x = torch.randn(4000, 1, 4, 4)
    assert torch.equal(RandomAugmentation(ALL, probability=0.0)(x, torch.rand), x)
    changed = (RandomAugmentation({"colour": Colour()}, probability=0.3)(x, torch.rand) != x).flatten(1).any(1)
    assert changed.float().mean().item() == pytest.approx(0.3, abs=4 * (0.21 / 4000) ** 0.5)
    everywhere = RandomAugmentation({"colour": Colour(), "off": None})(x, torch.rand)
    assert (everywhere != x).flatten(1).any(1).all()


def test_changes_are_made_in_their_order_with_the_numbers_of_each():
    x, u = torch.randn(5, 1, 8, 8), torch.rand(5, 4 + 3 + 3)
    expected = Cutout()(Translation()(Colour()(x, u[:, 1:4]), u[:, 5:7]), u[:, 8:])
    assert torch.equal(RandomAugmentation(ALL)(x, lambda n, k: u), expected)


def test_several_processes_see_what_one_sees():
    x = torch.randn(8, 1, 8, 8)
    seen = []
    for rank, size in ((0, 1), (0, 2), (1, 2)):
        random = StepRandomness(3, rank, size)
        random.begin(17)
        seen.append(RandomAugmentation(ALL, 0.5)(x.chunk(size)[rank], random.uniform))
    assert torch.equal(seen[0], torch.cat(seen[1:]))


def test_the_probability_follows_the_sign_of_scores():
    """Every four updates of 10 images it moves by 40/1000, between 0 and the limit."""
    ada = AdaptiveAugmentation({"mirror": Mirror()}, target=0.5, images_to_one=1000, limit=0.1)
    certain, unsure = torch.ones(10), torch.tensor([1.0, -1.0]).repeat(5)
    walked = []
    for scores in [certain] * 17 + [unsure] * 15:
        logged = ada.observe(scores, 10, alone)
        assert logged["augment/certainty"] == scores.sign().mean()
        walked.append(round(logged["augment/probability"].item(), 6))
    up = [0, 0, 0, 0.04, 0.04, 0.04, 0.04, 0.08, 0.08, 0.08, 0.08, 0.1, 0.1, 0.1, 0.1, 0.1]
    # the fifth group of four has one certain update: its mean is 1/4
    down = [0.1, 0.1, 0.1, 0.06, 0.06, 0.06, 0.06, 0.02, 0.02, 0.02, 0.02, 0, 0, 0, 0, 0]
    assert walked == up + down
    assert torch.equal(ada.probability, torch.zeros(()))


def test_its_state_is_saved_and_identical_where_means_are():
    ranks = [AdaptiveAugmentation({"mirror": Mirror()}, images_to_one=100, interval=2) for _ in range(2)]
    scores = [torch.tensor([1.0, 1.0, -1.0]), torch.tensor([1.0, 1.0, 1.0])]
    mean = torch.stack([s.sign().mean() for s in scores]).mean()
    for _ in range(3):
        for ada, own in zip(ranks, scores, strict=True):
            ada.observe(own, 6, lambda _: mean)
    one, other = (ada.state_dict() for ada in ranks)
    assert set(one) == {"probability", "seen"}
    assert all(torch.equal(one[key], other[key]) for key in one)
    fresh = AdaptiveAugmentation({"mirror": Mirror()}, images_to_one=100, interval=2)
    fresh.load_state_dict(one)
    fresh.observe(scores[1], 6, alone), ranks[0].observe(scores[1], 6, alone)
    assert fresh.probability == ranks[0].probability > 0


@pytest.mark.parametrize(
    ("build", "sentence"),
    [
        (lambda: RandomAugmentation({"cutout": None}), "augment.transforms is empty: .* or set augment=none"),
        (lambda: RandomAugmentation(ALL, probability=1.1), "augment.probability=1.1 is out of range"),
        (lambda: AdaptiveAugmentation(ALL, interval=0), "augment.interval=0"),
        (lambda: AdaptiveAugmentation(ALL, limit=1.5), "augment.limit=1.5"),
        (
            lambda: RandomAugmentation(ALL).check((2,)),
            r"changes images, but the data has shape \(2,\): set augment=none",
        ),
    ],
)
def test_impossible_arguments_end_in_a_sentence(build, sentence):
    with pytest.raises(UserError, match=sentence):
        build()
