import math

import pytest
import torch

from genexp.errors import UserError
from genexp.evaluation.feature_training import FeatureNet, TrainingSettings, train_features


def test_the_digits_network_has_the_documented_size():
    assert sum(p.numel() for p in FeatureNet((1, 8, 8), 10).parameters()) == 18_506


@pytest.mark.parametrize("shape", [(1, 8, 8), (1, 28, 28), (3, 32, 32), (3, 64, 48), (1, 5, 7), (1, 1, 3)])
def test_any_image_size_ends_in_the_same_number_of_features(shape):
    net = FeatureNet(shape, 0, 16, torch.Generator().manual_seed(0))
    x = torch.rand(2, *shape) * 2 - 1
    assert net.features(x).shape == (2, 16)
    assert net(x).shape == (2, 4)


def test_initial_weights_are_uniform_in_one_over_root_fan_in():
    net = FeatureNet((1, 8, 8), 10, generator=torch.Generator().manual_seed(0))
    weight = net.body[2].weight
    bound = 1 / math.sqrt(16 * 9)
    assert weight.abs().max() <= bound
    torch.testing.assert_close(weight.std(), torch.tensor(bound / math.sqrt(3)), rtol=0.05, atol=0)


def test_orientations_can_be_learnt():
    """Images with a bright top edge: which way is up is plain to see."""
    generator = torch.Generator().manual_seed(0)
    x = torch.rand(256, 1, 8, 8, generator=generator) * 0.2 - 1
    x[:, :, 0] = 1
    net = train_features(x, torch.zeros(256), 0, TrainingSettings(epochs=20)).net
    for orientation in range(4):
        assert (net(torch.rot90(x, orientation, dims=(-2, -1))).argmax(dim=1) == orientation).all()


def test_a_set_smaller_than_a_batch_is_refused():
    with pytest.raises(UserError, match="at least 64"):
        train_features(torch.zeros(10, 1, 8, 8), torch.zeros(10).long(), 10, TrainingSettings())
