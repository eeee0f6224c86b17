import json
import subprocess
import sys
import time

from tests.cases import TINY

from genexp.sweeping.folder import SweepFolder
from genexp.sweeping.forkserver import NOT_INHERITED
from genexp.sweeping.launchers import Local, job_environment, share_of_cores

LOOK = """
import json, os, sys
import genexp.sweeping.preloaded
import numpy, random, torch
threads = [open(f"/proc/self/task/{task}/comm").read() for task in os.listdir("/proc/self/task")]
before = set(sys.modules)
state = torch.random.get_rng_state().sum().item()
import genexp.assembly, genexp.trainer, genexp.commands.train, genexp.commands.evaluate
print(json.dumps({
    "threads": threads,
    "cuda": torch.cuda.is_initialized(),
    "new": sorted(set(sys.modules) - before),
    "names": [name for name in ("wandb", "lightning", "sklearn.linear_model", "matplotlib") if name not in sys.modules],
}))
"""


def test_the_server_has_the_stack_and_nothing_that_a_job_could_inherit(environment):
    done = subprocess.run([sys.executable, "-c", LOOK], env=environment, capture_output=True, text=True, check=True)
    found = json.loads(done.stdout)
    assert found["new"] == [] and found["names"] == []
    assert found["cuda"] is False
    assert not any(name.startswith(("pt_", "ompthread", "wandb")) for name in found["threads"])


def test_jobs_of_a_server_share_nothing(tmp_path, monkeypatch, cache):
    """A job that runs after another one ends with the same bits as alone, and its variables are its own."""
    monkeypatch.setenv("GENEXP_CACHE", str(cache))
    monkeypatch.setenv("LOCAL_RANK", "0")
    monkeypatch.setenv("MASTER_PORT", "1")
    short = [*TINY, "model=gan", "model.latent_dim=2", "max_steps=20", "score_every=10", "checkpoint_every=20"]
    scores = []
    for name, seeds in (("alone", (1,)), ("after", (0, 1))):
        folder = SweepFolder(tmp_path / name)
        launcher = Local(1)
        for seed in seeds:
            job = folder.job([*short, f"seed={seed}"])
            folder.prepare(job)
            handle = launcher.start(job.run)
            while handle.poll() is None:
                time.sleep(0.01)
            assert handle.poll() == 0, (job.run.folder / "log.txt").read_text()
        launcher.close()
        scores.append(job.run.scores()[0]["metrics"])
        names = [path.name for path in job.run.checkpoints.glob("*.ckpt")]
        scores[-1] = {k: v for k, v in scores[-1].items() if k not in ("train_s", "sample_s")} | {"checkpoint": names}
    assert scores[0] == scores[1]


def test_a_job_gets_its_share_of_the_cores_and_nothing_that_is_meant_for_the_sweep(monkeypatch):
    monkeypatch.setenv("RANK", "1")
    monkeypatch.setenv("GENEXP_STOP_CODE", "143")
    monkeypatch.setattr("os.cpu_count", lambda: 8)
    assert [share_of_cores(jobs) for jobs in (1, 2, 3, 16)] == [None, 4, 2, 1]
    environment = job_environment(4)
    assert environment["GENEXP_THREADS"] == "4"
    assert not set(NOT_INHERITED) & set(environment)
