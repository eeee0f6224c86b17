import math

import numpy as np
import pytest
import torch
from PIL import Image

from genexp.errors import UserError
from genexp.evaluation.protocol import Backdrop
from genexp.reporting.grid import image_grid, picture, scatter


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


def test_picture_tells_images_from_points(tmp_path):
    picture(torch.zeros(4, 1, 8, 8), tmp_path / "images.png")
    assert Image.open(tmp_path / "images.png").mode == "L"
    points = torch.rand(10, 2)
    picture(points, tmp_path / "points.png", Backdrop(points, None))
    picture(points, tmp_path / "alone.png")
    assert Image.open(tmp_path / "points.png").size == (480, 480)
    with pytest.raises(UserError, match="scatter"):
        picture(torch.zeros(10, 3), tmp_path / "none.png")


def test_drawing_leaves_matplotlib_alone(tmp_path):
    import matplotlib.pyplot as plt

    scatter(torch.rand(5, 2), tmp_path / "points.png")
    assert plt.get_fignums() == []
