"""Paths between latents against their formulas."""

import math

import pytest
import torch

from genexp.errors import UserError
from genexp.exploration.paths import PATHS, between, loop


@pytest.fixture
def ends():
    generator = torch.Generator().manual_seed(0)
    return torch.randn(2, 4000, 8, generator=generator)


@pytest.mark.parametrize("name", PATHS)
def test_both_ends_are_the_latents_to_the_last_bit(name, ends):
    a, b = ends
    points = between(name, a, b, 7)
    assert points.shape == (4000, 7, 8) and points.dtype == a.dtype
    assert torch.equal(points[:, 0], a) and torch.equal(points[:, -1], b)


@pytest.mark.parametrize("name", PATHS)
def test_a_path_backwards_is_the_path_of_the_swapped_ends(name, ends):
    a, b = ends
    torch.testing.assert_close(between(name, a, b, 6).flip(1), between(name, b, a, 6))


def test_a_spherical_path_keeps_a_common_norm_and_moves_by_equal_angles(ends):
    a, b = (torch.nn.functional.normalize(end.double(), dim=1) * 3.0 for end in ends)
    points = between("spherical", a, b, 9)
    torch.testing.assert_close(points.norm(dim=2), torch.full((4000, 9), 3.0, dtype=torch.float64))
    cosines = torch.nn.functional.cosine_similarity(points[:, :-1], points[:, 1:], dim=2)
    whole = torch.nn.functional.cosine_similarity(a, b, dim=1).acos()
    torch.testing.assert_close(cosines, (whole / 8).cos()[:, None].expand(-1, 8))


def test_a_cos_sin_path_keeps_the_norm_of_orthogonal_latents():
    a, b = torch.tensor([[2.0, 0.0, 0.0]]), torch.tensor([[0.0, 0.0, 2.0]])
    points = between("cos-sin", a, b, 5)
    torch.testing.assert_close(points.norm(dim=2), torch.full((1, 5), 2.0))
    torch.testing.assert_close(points, between("spherical", a, b, 5))


def test_of_independent_gaussians_only_the_cos_sin_path_has_unit_variance(ends):
    a, b = ends
    middle = {name: between(name, a, b, 3)[:, 1].square().mean().item() for name in ("linear", "cos-sin")}
    error = 6 * math.sqrt(2 / a.numel())
    assert abs(middle["cos-sin"] - 1.0) < error
    assert abs(middle["linear"] - 0.5) < error


@pytest.mark.parametrize("factor", [1.0, 2.5, -1.0])
def test_latents_in_one_line_are_joined_by_the_line(factor):
    a = torch.tensor([[1.0, 2.0, -1.0]])
    torch.testing.assert_close(between("spherical", a, factor * a, 5), between("linear", a, factor * a, 5))


def test_a_closed_walk_passes_its_keyframes_and_comes_back(ends):
    keyframes = torch.stack([ends[0, :5], ends[1, :5], ends[0, 5:10]])
    walk = loop("spherical", keyframes, 4)
    assert walk.shape == (5, 12, 8)
    assert torch.equal(walk[:, ::4].transpose(0, 1), keyframes)
    torch.testing.assert_close(walk[:, 8:], between("spherical", keyframes[2], keyframes[0], 5)[:, :-1])


def test_what_is_no_path_is_refused(ends):
    with pytest.raises(UserError, match="choose one of linear, spherical, cos-sin"):
        between("bezier", *ends, 3)
    with pytest.raises(UserError, match="steps=1"):
        between("linear", *ends, 1)
    with pytest.raises(UserError, match="keyframes=1"):
        loop("linear", ends[:1], 3)
