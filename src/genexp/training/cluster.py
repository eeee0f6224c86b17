"""What started the processes of a run, as Lightning calls it, and the store that they all reach."""

import os
from collections.abc import Callable
from datetime import timedelta

import torch.distributed as dist
from lightning.pytorch.plugins.environments import (
    ClusterEnvironment,
    KubeflowEnvironment,
    LightningEnvironment,
    SLURMEnvironment,
    TorchElasticEnvironment,
)

from genexp.errors import UserError
from genexp.ranks import Place

ENVIRONMENTS: dict[str, Callable[[], ClusterEnvironment]] = {
    "torchrun": TorchElasticEnvironment,
    "srun": lambda: SLURMEnvironment(auto_requeue=False),  # genexp saves, and the job's script requeues
    "kubeflow": KubeflowEnvironment,
    "variables": LightningEnvironment,
    "genexp": LightningEnvironment,
}
"""What Lightning calls each starter of `genexp.ranks`."""


def cluster_environment(place: Place) -> ClusterEnvironment:
    """Lightning's view of what started this process; it would itself take a script of sbatch for a task.

    Arguments:
        place: which process this is.
    """
    return ENVIRONMENTS[place.starter]()


def stores(place: Place, patience: float) -> tuple[dist.TCPStore, dist.TCPStore]:
    """Two connections to one store at the first machine's address: for the process, and for a thread of its own.

    The first process holds the store, but where torchrun's agent does. A process that genexp has started alone takes a
    free port, and leaves the address in the environment for those that Lightning starts.

    Arguments:
        place: which process this is.
        patience: seconds in which the store must answer.

    Raises:
        UserError: if the store cannot be held or reached.
    """
    host, port = "127.0.0.1", 0
    if place.several:
        environment = cluster_environment(place)
        host, port = environment.main_address, environment.main_port
    near = "127.0.0.1" if place.node == 0 else host  # stays reachable when the network does not
    holds = place.first and os.environ.get("TORCHELASTIC_USE_AGENT_STORE") != "True"
    limit = timedelta(seconds=patience)
    try:
        store = dist.TCPStore(near, port, None, holds, limit, wait_for_workers=False)
        other = dist.TCPStore(near, store.port, None, False, limit, wait_for_workers=False)
    except dist.DistError as error:
        if holds:
            raise UserError(f"Port {port} is taken: set MASTER_PORT to a free one, on every machine.") from error
        raise UserError(
            f"The first process does not answer at {host}:{port}: check MASTER_ADDR and MASTER_PORT, and that it was "
            f"started within {patience:.0f} seconds."
        ) from error
    os.environ |= {"MASTER_ADDR": host, "MASTER_PORT": str(store.port)}
    return store, other
