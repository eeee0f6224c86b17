import pytest
import torch

from genexp.errors import UserError
from genexp.networks.mlp import MLPEncoder
from genexp.networks.pair import PairCritic


@pytest.mark.parametrize("width", [0, 16])
def test_scores_depend_on_the_difference_of_codes(width):
    torch.manual_seed(0)
    critic = PairCritic(MLPEncoder, shape=(2,), code_dim=8, width=width)
    x, y = torch.randn(2, 5, 2)
    one, other = critic(x, y)
    assert one.shape == (5,)
    torch.testing.assert_close(one, critic.head(critic.encoder(x) - critic.encoder(y)).squeeze(1))
    for here, there in zip((one, other), critic(y, x).flip(0), strict=True):
        torch.testing.assert_close(here, there)  # the second is the pair the other way round
    assert torch.equal(critic(x, x), critic(y, y))  # equal pairs look alike
    if width == 0:  # a linear head without a bias is antisymmetric
        torch.testing.assert_close(one, -other)
    else:
        assert not torch.allclose(one, -other)


@pytest.mark.parametrize("wrong", [{"code_dim": 0}, {"width": -1}])
def test_numbers_out_of_range_are_refused(wrong):
    with pytest.raises(UserError, match=next(iter(wrong))):
        PairCritic(MLPEncoder, shape=(2,), **wrong)
