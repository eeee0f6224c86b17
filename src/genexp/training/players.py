"""Players: the networks of a game, each with its own optimizer, and the one way to update them."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from genexp.errors import UserError
from genexp.training.strategy import all_reduce_gradients, mean_over_ranks, world


@contextmanager
def held(parameters: Iterable[nn.Parameter]) -> Iterator[None]:
    """Freeze parameters: a loss that is computed in here sends them no gradient."""
    moving = [parameter for parameter in parameters if parameter.requires_grad]
    for parameter in moving:
        parameter.requires_grad_(False)
    try:
        yield
    finally:
        for parameter in moving:
            parameter.requires_grad_(True)


@dataclass
class Player:
    """One side of the game: its module, its parameters, their optimizer and its base learning rate."""

    module: nn.Module
    parameters: list[nn.Parameter]
    optimizer: torch.optim.Optimizer
    base_lr: float


def in_own_types(loss: Tensor) -> torch.autocast:
    """A context in which a gradient is taken in the types of the forward pass.

    Under a surrounding autocast the matrix products of a gradient would be cast again: those of a penalty, which is
    computed in float32 on purpose, too.
    """
    return torch.autocast(loss.device.type, enabled=False)


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
                module,
                [p for p in module.parameters() if p.requires_grad],
                optimizers[name],
                optimizers[name].param_groups[0]["lr"],
            )
            for name, module in modules.items()
        }

    @contextmanager
    def only(self, name: str) -> Iterator[None]:
        """Freeze everybody but `name`: a generator's loss then sends no gradient into the critic's weights."""
        with held(p for other, player in self.players.items() if other != name for p in player.parameters):
            yield

    def backward(self, loss: Tensor, *names: str) -> None:
        """Put the gradient of `loss` into the `.grad` of the named players, averaged over the ranks."""
        for name in names:
            self.players[name].optimizer.zero_grad(set_to_none=True)
        with in_own_types(loss):
            loss.backward()
        for name in names:
            all_reduce_gradients(self.players[name].parameters)

    def apply(self, name: str) -> None:
        """Let the optimizer of `name` take its step."""
        self.players[name].optimizer.step()

    # --- looking ahead ----------------------------------------------------------------------------------------------

    @contextmanager
    def moved(self, *names: str) -> Iterator[None]:
        """Put the weights and buffers of the named players back when it ends; gradients and optimizers keep theirs."""
        modules = [self.players[name].module for name in names]
        tensors = [
            *(p for name in names for p in self.players[name].parameters),
            *(b for m in modules for b in m.buffers()),
        ]
        held = [(tensor, tensor.detach().clone()) for tensor in tensors]
        try:
            yield
        finally:
            with torch.no_grad():
                torch._foreach_copy_([p for p, _ in held], [copy for _, copy in held])

    def weights(self, name: str) -> dict[str, Tensor]:
        """The player's weights as leaves of a graph of their own, by their names; they share its memory."""
        parameters = self.players[name].module.named_parameters()
        return {key: p.detach().requires_grad_() for key, p in parameters if p.requires_grad}

    def at(self, name: str, weights: Mapping[str, Tensor], loss: Callable[..., Tensor], *args: Any) -> Tensor:
        """The value of `loss(*args)` where the player has other weights, with a graph to these."""
        game = _Evaluation(self.players[name].module, loss)
        return torch.func.functional_call(game, {f"module.{key}": w for key, w in weights.items()}, args)

    def gradient(self, loss: Tensor, weights: Sequence[Tensor]) -> tuple[Tensor, ...]:
        """The gradient of `loss` with respect to tensors, averaged over the ranks, itself differentiable."""
        with in_own_types(loss):
            gradients = torch.autograd.grad(loss, weights, create_graph=True, materialize_grads=True)
        if world()[1] == 1:
            return gradients
        flat = mean_over_ranks(torch.cat([gradient.flatten() for gradient in gradients]))
        parts = flat.split([gradient.numel() for gradient in gradients])
        return tuple(part.view_as(gradient) for part, gradient in zip(parts, gradients, strict=True))

    def add_gradients(self, parameters: Sequence[nn.Parameter], gradients: Sequence[Tensor]) -> None:
        """Add to the `.grad` of each parameter, which may have none yet."""
        for parameter, gradient in zip(parameters, gradients, strict=True):
            parameter.grad = gradient if parameter.grad is None else parameter.grad.add_(gradient)

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


class _Evaluation(nn.Module):
    """A function of a module's weights, for `torch.func.functional_call`."""

    def __init__(self, module: nn.Module, function: Callable[..., Tensor]) -> None:
        super().__init__()
        self.module, self.function = module, function

    def forward(self, *args: Any) -> Tensor:
        """The function's value."""
        return self.function(*args)


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
