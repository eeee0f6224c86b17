"""Optimizers: one per player, from data alone."""

import inspect
from collections.abc import Iterable
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
        known = inspect.signature(self.algorithm).parameters
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

    def __call__(self, player: str, parameters: Iterable[nn.Parameter]) -> torch.optim.Optimizer:
        """The optimizer of `player`'s parameters."""
        own = {"critic": self.critic_lr}.get(player)
        return self.algorithm(parameters, lr=self.lr if own is None else own, **self.options, **self.implementation)
