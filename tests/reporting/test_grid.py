import math

import numpy as np
import pytest
import torch
from PIL import Image

from genexp.errors import UserError
from genexp.evaluation.pictured import Backdrop, Neighbours
from genexp.reporting.grid import _in_plane, image_grid, neighbour_strip, picture, scatter


def test_pixels_are_where_they_belong():
    x = torch.full((3, 1, 2, 2), -1.0)
    x[1, 0, 0, 1] = 1.0  # second image, top right
    x[2] = 0.0  # third image, in the second row
    sheet = np.asarray(image_grid(x, columns=2, scale=3, border=1))
    assert sheet.shape == (2 * 7 + 1, 2 * 7 + 1)
    assert sheet.dtype == np.uint8
    expected = np.zeros_like(sheet)
    expected[1:4, 8 + 3 : 8 + 6] = 255
    expected[8:14, 1:7] = 128
    np.testing.assert_array_equal(sheet, expected)


def test_colours_and_automatic_size():
    x = torch.tensor([1.0, -1.0, 0.0]).reshape(1, 3, 1, 1).expand(10, 3, 8, 8)
    sheet = image_grid(x)
    assert sheet.mode == "RGB"
    assert sheet.size == (4 * 33 + 1, 3 * 33 + 1)  # 8 x 8 is shown as 32 x 32, and 10 images 4 in a row
    assert sheet.getpixel((5, 5)) == (255, 0, 128)


def test_values_out_of_range_are_clipped_and_nan_is_black():
    x = torch.tensor([-9.0, 9.0, math.nan, math.inf]).reshape(4, 1, 1, 1)
    sheet = np.asarray(image_grid(x, columns=4, scale=1, border=0))
    np.testing.assert_array_equal(sheet, [[0, 255, 0, 255]])


@pytest.mark.parametrize("shape", [(4, 8, 8), (4, 2, 8, 8), (0, 1, 8, 8)])
def test_what_is_no_batch_of_images_is_refused(shape):
    with pytest.raises(UserError, match="A grid needs images"):
        image_grid(torch.zeros(shape))


def test_scatter_draws_points_where_they_are(tmp_path):
    reference = torch.rand(500, 2, generator=torch.Generator().manual_seed(0)) * 2 - 1
    points = torch.tensor([[0.5, 0.5], [math.nan, 0.0]]).repeat(50, 1)
    scatter(points, tmp_path / "with.png", reference, lambda x: -8 * (x**2).sum(dim=1))
    scatter(points[:0], tmp_path / "without.png", reference)
    drawn = np.asarray(Image.open(tmp_path / "with.png").convert("RGB")).astype(int)
    empty = np.asarray(Image.open(tmp_path / "without.png").convert("RGB")).astype(int)
    blue = (drawn[..., 2] - drawn[..., 0] > 60) & (empty[..., 2] - empty[..., 0] <= 60)
    rows, columns = np.nonzero(blue)
    assert len(rows) > 0
    assert rows.mean() < drawn.shape[0] / 2  # up
    assert columns.mean() > drawn.shape[1] / 2  # and to the right


def test_classes_of_points_are_colours_and_those_of_images_columns(tmp_path):
    x = torch.tensor([[-0.5, 0.0], [0.5, 0.0], [math.nan, 0.0]]).repeat(50, 1)
    frame = torch.tensor([[-1.0, -1.0], [1.0, 1.0]])
    picture(x, tmp_path / "points.png", Backdrop(frame, None), y=torch.tensor([0, 3, 1]).repeat(50))
    drawn = np.asarray(Image.open(tmp_path / "points.png").convert("RGB")).astype(int)
    middle, body = drawn.shape[1] // 2, drawn[drawn.shape[0] // 4 : -drawn.shape[0] // 4]  # without the legend
    blue, red = body[..., 2] - body[..., 0] > 60, body[..., 0] - body[..., 2] > 60  # classes 0 and 3 of tab10
    assert blue[:, :middle].any() and not blue[:, middle:].any()
    assert red[:, middle:].any() and not red[:, :middle].any()
    picture(torch.zeros(6, 1, 8, 8), tmp_path / "images.png", columns=2)
    assert Image.open(tmp_path / "images.png").size == (2 * 33 + 1, 3 * 33 + 1)


def test_picture_tells_images_from_points(tmp_path):
    picture(torch.zeros(4, 1, 8, 8), tmp_path / "images.png")
    assert Image.open(tmp_path / "images.png").mode == "L"
    points = torch.rand(10, 2)
    picture(points, tmp_path / "points.png", Backdrop(points, None))
    picture(points, tmp_path / "alone.png")
    assert Image.open(tmp_path / "points.png").size == (480, 480)
    with pytest.raises(UserError, match="scatter"):
        picture(torch.zeros(10, 3, 2), tmp_path / "none.png")


def test_points_of_more_dimensions_are_seen_along_the_axes_of_the_real_ones():
    generator = torch.Generator().manual_seed(0)
    scales = torch.tensor([0.1, 3.0, 0.2, 1.0, 0.1])
    real = torch.randn(4000, 5, generator=generator) * scales + 7
    points = 7 + 10 * torch.eye(5)
    frame, seen = _in_plane(real, points)
    torch.testing.assert_close(frame.std(dim=0), torch.tensor([3.0, 1.0]), rtol=0.05, atol=0)
    expected = torch.zeros(5, 2)
    expected[1, 0] = expected[3, 1] = 10.0  # the second and the fourth coordinate, both upwards
    torch.testing.assert_close(seen, expected, rtol=0, atol=0.7)
    rotation = torch.linalg.qr(torch.randn(5, 5, generator=generator))[0]
    turned, _ = _in_plane(real @ rotation, points)
    for i in range(2):
        sign = torch.sign(turned[0, i] * frame[0, i])
        torch.testing.assert_close(sign * turned[:, i], frame[:, i], rtol=0, atol=2e-3)


@pytest.mark.parametrize("dim", [1, 3, 50])
def test_points_of_any_dimension_have_a_picture(tmp_path, dim):
    real, points = torch.randn(300, dim, generator=torch.Generator().manual_seed(0)).split([200, 100])
    points[0] = math.nan
    density = Backdrop(real, lambda x: (_ for _ in ()).throw(AssertionError("the plane has no density here")))
    picture(points, tmp_path / "points.png", density)
    picture(points, tmp_path / "alone.png")
    picture(points[:1], tmp_path / "none.png")  # nothing finite
    picture(points[:1], tmp_path / "real.png", Backdrop(real, None))
    drawn, empty = (np.asarray(Image.open(tmp_path / f"{name}.png").convert("RGB")) for name in ("points", "real"))
    assert drawn.shape == empty.shape == (480, 480, 3)
    assert (drawn != empty).any()
    scatter(points, tmp_path / "named.png", real, title="mine")
    assert (np.asarray(Image.open(tmp_path / "named.png").convert("RGB")) != drawn).any()  # another title


def test_a_strip_has_each_sample_above_its_neighbour(tmp_path):
    values = torch.linspace(-1, 1, 6).reshape(6, 1, 1, 1).expand(6, 1, 2, 2)
    neighbour_strip(Neighbours(values[:3], values[3:], np.arange(3.0)), tmp_path / "nearest.png")
    sheet = np.asarray(Image.open(tmp_path / "nearest.png"))
    tile = 2 * 16 + 1  # enlarged, with a border
    assert sheet.shape == (2 * tile + 1, 3 * tile + 1)
    centres = sheet[tile // 2 :: tile, tile // 2 :: tile][:2, :3]
    np.testing.assert_array_equal(centres, [[0, 51, 102], [153, 204, 255]])


def test_drawing_leaves_matplotlib_alone(tmp_path):
    import matplotlib.pyplot as plt

    scatter(torch.rand(5, 2), tmp_path / "points.png")
    assert plt.get_fignums() == []
