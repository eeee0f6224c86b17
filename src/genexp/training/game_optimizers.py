"""Optimizers for games: descent that makes up for the rotation of the field it follows."""

from collections import defaultdict
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor


class Optimism:
    r"""Makes an optimizer optimistic: each step is corrected by how the step has changed.

    With $\Delta_t$ the step that the optimizer would take,

    $$\theta_{t+1} = \theta_t + \Delta_t + c\,(\Delta_t - \Delta_{t-1}), \qquad \Delta_{-1} = \Delta_0.$$

    For gradient descent and $c = 1$ that is $\theta_t - 2 h g_t + h g_{t-1}$, for Adam the paper's Optimistic Adam;
    with $c = 0$ it is the optimizer itself. The step before is part of the optimizer's state, and so of a checkpoint.
    It works under every plan; its theory is that of simultaneous updates.

    Arguments:
        extrapolation: the factor $c$; the other arguments are the optimizer's.

    References:
        Training GANs with Optimism, Daskalakis, Ilyas, Syrgkanis and Zeng, 2017. https://arxiv.org/abs/1711.00141
    """

    param_groups: list[dict[str, Any]]
    state: defaultdict[Tensor, Any]

    def __init__(self, params: Any, extrapolation: float = 1.0, **options: Any) -> None:
        if not extrapolation >= 0:
            raise ValueError(f"extrapolation={extrapolation} is negative")
        super().__init__(params, **options)  # type: ignore[call-arg]
        self.extrapolation = extrapolation

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Take one step."""
        if self.extrapolation == 0:
            return super().step(closure)  # type: ignore[misc]
        moving = [p for group in self.param_groups for p in group["params"] if p.grad is not None]
        before = [p.clone() for p in moving]
        result = super().step(closure)  # type: ignore[misc]
        if not moving:
            return result
        steps = torch._foreach_sub(moving, before)
        last = [self.state[p].get("last_step") for p in moving]
        changes = torch._foreach_sub(steps, [s if old is None else old for s, old in zip(steps, last, strict=True)])
        torch._foreach_add_(moving, changes, alpha=self.extrapolation)
        for p, taken in zip(moving, steps, strict=True):
            self.state[p]["last_step"] = taken
        return result


class OptimisticAdam(Optimism, torch.optim.Adam):
    """Adam, optimistic."""


class OptimisticSGD(Optimism, torch.optim.SGD):
    """Stochastic gradient descent, optimistic."""


class NegativeMomentum(torch.optim.SGD):
    r"""Stochastic gradient descent whose momentum may be negative.

    $$\theta_{t+1} = \theta_t - h g_t + \beta (\theta_t - \theta_{t-1}), \qquad -1 < \beta < 1$$

    In a game, positive momentum feeds the rotation; with $\beta < 0$ and alternating updates the bilinear game
    converges.

    Arguments:
        momentum: the factor $\beta$; the other arguments are those of `torch.optim.SGD`.

    References:
        Negative Momentum for Improved Game Dynamics, Gidel et al., 2018. https://arxiv.org/abs/1807.04740
    """

    def __init__(self, params: Any, momentum: float = -0.5, **options: Any) -> None:
        if not -1 < momentum < 1:
            raise ValueError(f"momentum={momentum} is not in (-1, 1)")
        if options.get("nesterov"):
            raise ValueError("nesterov momentum is positive")
        super().__init__(params, **options)
        self.defaults["momentum"] = momentum
        for group in self.param_groups:
            group["momentum"] = momentum
