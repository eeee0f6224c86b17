"""The place of a process, from the variables that torchrun, srun, Kubernetes and people set."""

import pytest

from genexp.errors import UserError
from genexp.ranks import Place, here

TORCHRUN = {
    **{"TORCHELASTIC_RUN_ID": "7", "MASTER_ADDR": "10.0.0.1", "MASTER_PORT": "29500", "WORLD_SIZE": "4", "RANK": "3"},
    **{"LOCAL_RANK": "1", "GROUP_RANK": "1", "LOCAL_WORLD_SIZE": "2"},
}
SRUN = {
    **{"SLURM_JOB_NAME": "train", "SLURM_STEP_ID": "0", "SLURM_NTASKS": "4", "SLURM_NTASKS_PER_NODE": "2"},
    **{"SLURM_NNODES": "2", "SLURM_NODEID": "1", "SLURM_LOCALID": "1", "SLURM_PROCID": "3"},
}
PYTORCHJOB = {"MASTER_ADDR": "job-master-0", "MASTER_PORT": "23456", "WORLD_SIZE": "2", "RANK": "1"}
VARIABLES = {"MASTER_ADDR": "10.0.0.1", "MASTER_PORT": "29500", "NODE_RANK": "1"}


@pytest.mark.parametrize(
    ("environment", "place"),
    [
        (TORCHRUN, Place("torchrun", 1, 1, 4, 2, starts_others=False)),
        (SRUN, Place("srun", 1, 1, 4, 2, starts_others=False)),
        (PYTORCHJOB, Place("kubeflow", 1, 0, 2, 2, starts_others=False)),
        (VARIABLES, Place("variables", 1, 0)),
        ({**VARIABLES, "LOCAL_RANK": "1"}, Place("variables", 1, 1, starts_others=False)),
        ({**PYTORCHJOB, **TORCHRUN}, Place("torchrun", 1, 1, 4, 2, starts_others=False)),  # torchrun in a pod
        ({**SRUN, **TORCHRUN}, Place("torchrun", 1, 1, 4, 2, starts_others=False)),  # torchrun in a step
    ],
)
def test_each_starter_is_recognised(environment, place):
    assert here(environment) == place
    assert place.several and not place.first


@pytest.mark.parametrize(
    "environment",
    [
        {},
        {"LOCAL_RANK": "0"},
        {**SRUN, "SLURM_NTASKS": "1"},
        {key: value for key, value in SRUN.items() if key != "SLURM_STEP_ID"},  # the script itself, not a step of it
        {**SRUN, "SLURM_JOB_NAME": "interactive"},
        {**PYTORCHJOB, "WORLD_SIZE": "1"},
    ],
)
def test_a_process_alone_is_alone(environment):
    place = here(environment)
    assert not place.several and place.first and place.starts_others
    place.check(devices=2, nodes=1)  # it starts the other one itself


def test_what_contradicts_itself_is_one_sentence():
    with pytest.raises(UserError, match="MASTER_PORT is missing"):
        here({"MASTER_ADDR": "10.0.0.1", "NODE_RANK": "0"})
    with pytest.raises(UserError, match="not a whole number"):
        here({**VARIABLES, "NODE_RANK": "two"})
    with pytest.raises(UserError, match="--ntasks-per-node"):
        here({key: value for key, value in SRUN.items() if key != "SLURM_NTASKS_PER_NODE"})


@pytest.mark.parametrize(
    ("environment", "devices", "nodes", "sentence"),
    [
        ({}, 1, 2, "start on every machine"),
        (TORCHRUN, 1, 2, "torchrun started 4 of"),
        (TORCHRUN, 4, 1, "started 2 machines"),
        ({**TORCHRUN, "WORLD_SIZE": "1", "LOCAL_WORLD_SIZE": "1", "LOCAL_RANK": "0"}, 2, 1, "torchrun started 1 "),
        (SRUN, 1, 1, "add trainer=ddp"),
        (VARIABLES, 2, 1, "NODE_RANK goes from 0"),
    ],
)
def test_settings_that_do_not_fit_are_one_sentence(environment, devices, nodes, sentence):
    with pytest.raises(UserError, match=sentence):
        here(environment).check(devices, nodes)


@pytest.mark.parametrize("environment", [TORCHRUN, SRUN, VARIABLES])
def test_settings_that_fit_pass(environment):
    here(environment).check(devices=2, nodes=2)
