r"""The last layer of a critic that scores what it sees several times.

A linear head scores features $v$ by $\langle v, w\rangle$ and sees nothing of $v$ but its component along $w$.
Cascading rejection asks again about what is left of it:

$$v_1 = v, \qquad D_i = \langle v_i, w_i\rangle, \qquad v_{i+1} = v_i - \frac{\langle v_i, w_i\rangle}{\|w_i\|^2} w_i.$$

All of it is linear in $v$, so that $D_i = \langle v, \tilde w_i\rangle$ with
$\tilde w_i = (I - P_1) \cdots (I - P_{i-1})\,w_i$ and $P_j = w_j w_j^\top / \|w_j\|^2$: the $N$ weights are
transformed, and the features are read once.

References:
    A Simple yet Effective Way for Improving the Performance of GANs (Shin et al., 2019),
    https://arxiv.org/abs/1911.10979
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from genexp.errors import UserError

TINY = 1e-12  # the least squared norm of a weight that is divided by


def rejected(weights: Tensor) -> Tensor:
    r"""The weights $\tilde w_i$ that score features as the cascade does.

    Arguments:
        weights: $w_1, \dots, w_N$, (N, D).

    Returns:
        (N, D), in order; every one but the first is orthogonal to $w_1$.

    Example:
        >>> rejected(torch.tensor([[1.0, 0.0], [1.0, 1.0]]))
        tensor([[1., 0.],
                [0., 1.]])
    """
    for j in reversed(range(len(weights) - 1)):  # row i loses its part along w_{i-1} first, along w_1 last
        weights = torch.cat([weights[: j + 1], without(weights[j + 1 :], weights[j])])
    return weights


def orthogonal(weights: Tensor) -> Tensor:
    """The weights after Gram and Schmidt, (N, D) -> (N, D): each without its parts along those before it."""
    for j in range(len(weights) - 1):
        weights = torch.cat([weights[: j + 1], without(weights[j + 1 :], weights[j])])
    return weights


def without(rows: Tensor, direction: Tensor) -> Tensor:
    """Rows (N, D) without their components along a direction (D,)."""
    share = (rows @ direction) / direction.square().sum().clamp_min(TINY)  # (N,)
    return rows - share[:, None] * direction


class CascadingRejection(nn.Module):
    """A linear or convolutional layer whose first `heads` outputs are the scores of a cascade.

    In float32 at least, under autocast too: in half precision the weights would not be orthogonal any more. Biases are
    added to the scores and have no part in the cascade; further outputs stay what they are.

    Arguments:
        layer: the layer, a convolution only where it makes one pixel.
        heads: the number of scores.
        gram_schmidt: make the weights orthogonal to one another, not only to the first.

    Example:
        >>> CascadingRejection(nn.Linear(16, 3), heads=3)(torch.randn(5, 16)).shape
        torch.Size([5, 3])
    """

    def __init__(self, layer: nn.Linear | nn.Conv2d, heads: int, gram_schmidt: bool = False) -> None:
        super().__init__()
        self.layer, self.heads = layer, heads
        self.transform = orthogonal if gram_schmidt else rejected

    def weight(self) -> Tensor:
        """The layer's weight with those of the cascade in place of its first rows, in the layer's shape."""
        weight = self.layer.weight
        first, rest = weight[: self.heads], weight[self.heads :]
        return torch.cat([self.transform(first.flatten(1)).view_as(first), rest])

    def forward(self, v: Tensor) -> Tensor:
        """Maps features (B, D) to scores (B, outputs), or maps (B, C, H, W) to (B, outputs, 1, 1)."""
        with torch.autocast(v.device.type, enabled=False):
            v = v.to(torch.promote_types(v.dtype, torch.float32))
            if isinstance(self.layer, nn.Conv2d):
                return self.layer._conv_forward(v, self.weight(), self.layer.bias)
            return F.linear(v, self.weight(), self.layer.bias)


def cascade(critic: nn.Module, heads: int, gram_schmidt: bool = False) -> nn.Module:
    """Puts a cascade in the place of a critic's last layer.

    Arguments:
        critic: maps data (B, ...) to at least `heads` outputs; its last linear or convolutional layer makes them.
        heads: the number of scores.
        gram_schmidt: see `CascadingRejection`.

    Returns:
        The critic, changed in place; the cascade itself if the critic is one layer.

    Raises:
        UserError: the critic does not end in such a layer, or it has fewer features than heads.
    """
    layers = [(name, m) for name, m in critic.named_modules() if isinstance(m, nn.Linear | nn.Conv2d)]
    name, last = layers[-1] if layers else ("", None)
    if last is None or last.weight.shape[0] < heads:
        raise UserError(
            f"head=cascading takes the place of a critic's last linear layer, and {type(critic).__name__} does not "
            f"end in one of {heads} outputs: use head=linear or another network."
        )
    features = last.weight[0].numel()
    if features < heads:
        raise UserError(f"head.heads={heads} is too many for {features} features of the critic: give at most those.")
    head = CascadingRejection(last, heads, gram_schmidt)
    if not name:
        return head
    critic.set_submodule(name, head)
    return critic
