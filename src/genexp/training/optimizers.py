"""Optimizers: one per player, from data alone."""

import inspect
from collections.abc import Iterable
from functools import cached_property
from typing import Any, Literal

import torch
from hydra.utils import get_class
from torch import nn

from genexp.errors import UserError


class OptimizerFactory:
    """Makes a player's optimizer.

    Two time-scale updates (TTUR) are two learning rates: `critic_lr` is the critic's own.

    References:
        GANs Trained by a Two Time-Scale Update Rule Converge to a Local Nash Equilibrium, Heusel et al., 2017.
        https://arxiv.org/abs/1706.08500

    Arguments:
        algorithm: dotted name of a `torch.optim` class.
        lr: learning rate of every player.
        critic_lr: the critic's learning rate; None takes `lr`.
        implementation: `fused` (one kernel a step), `foreach`, `loop`, or `auto`: the fastest that the class has.
        options: the algorithm's own arguments (`betas`, `momentum`, `weight_decay`, ...).

    Raises:
        UserError: if a learning rate is not positive, or the class lacks the implementation.
    """

    def __init__(
        self,
        algorithm: str,
        lr: float,
        critic_lr: float | None = None,
        implementation: Literal["auto", "fused", "foreach", "loop"] = "auto",
        **options: Any,
    ) -> None:
        for name, value in (("lr", lr), ("critic_lr", critic_lr)):
            if value is not None and (not isinstance(value, int | float) or not value > 0):
                raise UserError(f"optimizer.{name}={value} is not a learning rate: give a positive number.")
        self.algorithm = get_class(algorithm)
        self.lr, self.critic_lr, self.options = lr, critic_lr, options
        known = _arguments(self.algorithm)
        if implementation == "auto":
            implementation = "fused" if "fused" in known else "foreach"
        if implementation not in ("loop", "fused", "foreach"):
            raise UserError(
                f"optimizer.implementation={implementation} is unknown: choose auto, fused, foreach or loop."
            )
        if implementation != "loop" and implementation not in known:
            raise UserError(
                f"{self.algorithm.__name__} has no {implementation} implementation: set optimizer.implementation=auto."
            )
        self.implementation = {} if implementation == "loop" else {implementation: True}
        if implementation == "loop":
            self.implementation = {"foreach": False}
        try:  # a misspelt option or a value out of range fails here, not when training starts
            self("check", [nn.Parameter(torch.zeros(1))])
        except (TypeError, ValueError) as error:
            raise UserError(f"optimizer: {self.algorithm.__name__} refuses its options: {error}.") from error

    @cached_property
    def ignores_scale(self) -> bool:
        """Whether ten times the gradient makes the same first step: then a factor on a loss is no learning rate."""
        moved = []
        for scale in (1.0, 10.0):
            weight = nn.Parameter(torch.zeros(1))
            weight.grad = torch.full((1,), scale)
            self("check", [weight]).step()
            moved.append(weight.item())
        return abs(moved[1] - moved[0]) < 0.1 * abs(moved[0])

    def __call__(
        self, player: str, parameters: Iterable[nn.Parameter], steps_per_update: float = 1.0
    ) -> torch.optim.Optimizer:
        """The optimizer of `player`'s parameters.

        Arguments:
            player: its name.
            parameters: what it moves.
            steps_per_update: optimizer steps that share one update's learning rate and memory: the rate is divided by
                it, and what decays by `betas` or `alpha` in one update does so in so many steps.

        References:
            Analyzing and Improving the Image Quality of StyleGAN, Karras et al., 2019: c = k / (k + 1) for a penalty
            with a step of its own in every k-th update. https://arxiv.org/abs/1912.04958
        """
        own = {"critic": self.critic_lr}.get(player)
        lr = self.lr if own is None else own
        optimizer = self.algorithm(parameters, lr=lr, **self.options, **self.implementation)
        if steps_per_update != 1:
            for group in optimizer.param_groups:
                group["lr"] = lr / steps_per_update
                if "betas" in group:
                    group["betas"] = tuple(beta ** (1 / steps_per_update) for beta in group["betas"])
                if "alpha" in group:
                    group["alpha"] **= 1 / steps_per_update
        return optimizer


def _arguments(algorithm: type) -> set[str]:
    """The names that an optimizer's class and those it stands on take."""
    return {name for base in algorithm.__mro__ for name in inspect.signature(base).parameters}
