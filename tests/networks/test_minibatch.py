import pytest
import torch

from genexp.errors import UserError
from genexp.networks.minibatch import MinibatchDeviation
from genexp.networks.normalisation import batch_coupled, uncoupled
from genexp.networks.progressive import ProgressiveEncoder


def test_equal_samples_have_the_smallest_deviation():
    made = MinibatchDeviation()(torch.full((8, 3, 2, 2), 5.0))
    assert made.shape == (8, 4, 2, 2)
    torch.testing.assert_close(made[:, 3], torch.full((8, 2, 2), 1e-4))
    assert torch.equal(made[:, :3], torch.full((8, 3, 2, 2), 5.0))


@pytest.mark.parametrize(("n", "size"), [(8, 4), (12, 4), (6, 3), (2, 2), (7, 1)])
def test_groups_are_strided(n, size):
    torch.manual_seed(0)
    x = torch.randn(n, 3, 2, 2, dtype=torch.float64)
    made = MinibatchDeviation(4)(x)[:, 3]
    for first in range(n // size):
        members = list(range(first, n, n // size))
        assert len(members) == size
        expected = (x[members].var(0, correction=0) + 1e-8).sqrt().mean()
        torch.testing.assert_close(made[members], expected.expand(size, 2, 2))


def test_it_couples_samples_and_says_what_to_do():
    critic = ProgressiveEncoder((1, 8, 8), width=4)
    assert batch_coupled(critic)
    assert uncoupled(critic) == "MinibatchDeviation in the critic mixes: set network.encoder.group=1"
    assert not batch_coupled(ProgressiveEncoder((1, 8, 8), width=4, group=1))
    with pytest.raises(UserError, match="group=1 is too small"):
        MinibatchDeviation(1)
