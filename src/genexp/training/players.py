"""Players: the networks of a game, each with its own optimizer, and the one way to update them."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from genexp.errors import UserError
from genexp.training.strategy import all_reduce_gradients


@dataclass
class Player:
    """One side of the game: its parameters, their optimizer and its base learning rate."""

    parameters: list[nn.Parameter]
    optimizer: torch.optim.Optimizer
    base_lr: float


class Players:
    """The players of a model.

    Arguments:
        modules: the module of each player; every parameter belongs to exactly one.
        optimizers: the optimizer of each player.

    Raises:
        UserError: if two players share a parameter.
    """

    def __init__(self, modules: Mapping[str, nn.Module], optimizers: Mapping[str, torch.optim.Optimizer]) -> None:
        check_partition(modules)
        self._factor: float | None = None
        self.players = {
            name: Player(
                [p for p in module.parameters() if p.requires_grad],
                optimizers[name],
                optimizers[name].param_groups[0]["lr"],
            )
            for name, module in modules.items()
        }

    @contextmanager
    def only(self, name: str) -> Iterator[None]:
        """Freeze everybody but `name`: a generator's loss then sends no gradient into the critic's weights."""
        others = [p for other, player in self.players.items() if other != name for p in player.parameters]
        for parameter in others:
            parameter.requires_grad_(False)
        try:
            yield
        finally:
            for parameter in others:
                parameter.requires_grad_(True)

    def backward(self, loss: Tensor, *names: str) -> None:
        """Put the gradient of `loss` into the `.grad` of the named players, averaged over the ranks."""
        for name in names:
            self.players[name].optimizer.zero_grad(set_to_none=True)
        loss.backward()
        for name in names:
            all_reduce_gradients(self.players[name].parameters)

    def apply(self, name: str) -> None:
        """Let the optimizer of `name` take its step."""
        self.players[name].optimizer.step()

    def forget_learning_rates(self) -> None:
        """Have the next step set the learning rates, whatever they are now."""
        self._factor = None

    def scale_learning_rates(self, factor: float) -> None:
        """Set each player's learning rate to `factor` times its base."""
        if factor == self._factor:
            return
        self._factor = factor
        for player in self.players.values():
            for group in player.optimizer.param_groups:
                group["lr"] = player.base_lr * factor


def check_partition(modules: Mapping[str, nn.Module]) -> None:
    """Raise UserError unless no parameter belongs to two players."""
    owner: dict[int, str] = {}
    for name, module in modules.items():
        for key, parameter in module.named_parameters():
            if id(parameter) in owner:
                raise UserError(
                    f"The parameter {key} belongs to both {owner[id(parameter)]} and {name}: "
                    "give every parameter to exactly one player."
                )
            owner[id(parameter)] = name
