"""Distributed training of games: the module stays bare, each player's gradients are averaged in one flat all-reduce.

Lightning's `ddp` wraps the whole module and fails when one player's loss leaves the other's parameters without
gradient. Here nothing is wrapped, so state dicts keep their keys, no graph is searched, and the double backward passes
of gradient penalties need no special care.
"""

from collections.abc import Iterable

import torch
import torch.distributed as dist
from lightning.pytorch.strategies import DDPStrategy, StrategyRegistry
from torch import nn
from torch._utils import _flatten_dense_tensors, _unflatten_dense_tensors

NAME = "player_ddp"


class PlayerDDPStrategy(DDPStrategy):
    """Lightning's DDP without the wrapper; registered as `player_ddp`."""

    def configure_ddp(self) -> None:
        """Give every rank the parameters and buffers of rank 0; `Players.backward` averages the gradients."""
        assert self.model is not None
        with torch.no_grad():
            for tensor in (*self.model.parameters(), *self.model.buffers()):
                dist.broadcast(tensor, src=0)


def register() -> None:
    """Make `Trainer(strategy="player_ddp")` known to Lightning."""
    if NAME not in StrategyRegistry:
        StrategyRegistry.register(
            NAME, PlayerDDPStrategy, description="DDP for games: one flat all-reduce for each player, nothing wrapped"
        )


def world() -> tuple[int, int]:
    """(rank, world size) of this process, (0, 1) when nothing is distributed."""
    if dist.is_available() and dist.is_initialized():
        return dist.get_rank(), dist.get_world_size()
    return 0, 1


def all_reduce_gradients(parameters: Iterable[nn.Parameter]) -> None:
    """Replace each gradient by its mean over the ranks, in one collective for each dtype."""
    _, size = world()
    if size == 1:
        return
    by_dtype: dict[torch.dtype, list[torch.Tensor]] = {}
    for parameter in parameters:
        if parameter.grad is not None:
            by_dtype.setdefault(parameter.grad.dtype, []).append(parameter.grad)
    for gradients in by_dtype.values():
        flat = _flatten_dense_tensors(gradients)
        dist.all_reduce(flat)
        flat /= size
        torch._foreach_copy_(gradients, list(_unflatten_dense_tensors(flat, gradients)))


def any_rank(flag: bool, device: torch.device | str = "cpu") -> bool:
    """Whether `flag` is set on any rank; a collective that every rank must call."""
    _, size = world()
    if size == 1:
        return flag
    votes = torch.tensor([float(flag)], device=device)
    dist.all_reduce(votes, op=dist.ReduceOp.MAX)
    return bool(votes.item())


def gather(value: dict[str, torch.Tensor]) -> list[dict[str, torch.Tensor]]:
    """The `value` of every rank, in their order; a collective that every rank must call."""
    _, size = world()
    if size == 1:
        return [value]
    gathered: list[dict[str, torch.Tensor]] = [{} for _ in range(size)]
    dist.all_gather_object(gathered, {name: tensor.cpu() for name, tensor in value.items()})
    return gathered


def mean_over_ranks(values: torch.Tensor) -> torch.Tensor:
    """The mean of `values` over the ranks."""
    _, size = world()
    if size > 1:
        dist.all_reduce(values)
        values = values / size
    return values
