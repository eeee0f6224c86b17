"""Authenticity counted by hand, its null against geometry, and what it says of copies."""

import numpy as np
import pytest

from genexp.evaluation.metrics.authenticity import authenticity, dense_authenticity


def test_it_is_what_a_count_by_hand_gives():
    train = np.array([[0.0], [1.0], [4.0]])  # nearest other rows: at 1, 1 and 3
    assert authenticity([[-0.9]], train) == 0  # 0.9 from 0, whose neighbour is at 1
    assert authenticity([[-1.1]], train) == 1
    assert authenticity([[6.9]], train) == 0  # 2.9 from 4, whose neighbour is at 3
    assert authenticity([[7.1]], train) == 1
    assert authenticity([[-1.0], [7.0]], train) == 0  # ties
    assert authenticity([[-0.9], [-1.1], [6.9], [7.1], [2.0], [2.6]], train) == pytest.approx(2 / 6)


def test_copies_are_not_authentic_even_of_repeated_rows():
    rng = np.random.default_rng(0)
    train = rng.standard_normal((60, 3))
    assert authenticity(train, train) == 0
    assert authenticity(np.tile(train, (2, 1)), np.tile(train, (2, 1))) == 0
    assert authenticity(train + 1e-6, train) == 0
    fresh = rng.standard_normal((300, 3))
    mixed = np.concatenate([fresh, train])
    assert authenticity(mixed, train) == pytest.approx(300 / 360 * authenticity(fresh, train))


def test_far_samples_are_authentic():
    train = np.random.default_rng(0).standard_normal((60, 3))
    assert authenticity(train + 100, train) == 1


def test_the_null_has_its_closed_forms():
    assert dense_authenticity(1) == pytest.approx(1 / 3)
    lens = 2 * np.pi / 3 - np.sqrt(3) / 2  # of two unit circles, each through the other's centre
    assert dense_authenticity(2) == pytest.approx(1 - 1 / (2 - lens / np.pi))
    assert dense_authenticity(3) == pytest.approx(1 - 1 / (2 - 5 / 16))
    assert dense_authenticity(200) == pytest.approx(0.5)


@pytest.mark.parametrize(("dim", "n"), [(1, 2000), (2, 4000)])
def test_a_perfect_generator_reads_the_null(dim: int, n: int):
    """37 to 38 % in the plane; the binomial error over five sets is 0.004."""
    shares = []
    for seed in range(5):
        rng = np.random.default_rng(seed)
        shares.append(authenticity(rng.standard_normal((n, dim)), rng.standard_normal((n, dim))))
    assert np.mean(shares) == pytest.approx(dense_authenticity(dim), abs=0.016)


def test_in_many_dimensions_no_sample_is_dense():
    rng = np.random.default_rng(0)
    assert authenticity(rng.standard_normal((599, 64)), rng.standard_normal((599, 64))) > 0.75


def test_what_has_no_neighbours_is_refused():
    with pytest.raises(ValueError, match="train needs at least 2 rows"):
        authenticity([[0.0]], [[1.0]])
    with pytest.raises(ValueError, match="dim must be at least 1"):
        dense_authenticity(0)
