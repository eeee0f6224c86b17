"""Each change of images by enumeration of its random numbers, against an independent form, and its gradients."""

import pytest
import torch

from genexp.errors import UserError
from genexp.objectives.augmentation import Colour, Cutout, Mirror, QuarterTurns, Transform, Translation

TRANSFORMS = [Colour(), Translation(), Cutout(), Mirror(), QuarterTurns()]


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(0)


def middles(n: int) -> torch.Tensor:
    """Numbers in the middle of n equal parts of [0, 1)."""
    return (torch.arange(n, dtype=torch.float64) + 0.5) / n


@pytest.mark.parametrize("transform", TRANSFORMS, ids=lambda t: type(t).__name__)
def test_each_image_is_changed_by_its_own_numbers_differentiably(transform: Transform):
    x, u = torch.randn(6, 3, 8, 8, dtype=torch.float64), torch.rand(6, transform.draws, dtype=torch.float64)
    together = transform(x, u)
    assert together.shape == x.shape
    for i in range(6):
        torch.testing.assert_close(transform(x[i : i + 1], u[i : i + 1])[0], together[i])
    small = torch.randn(2, 2, 4, 4, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda x: transform(x, u[:2]), (small,))


def test_colour_moves_brightness_saturation_and_contrast_apart():
    x, half = torch.rand(5, 3, 6, 6, dtype=torch.float64) - 0.5, torch.full((5, 3), 0.5, dtype=torch.float64)
    assert torch.equal(Colour()(x, half), x) or torch.allclose(Colour()(x, half), x, atol=1e-15)
    ends = torch.linspace(0, 1, 5, dtype=torch.float64)

    def only(column: int) -> torch.Tensor:
        u = half.clone()
        u[:, column] = ends
        return Colour()(x, u)

    shift = (ends - 0.5)[:, None, None, None]
    torch.testing.assert_close(only(0), x + shift)
    grey = x.mean(1, keepdim=True)
    torch.testing.assert_close(only(1), grey + 2 * ends[:, None, None, None] * (x - grey))  # from grey to twice
    mean = x.flatten(1).mean(1)[:, None, None, None]
    torch.testing.assert_close(only(2), mean + (0.5 + ends)[:, None, None, None] * (x - mean))
    one_channel = x[:, :1]
    u = torch.rand(5, 3, dtype=torch.float64)
    without = torch.cat([u[:, :1], half[:, :1], u[:, 2:]], dim=1)
    torch.testing.assert_close(Colour()(one_channel, u), Colour()(one_channel, without))


def test_translations_are_all_whole_moves_each_as_often():
    x = torch.randn(1, 2, 16, 12, dtype=torch.float64)  # at most 2 rows and, of 1.5 columns, 2
    u = torch.cartesian_prod(middles(5), middles(5))
    moved = Translation(share=0.125)(x.expand(25, -1, -1, -1), u)
    padded = torch.nn.functional.pad(x[0], (2, 2, 2, 2))
    expected = [padded[:, i : i + 16, j : j + 12] for i in range(5) for j in range(5)]
    assert torch.equal(moved, torch.stack(expected))


@pytest.mark.parametrize(("size", "length"), [(8, 4), (6, 3)])
def test_holes_have_every_centre_each_as_often(size, length):
    places = size + 1 - length % 2
    u = torch.cartesian_prod(middles(places), middles(places))
    left = Cutout(share=0.5)(torch.ones(len(u), 1, size, size), u)[:, 0]
    expected = []
    for row in range(places):
        for column in range(places):
            hole = torch.ones(size + 2 * length, size + 2 * length)
            top, start = row - length // 2 + length, column - length // 2 + length
            hole[top : top + length, start : start + length] = 0
            expected.append(hole[length:-length, length:-length])
    assert torch.equal(left, torch.stack(expected))


def test_turns_and_mirrors_are_those_of_torch():
    x = torch.randn(4, 2, 5, 5)
    turned = QuarterTurns()(x, middles(4)[:, None])
    for turns in range(4):
        assert torch.equal(turned[turns], x[turns].rot90(turns, (1, 2)))
    mirrored = Mirror()(x[:2], middles(2)[:, None])
    assert torch.equal(mirrored, torch.stack([x[0].flip(2), x[1]]))


def test_impossible_arguments_end_in_a_sentence():
    for build in (lambda: Colour(contrast=2.0), lambda: Translation(share=-0.1), lambda: Cutout(share=1.5)):
        with pytest.raises(UserError, match=r"is out of range: give a number in \[0, 1\]"):
            build()
    with pytest.raises(UserError, match="Quarter turns need square images"):
        QuarterTurns().check((1, 8, 6))
