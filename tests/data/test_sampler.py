import numpy as np
import pytest
import torch

from genexp.data.sampler import EPOCHS, SPLITS, STEPS, EpochOrder, Share, StepSampler, key, torch_seed
from genexp.errors import UserError


def test_sampler_yields_the_steps_that_are_left():
    assert list(StepSampler(3, 7)) == [3, 4, 5, 6]
    assert len(StepSampler(3, 7)) == 4
    assert len(StepSampler(7, 3)) == 0
    assert list(StepSampler(7, 3)) == []


def test_keys_never_meet():
    seeds = (0, 1, 20240, 20240 + 2**32, 2**64 + 5)
    keys = {torch_seed(s, stream, i) for s in seeds for stream in (EPOCHS, STEPS, SPLITS) for i in range(50)}
    assert len(keys) == len(seeds) * 3 * 50


def test_order_is_the_concatenation_of_the_epochs_permutations():
    n, seed = 7, 3
    epochs = [np.random.Generator(np.random.PCG64(key(seed, EPOCHS, e))).permutation(n) for e in range(4)]
    order = EpochOrder(seed, n)
    whole = order.take(0, 4 * n).numpy()
    np.testing.assert_array_equal(whole, np.concatenate(epochs))
    for epoch in whole.reshape(4, n):
        assert sorted(epoch) == list(range(n))
    assert not np.array_equal(epochs[0], epochs[1])


@pytest.mark.parametrize("count", [1, 3, 7, 20])
def test_any_part_of_the_order_is_the_same_whatever_was_read_before(count):
    whole = EpochOrder(5, 7).take(0, 60)
    walked, jumped = EpochOrder(5, 7), EpochOrder(5, 7)
    for start in range(0, 60 - count, count):
        assert torch.equal(walked.take(start, count), whole[start : start + count])
    for start in (33, 2, 19, 0):
        assert torch.equal(jumped.take(start, count), whole[start : start + count])


@pytest.mark.parametrize("world_size", [1, 2, 3, 6])
def test_shares_side_by_side_are_the_batches_of_one_process(world_size):
    rows = torch.arange(4 * 12 * 2).reshape(48, 2)
    shares = [Share(4, 12, rank, world_size).of(rows).unflatten(0, (4, -1)) for rank in range(world_size)]
    assert torch.equal(torch.cat(shares, dim=1), rows.unflatten(0, (4, 12)))


def test_a_batch_that_does_not_divide_is_refused():
    with pytest.raises(UserError, match="batch_size=10 does not divide among 4 processes"):
        Share(1, 10, 0, 4)
