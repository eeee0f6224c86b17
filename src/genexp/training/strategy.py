"""Distributed training of games: the module stays bare, each player's gradients are averaged in one flat all-reduce.

Lightning's `ddp` wraps the whole module and fails when one player's loss leaves the other's parameters without
gradient. Here nothing is wrapped, so state dicts keep their keys, no graph is searched, and the double backward passes
of gradient penalties need no special care.
"""

from collections.abc import Callable, Iterable
from datetime import timedelta
from typing import Any

import torch
import torch.distributed as dist
from lightning.fabric.utilities.seed import reset_seed
from lightning.pytorch.plugins.environments import ClusterEnvironment
from lightning.pytorch.strategies import DDPStrategy
from lightning.pytorch.strategies.launchers.subprocess_script import _SubprocessScriptLauncher
from torch import nn
from torch._utils import _flatten_dense_tensors, _unflatten_dense_tensors
from torch.distributed.nn.functional import all_reduce

from genexp.training.meeting import Meeting

NAME = "player_ddp"
GROUP_TIMEOUT = timedelta(hours=2)
"""Of a single collective, after which torch gives up; the meeting notices long before whether a process is gone."""


class PlayerDDPStrategy(DDPStrategy):
    """Lightning's DDP without the wrapper, `trainer.strategy=player_ddp`.

    Arguments:
        meeting: where the processes have met; None if whoever calls watches over them.
    """

    def __init__(self, meeting: Meeting | None = None, **options: Any) -> None:
        super().__init__(timeout=GROUP_TIMEOUT, **options)
        self.meeting = meeting

    def _configure_launcher(self) -> None:
        if self.meeting is None:
            super()._configure_launcher()
        else:
            assert self.cluster_environment is not None
            self._launcher = _WatchedLauncher(
                self.meeting, self.cluster_environment, self.num_processes, self.num_nodes
            )

    def setup_distributed(self) -> None:
        """Form the process group from those who have met."""
        if self.meeting is None or dist.is_initialized():
            super().setup_distributed()
            return
        reset_seed()
        self.set_world_ranks()
        self.meeting.meet("group")
        self._process_group_backend = self._get_process_group_backend()
        dist.init_process_group(
            self._process_group_backend,
            store=self.meeting.group,
            rank=self.global_rank,
            world_size=self.world_size,
            timeout=GROUP_TIMEOUT,
            device_id=self.root_device if self.root_device.type == "cuda" else None,
        )

    def configure_ddp(self) -> None:
        """Give every rank the parameters and buffers of rank 0; `Players.backward` averages the gradients."""
        assert self.model is not None
        with torch.no_grad():
            for tensor in (*self.model.parameters(), *self.model.buffers()):
                dist.broadcast(tensor, src=0)


class _WatchedLauncher(_SubprocessScriptLauncher):
    """Starts the other processes of this machine, for the meeting to watch.

    Lightning's own observer kills the first process when another ends, before it can say why.
    """

    def __init__(self, meeting: Meeting, environment: ClusterEnvironment, processes: int, nodes: int) -> None:
        super().__init__(environment, processes, nodes)
        self.meeting = meeting

    def launch(self, function: Callable[..., Any], *args: Any, trainer: Any = None, **kwargs: Any) -> Any:
        """Call `function` here, and by the same command line in the others."""
        if not self.cluster_environment.creates_processes_externally:
            self._call_children_scripts()
            node = self.cluster_environment.node_rank()
            self.meeting.children = {f"{node}.{local}": process for local, process in enumerate(self.procs, start=1)}
        return function(*args, **kwargs)


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


def dissolve() -> None:
    """End the process group, after the last collective."""
    if dist.is_initialized():
        dist.destroy_process_group()


def from_first(value: Any) -> Any:
    """What the first rank has for `value`; a collective that every rank must call."""
    _, size = world()
    if size == 1:
        return value
    held = [value]
    dist.broadcast_object_list(held, src=0)
    return held[0]


def gather(value: dict[str, torch.Tensor]) -> list[dict[str, torch.Tensor]]:
    """The `value` of every rank, in their order; a collective that every rank must call."""
    _, size = world()
    if size == 1:
        return [value]
    gathered: list[dict[str, torch.Tensor]] = [{} for _ in range(size)]
    dist.all_gather_object(gathered, {name: tensor.cpu() for name, tensor in value.items()})
    return gathered


def mean_over_ranks(values: torch.Tensor) -> torch.Tensor:
    """The mean of `values` over the ranks; its gradient is averaged too, so that it may be differentiated again."""
    _, size = world()
    return all_reduce(values) / size if size > 1 else values
