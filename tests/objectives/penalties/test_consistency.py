"""Consistency: the copies are what they should be, and their scores are compared one by one."""

import pytest
import torch
from torch import nn

from genexp.errors import UserError
from genexp.objectives.penalties import Consistency, Nudge, Step

W = torch.tensor([3.0, 4.0])
STEP = Step()


def linear(x):
    return x @ W


def test_noise_on_points_under_a_linear_critic():
    """D(x) - D(x + n) = -w n: the penalty is the mean square of that, and the samples' share is weighed."""
    torch.manual_seed(0)
    noise = torch.rand(8, 2)

    def uniform(*shape):
        return noise.reshape(shape)

    differences = (0.1 * (2 * noise - 1)) @ W
    real, fake = torch.randn(8, 2), torch.randn(8, 2)
    one = Consistency(augment=Nudge(noise=0.1))(linear, real, fake, Step(uniform))
    torch.testing.assert_close(one, differences.square().mean())
    both = Consistency(augment=Nudge(noise=0.1), samples=0.5)(linear, real, fake, Step(uniform))
    torch.testing.assert_close(both, 1.5 * differences.square().mean())


@pytest.mark.parametrize("flip", [False, True])
def test_images_are_moved_by_whole_pixels_and_the_edge_is_repeated(flip):
    torch.manual_seed(0)
    x = torch.randn(400, 2, 5, 7)
    moved = Nudge(shift=0.3, flip=flip)(x, torch.rand)
    padded = nn.functional.pad(x, (2, 2, 2, 2), mode="replicate")
    found = torch.zeros(2, 5, 5)  # flipped, rows, columns
    for image, wide in zip(moved, padded, strict=True):
        hits = [
            (mirrored, row, column)
            for mirrored in range(2)
            for row in range(5)
            for column in range(5)
            if torch.equal(image.flip(-1) if mirrored else image, wide[:, row : row + 5, column : column + 7])
        ]
        assert len(hits) == 1
        found[hits[0]] += 1
    assert (found[0] > 0).all()  # every distance in both directions occurs
    assert (found[1] > 0).all() == flip
    rows = found.sum((0, 2)) / 400
    assert (rows - 0.2).abs().max() < 0.08


def test_gradient_reaches_the_critic_alone_and_batch_norm_is_allowed():
    torch.manual_seed(0)
    critic = nn.Sequential(nn.Linear(2, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, 1))
    generator = nn.Linear(2, 2)
    Consistency(samples=1.0)(critic, torch.randn(16, 2), generator(torch.randn(16, 2)), STEP).backward()
    assert all(p.grad is None for p in generator.parameters())
    assert critic[0].weight.grad.abs().max() > 0
    assert not Consistency.per_sample
    assert not Consistency.bounds_critic


def test_a_blind_critic_is_consistent():
    x = torch.randn(4, 1, 8, 8)
    assert Consistency(samples=1.0)(lambda x: x.flatten(1).sum(1) * 0 + 3, x, x, STEP).item() == 0


@pytest.mark.parametrize(
    ("build", "sentence"),
    [
        (lambda: Nudge(shift=0.0), "give a shift in"),
        (lambda: Nudge(noise=0.0), "noise above 0"),
        (lambda: Consistency(samples=-1.0), "samples=-1.0 is out of range"),
    ],
)
def test_impossible_arguments_end_in_a_sentence(build, sentence):
    with pytest.raises(UserError, match=sentence):
        build()
