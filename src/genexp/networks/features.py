"""A critic whose last features are there for others to read."""

from collections.abc import Callable, Sequence

from torch import Tensor, nn

from genexp.networks.activations import activation
from genexp.networks.arguments import at_least, data_shape


class FeatureCritic(nn.Module):
    """Scores data by a linear function of features.

    Arguments:
        encoder: makes the network up to the features, `encoder(shape=..., outputs=code_dim)`.
        shape: shape of one datum, (C, H, W) or (D,).
        code_dim: number of features.

    Raises:
        UserError: there are no features.

    Example:
        >>> import torch
        >>> from genexp.networks.mlp import MLPEncoder
        >>> critic = FeatureCritic(MLPEncoder, shape=(2,), code_dim=8)
        >>> critic.features(torch.zeros(5, 2)).shape, critic(torch.zeros(5, 2)).shape
        (torch.Size([5, 8]), torch.Size([5, 1]))
    """

    def __init__(self, encoder: Callable[..., nn.Module], shape: Sequence[int], code_dim: int = 128) -> None:
        super().__init__()
        at_least(1, code_dim=code_dim)
        self.features = encoder(shape=data_shape(shape), outputs=code_dim)
        self.head = nn.Sequential(activation("leaky_relu")(), nn.Linear(code_dim, 1))

    def forward(self, x: Tensor) -> Tensor:
        """Maps data (B, *shape) to raw scores (B, 1)."""
        return self.head(self.features(x))
