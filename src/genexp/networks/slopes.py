"""A network divided by its own gradient."""

import torch
from torch import Tensor, nn

from genexp.networks.eager import uncompiled

TINY = 1e-12  # under a square root: the norm's gradient at zero is then zero, not NaN


class GradientNormalised(nn.Module):
    r"""Scores over what the gradient is at each point.

    $D / (\|\nabla D\| + |D|)$, or $D\,\|\nabla D\| / (\|\nabla D\|^2 + \epsilon)$ if there is an $\epsilon$. In
    float32 at least, and never compiled, since the forward pass has a gradient in it. Where the inner scores and their
    gradient are both zero, so is the result.

    Arguments:
        network: maps data (B, ...) to scores (B, 1), without coupling samples; further outputs stay what they are.
        epsilon: the $\epsilon$, or None.
    """

    def __init__(self, network: nn.Module, epsilon: float | None = None) -> None:
        super().__init__()
        self.network, self.epsilon = network, epsilon

    @torch.compiler.disable
    def forward(self, x: Tensor, *given: Tensor) -> Tensor:
        """Maps data (B, ...), and what else the network takes, to scores (B, 1) and further outputs."""
        wanted = torch.is_grad_enabled()
        with torch.enable_grad(), torch.autocast(x.device.type, enabled=False), uncompiled():
            x = x.to(torch.promote_types(x.dtype, torch.float32))
            lifted = x if x.requires_grad else x.detach().requires_grad_()
            outputs = self.network(lifted, *given)
            scores, further = outputs[:, :1], outputs[:, 1:]
            (gradient,) = torch.autograd.grad(scores.sum(), lifted, create_graph=wanted)
        normalised = self._over(scores, (gradient.flatten(1).square().sum(1, keepdim=True) + TINY).sqrt())
        outputs = torch.cat([normalised, further], dim=1)
        return outputs if wanted else outputs.detach()

    def _over(self, scores: Tensor, norm: Tensor) -> Tensor:
        if self.epsilon is None:
            return scores / (norm + scores.abs())
        return scores * norm / (norm.square() + self.epsilon)
