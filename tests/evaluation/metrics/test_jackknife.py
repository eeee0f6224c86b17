"""The jackknife of a mean is its textbook standard error; of FD it is close to the true spread."""

import numpy as np
import pytest

from genexp.evaluation.metrics.frechet import frechet_distance_corrected
from genexp.evaluation.metrics.jackknife import jackknife_error


def test_of_a_mean_with_one_row_per_block_is_the_standard_error():
    x = np.random.default_rng(0).standard_normal((30, 1))
    expected = x.std(ddof=1) / np.sqrt(30)
    assert jackknife_error(np.mean, x, blocks=30) == pytest.approx(expected, rel=1e-12)


def test_of_a_mean_with_equal_blocks_is_the_standard_error_of_block_means():
    x = np.random.default_rng(1).standard_normal((100, 1))
    block_means = x.reshape(10, 10).mean(axis=1)
    expected = block_means.std(ddof=1) / np.sqrt(10)
    assert jackknife_error(np.mean, x) == pytest.approx(expected, rel=1e-12)


def test_blocks_cover_all_rows_once_and_are_shuffled_by_the_generator():
    x = np.arange(23)[:, None]
    removed: list[set[int]] = []

    def statistic(kept: np.ndarray) -> float:
        removed.append(set(range(23)) - set(kept[:, 0].tolist()))
        return 0.0

    jackknife_error(statistic, x, 5, np.random.default_rng(2))
    assert sorted(map(len, removed)) == [4, 4, 5, 5, 5]
    assert set.union(*removed) == set(range(23))
    assert removed[0] != set(range(5))


def test_of_the_frechet_distance_is_near_its_true_spread():
    rng = np.random.default_rng(3)
    ref = rng.standard_normal((400, 6))
    draws = [rng.standard_normal((200, 6)) * 1.3 for _ in range(60)]
    true_spread = np.std([frechet_distance_corrected(x, ref) for x in draws], ddof=1)
    errors = [jackknife_error(lambda rows: frechet_distance_corrected(rows, ref), x, 10, rng) for x in draws[:30]]
    assert np.sqrt(np.mean(np.square(errors))) == pytest.approx(true_spread, rel=0.3)


@pytest.mark.parametrize("blocks", [1, 6])
def test_bad_numbers_of_blocks_are_refused(blocks: int):
    with pytest.raises(ValueError, match="blocks must be between 2 and the number of rows 5"):
        jackknife_error(np.mean, np.zeros((5, 1)), blocks)
