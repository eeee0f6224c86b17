import pytest
import torch

from genexp.errors import UserError
from genexp.networks.features import FeatureCritic
from genexp.networks.mlp import MLPEncoder


def test_the_score_is_linear_in_what_the_features_become():
    torch.manual_seed(0)
    critic = FeatureCritic(MLPEncoder, (2,), code_dim=8)
    x = torch.randn(5, 2)
    features = critic.features(x)
    assert features.shape == (5, 8)
    activated = torch.where(features > 0, features, 0.2 * features)
    torch.testing.assert_close(critic(x), activated @ critic.head[1].weight.T + critic.head[1].bias)


def test_no_features_are_refused():
    with pytest.raises(UserError, match="code_dim=0"):
        FeatureCritic(MLPEncoder, (2,), code_dim=0)
