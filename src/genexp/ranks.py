"""Which of a run's processes this one is: what torchrun, srun, Kubernetes or plain variables say of it.

Nothing here imports torch.
"""

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from genexp.errors import UserError

Environment = Mapping[str, str]
FIRST = "0.0"
"""The key of global rank 0."""


@dataclass(frozen=True)
class Place:
    """A process among those of a run.

    Attributes:
        starter: what started it: `torchrun`, `srun`, `kubeflow`, `variables`, or `genexp` for one alone.
        node: the number of its machine.
        local: its number on that machine.
        processes: on all machines, where the starter says so.
        nodes: machines, where the starter says so.
        starts_others: whether genexp starts the other processes of this machine.
    """

    starter: str = "genexp"
    node: int = 0
    local: int = 0
    processes: int | None = None
    nodes: int | None = None
    starts_others: bool = True

    @property
    def first(self) -> bool:
        """Whether it is global rank 0, which decides, writes and speaks."""
        return self.key == FIRST

    @property
    def several(self) -> bool:
        """Whether the starter says that there are others."""
        return self.starter != "genexp"

    @property
    def key(self) -> str:
        """Its name among the processes."""
        return f"{self.node}.{self.local}"

    def check(self, devices: int, nodes: int) -> None:
        """Refuse settings that do not fit what was started.

        Arguments:
            devices: processes on each machine.
            nodes: machines.

        Raises:
            UserError: if there are more or fewer processes or machines, or a variable is missing.
        """
        settings = f"trainer.devices={devices} and trainer.num_nodes={nodes}"
        if nodes > 1 and not self.several:
            raise UserError(
                f"trainer.num_nodes={nodes} needs a start on every machine: use srun or torchrun, or set MASTER_ADDR, "
                "MASTER_PORT and NODE_RANK (docs/several-machines.md)."
            )
        if self.processes is not None and self.processes != devices * nodes:
            raise UserError(
                f"{self.starter} started {self.processes} of the run's processes, but {settings} ask for "
                f"{devices * nodes}: add trainer=ddp, trainer.devices=(on each machine) and "
                "trainer.num_nodes=(machines)."
            )
        if self.nodes is not None and self.nodes != nodes:
            raise UserError(f"{self.starter} started {self.nodes} machines, but trainer.num_nodes={nodes}.")
        if self.node >= nodes or self.local >= devices:
            raise UserError(
                f"This is process {self.local} of machine {self.node}, counted from 0, but {settings}: "
                "NODE_RANK goes from 0 to trainer.num_nodes - 1."
            )


def here(environment: Environment = os.environ) -> Place:
    """The place of this process.

    Raises:
        UserError: if the variables contradict each other.

    Example:
        >>> here({"MASTER_ADDR": "10.0.0.1", "MASTER_PORT": "29500", "NODE_RANK": "1"}).first
        False
        >>> here({}).several
        False
    """
    for read in STARTERS:
        try:
            place = read(environment)
        except KeyError as error:
            raise UserError(
                f"The variable {error.args[0]} is missing: whoever starts the processes of a run sets it."
            ) from None
        except ValueError as error:
            raise UserError(f"A variable that numbers the processes is not a whole number: {error}.") from None
        if place is not None:
            return place
    return Place()


def _torchrun(environment: Environment) -> Place | None:
    """Every process is started, even a single one, and the agent of the first machine holds the store."""
    if "TORCHELASTIC_RUN_ID" not in environment:
        return None
    processes, local = int(environment["WORLD_SIZE"]), int(environment["LOCAL_WORLD_SIZE"])
    place = int(environment.get("GROUP_RANK", "0")), int(environment["LOCAL_RANK"])
    return Place("torchrun", *place, processes, processes // local, starts_others=False)


def _srun(environment: Environment) -> Place | None:
    """Every process is a task of a step; a script that sbatch runs is none, and neither is an interactive shell."""
    tasks = int(environment.get("SLURM_NTASKS", "1"))
    if "SLURM_STEP_ID" not in environment or tasks == 1:
        return None
    if environment.get("SLURM_JOB_NAME") in ("bash", "interactive"):
        return None
    if "SLURM_NTASKS_PER_NODE" not in environment:
        raise UserError("srun must know the tasks of each machine: use --ntasks-per-node in place of --ntasks.")
    nodes = environment.get("SLURM_STEP_NUM_NODES", environment.get("SLURM_NNODES"))
    place = int(environment["SLURM_NODEID"]), int(environment["SLURM_LOCALID"])
    return Place("srun", *place, tasks, None if nodes is None else int(nodes), starts_others=False)


def _kubeflow(environment: Environment) -> Place | None:
    """A PyTorchJob: one process in each pod."""
    given = {"MASTER_ADDR", "RANK", "WORLD_SIZE"} <= set(environment)
    if not given or "LOCAL_RANK" in environment or "NODE_RANK" in environment or environment["WORLD_SIZE"] == "1":
        return None
    pods = int(environment["WORLD_SIZE"])
    return Place("kubeflow", int(environment["RANK"]), 0, pods, pods, starts_others=False)


def _variables(environment: Environment) -> Place | None:
    """One process on each machine, which starts the others there; those have LOCAL_RANK."""
    if "MASTER_ADDR" not in environment or not {"NODE_RANK", "LOCAL_RANK"} & set(environment):
        return None
    int(environment["MASTER_PORT"])  # no machine could find the others by a port of its own choice
    place = int(environment.get("NODE_RANK", "0")), int(environment.get("LOCAL_RANK", "0"))
    return Place("variables", *place, starts_others="LOCAL_RANK" not in environment)


STARTERS: tuple[Callable[[Environment], Place | None], ...] = (_torchrun, _srun, _kubeflow, _variables)
"""In this order: torchrun also runs inside SLURM and in the pods of a PyTorchJob."""
