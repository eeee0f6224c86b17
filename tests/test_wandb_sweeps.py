"""Every file for `wandb sweep`: W&B's own schema takes it, and what its agent would run is a config that trains."""

import csv
from pathlib import Path

import numpy as np
import pytest
import yaml

from genexp import config

FILES = sorted((Path(__file__).parents[1] / "sweeps" / "wandb").glob("*.yaml"))
QUICK = [
    "max_steps=4",
    "log_every=2",
    "score_every=4",
    "evaluation.n=100",
    "evaluation.draws=1",
    "evaluation.fast_n=100",
]
every_file = pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)


def engine():
    """W&B's sweep engine; it names numpy<2, works with 2, and is therefore installed without its dependencies."""
    return pytest.importorskip("sweeps.config", reason="pip install --no-deps sweeps==0.3.0, as make does").cfg


def proposals(sweep: dict, number: int) -> list[dict]:
    """What W&B would give its agents, one after the other, as if each run scored well."""
    sweeps = pytest.importorskip("sweeps", reason="pip install --no-deps sweeps==0.3.0, as make does")
    np.random.seed(0)  # noqa: NPY002 the engine draws from it
    runs = []
    for place in range(number):
        run = sweeps.next_run(sweep, runs)
        if run is None:
            break
        run.state = sweeps.RunState.finished
        run.summary_metrics = {sweep["metric"]["name"]: float(place)}
        run.history = [run.summary_metrics]
        runs.append(run)
    return [{key: {"value": np.asarray(entry["value"]).tolist()} for key, entry in run.config.items()} for run in runs]


def agent_command(sweep: dict, proposal: dict) -> list[str]:
    """The command line that W&B's agent makes, with W&B's own functions."""
    from wandb.sdk.launch.sweeps.utils import create_sweep_command, create_sweep_command_args

    macros = create_sweep_command_args({"args": proposal})
    macros["env"] = ["/usr/bin/env"]
    command: list[str] = []
    for word in create_sweep_command(list(sweep["command"])):
        name = word[2:-1] if str(word).startswith("${") else None
        command += macros[name] if name else [str(word)]
    return command


def load(path: Path) -> dict:
    return yaml.safe_load(path.read_text())


@every_file
def test_the_schema_of_wandb_takes_it(path):
    check = engine().schema_violations_from_proposed_config
    assert check(load(path)) == []
    assert check({**load(path), "method": "guess"}) != []


@every_file
def test_what_the_agent_runs_composes_and_holds_the_proposed_values(path):
    sweep = load(path)
    found = proposals(sweep, 8)
    assert len(found) == 8
    for proposal in found:
        env, program, action, *overrides = agent_command(sweep, proposal)
        assert (env, program, action) == ("/usr/bin/env", "genexp", "train")
        composed = config.compose_train(overrides)
        assert composed.plain["logger"]["mode"] == "online"
        for key, entry in proposal.items():
            if key in composed.choices:
                assert composed.choices[key] == entry["value"]
            else:
                node = composed.plain
                for part in key.split("."):
                    node = node[part]
                assert node == entry["value"]


def test_a_grid_is_all_combinations():
    grids = [sweep for sweep in map(load, FILES) if sweep["method"] == "grid"]
    assert grids
    for sweep in grids:
        sizes = [len(entry.get("values", [0])) for entry in sweep["parameters"].values()]
        found = [str(proposal) for proposal in proposals(sweep, 1000)]
        assert len(found) == len(set(found)) == int(np.prod(sizes))


@pytest.mark.slow
@every_file
def test_a_run_of_it_logs_the_metric_that_it_optimises(path, genexp, tmp_path):
    sweep = load(path)
    _, _, *arguments = agent_command(sweep, proposals(sweep, 1)[0])
    kept = [a for a in arguments if not a.startswith(("logger.", "max_steps", "score_every"))]
    genexp(*kept, *QUICK, "logger=none", "run_dir=run")
    with open(tmp_path / "run" / "metrics.csv", newline="") as file:
        columns = next(csv.reader(file))
    assert sweep["metric"]["name"] in columns
