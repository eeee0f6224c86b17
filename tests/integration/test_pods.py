"""docker/kubernetes with processes as pods: started, interrupted and killed under the manifests' own rules."""

import json
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from tests.cases import TINY
from tests.manifests import action, command, pod_specs, render
from tests.processes import assert_same_bits, wait_for_step
from tests.s3_server import BUCKET

from genexp.runs import Run
from genexp.sweeping.folder import SweepFolder

JOBS = [*TINY, "model=vae", "model.latent_dim=2", "optimizer=sgd", "optimizer.lr=1e-3,1e12", "seeds=2", "sweep=lr"]
STEPS = ["max_steps=1500", "log_every=50", "score_every=500", "checkpoint_every=500", "progress=false"]
COSTS = ("train_s", "sample_s")


@dataclass
class Controller:
    """What Kubernetes' controller does with an Indexed Job, each pod being a process.

    Arguments:
        job: the manifest.
        start: starts the command line with arguments and variables.
    """

    job: dict
    start: Callable[..., subprocess.Popen]
    pods: dict[int, subprocess.Popen] = field(default_factory=dict)
    ended: dict[int, str] = field(default_factory=dict)
    codes: dict[int, list[int]] = field(default_factory=dict)
    words: dict[int, str] = field(default_factory=dict)

    def begin(self, index: int) -> None:
        container = pod_specs(self.job)[0]["containers"][0]
        arguments, variables = command(container, JOB_COMPLETION_INDEX=str(index))
        self.pods[index] = self.start(arguments, {"GENEXP_STOP_CODE": variables["GENEXP_STOP_CODE"]})

    def collect(self) -> None:
        """Take note of the pods that have ended, and start those anew that the policy does not end."""
        for index, pod in list(self.pods.items()):
            if pod.poll() is None:
                continue
            self.words[index] = pod.communicate()[0]
            code = pod.returncode if pod.returncode >= 0 else 128 - pod.returncode
            self.codes.setdefault(index, []).append(code)
            del self.pods[index]
            verdict = "Succeeded" if code == 0 else action(self.job["spec"]["podFailurePolicy"], code)
            crashes = sum(action(self.job["spec"]["podFailurePolicy"], one) == "Count" for one in self.codes[index])
            if verdict in ("Succeeded", "FailIndex"):
                self.ended[index] = verdict
            else:
                assert crashes <= self.job["spec"]["backoffLimitPerIndex"], self.words[index]
                self.begin(index)

    def finish(self, timeout: float = 400.0) -> None:
        end = time.monotonic() + timeout
        while self.pods:
            assert time.monotonic() < end, self.words
            self.collect()
            time.sleep(0.05)


@pytest.fixture
def pod(tmp_path, environment) -> Callable[..., subprocess.Popen]:
    def start(arguments: list[str], variables: dict[str, str]) -> subprocess.Popen:
        return subprocess.Popen(
            [sys.executable, "-m", "genexp", *arguments],
            cwd=tmp_path,
            env={**environment, **variables},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    return start


def table(folder: Path) -> dict[str, tuple]:
    """What a report reads of each job, without what differs from day to day."""
    return {
        run.folder.name: (
            run.record["status"],
            run.record.get("failure"),
            run.record["overrides"],
            [{key: value for key, value in row["metrics"].items() if key not in COSTS} for row in run.scores()],
        )
        for run in SweepFolder(folder).runs()
    }


@pytest.mark.slow
def test_interrupted_and_killed_pods_end_with_the_table_of_a_local_sweep(tmp_path, environment, genexp, pod):
    arguments = ["train", "-m", *JOBS, *STEPS, "--index=$(JOB_COMPLETION_INDEX)"]
    job = next(one for one in render("sweep", tmp_path / "manifests", arguments=arguments) if one["kind"] == "Job")
    listing = genexp("train", "-m", *JOBS, *STEPS, "--jobs").stdout.splitlines()
    folder = tmp_path / "runs" / "sweeps" / "lr"
    controller = Controller(job, pod)
    for index in range(len(listing)):
        controller.begin(index)
    while len(runs := SweepFolder(folder).runs()) < len(listing):
        time.sleep(0.02)
    good = [run for run in runs if run.config["optimizer"]["lr"] == 1e-3]
    by_seed = {run.config["seed"]: run for run in good}
    wait_for_step(by_seed[0].folder, 200, controller.pods[0], timeout=300)
    controller.pods[0].send_signal(signal.SIGTERM)  # evicted
    wait_for_step(by_seed[1].folder, 200, controller.pods[1], timeout=300)
    controller.pods[1].kill()  # the node is gone
    controller.finish()

    assert [line.split()[0] for line in listing] == ["0", "1", "2", "3"]
    assert controller.ended == {0: "Succeeded", 1: "Succeeded", 2: "FailIndex", 3: "FailIndex"}
    assert controller.codes == {0: [143, 0], 1: [137, 0], 2: [3], 3: [3]}
    assert "going on from step" in controller.words[0]
    again = pod([*arguments[:-1], "--index", "0"], {})
    assert "is complete already" in again.communicate(timeout=200)[0] and again.returncode == 0

    environment["GENEXP_OUTPUT"] = str(tmp_path / "local")
    assert genexp("train", "-m", *JOBS, *STEPS, check=False).returncode == 1  # two of its jobs diverge
    local = tmp_path / "local" / "sweeps" / "lr"
    assert table(folder) == table(local)
    assert Counter(row[0] for row in table(local).values()) == {"complete": 2, "diverged": 2}
    for run in good:
        assert assert_same_bits(run.folder, local / run.folder.name) > 10


@pytest.mark.slow
def test_a_sweep_in_one_pod_tells_that_it_was_stopped_and_its_jobs_do_not(tmp_path, environment, pod):
    words = ["train", "-m", *JOBS[:-3], "optimizer.lr=1e-3", "sweep=one", *STEPS, "max_steps=100000"]
    sweep = pod(words, {"GENEXP_STOP_CODE": "143"})
    folder = tmp_path / "runs" / "sweeps" / "one"
    while not (runs := SweepFolder(folder).runs()):
        assert sweep.poll() is None
        time.sleep(0.02)
    wait_for_step(runs[0].folder, 100, sweep, timeout=300)
    sweep.terminate()
    words = sweep.communicate(timeout=200)[0]
    assert sweep.returncode == 143, words
    assert "1 stopped" in words
    assert Run(runs[0].folder).record["status"] == "stopped"
    assert json.loads((runs[0].folder / "run.json").read_text())["step"] >= 100


@pytest.mark.slow
def test_the_pods_of_a_jobset_all_say_that_they_were_stopped_and_go_on_together(tmp_path, genexp, pod):
    words = ["train", *TINY, "model=vae", "model.latent_dim=2", *STEPS, "trainer=ddp", "trainer.accelerator=cpu"]
    words += ["trainer.threads=1", "trainer.num_nodes=2", "trainer.devices=1", "max_steps=3000"]
    words += [f"run_dir={tmp_path}/pods", "resume=auto"]
    (jobset,) = [one for one in render("jobset", tmp_path / "manifests", arguments=words) if one["kind"] == "JobSet"]
    container = pod_specs(jobset)[0]["containers"][0]

    def begin() -> list[subprocess.Popen]:
        started = []
        for index in range(2):
            arguments, variables = command(container, NODE_RANK=str(index))
            del variables["GENEXP_OUTPUT"]
            started.append(pod(arguments, variables | {"MASTER_ADDR": "127.0.0.1"}))
        return started

    pods = begin()
    wait_for_step(tmp_path / "pods", 200, pods[0], timeout=300)
    pods[1].terminate()  # its node is drained
    words_of = [one.communicate(timeout=300)[0] for one in pods]
    assert [one.returncode for one in pods] == [143, 143], words_of
    policy = jobset["spec"]["replicatedJobs"][0]["template"]["spec"]["podFailurePolicy"]
    assert action(policy, 143) == "Count"  # and with backoffLimit 0 the JobSet starts all pods again
    stopped = Run(tmp_path / "pods").record
    assert stopped["status"] == "stopped" and 200 <= stopped["step"] < 3000

    pods = begin()
    words_of = [one.communicate(timeout=240)[0] for one in pods]
    assert [one.returncode for one in pods] == [0, 0], words_of
    assert f"going on from step {stopped['step']}" in words_of[0]
    assert Run(tmp_path / "pods").record["status"] == "complete"


@pytest.mark.slow
def test_an_indexed_sweep_in_a_bucket_is_resumed_by_a_pod_that_has_nothing(tmp_path, s3, environment, pod):
    words = ["train", "-m", *JOBS[:-3], "optimizer.lr=1e-3", "seeds=2", "sweep=bucket", *STEPS]
    address = f"s3://{BUCKET}/runs"

    def begin(index: int, machine: str) -> subprocess.Popen:
        variables = s3.environment | {"GENEXP_OUTPUT": address, "GENEXP_STOP_CODE": "143"}
        return pod([*words, f"--index={index}"], variables | {"GENEXP_CACHE": str(tmp_path / machine)})

    pods = [begin(index, f"machine{index}") for index in range(2)]
    copies = tmp_path / "machine0" / "genexp-remote"
    while not (found := list(copies.glob("**/metrics.csv"))):
        assert pods[0].poll() is None, pods[0].communicate()[0]
        time.sleep(0.02)
    wait_for_step(found[0].parent, 200, pods[0], timeout=300)
    pods[0].terminate()
    first = pods[0].communicate(timeout=200)[0]
    assert pods[0].returncode == 143, first
    assert pods[1].wait(timeout=300) == 0, pods[1].communicate()[0]

    again = begin(0, "machine2")
    output = again.communicate(timeout=300)[0]
    assert again.returncode == 0 and "going on from step" in output, output

    environment["GENEXP_OUTPUT"] = str(tmp_path / "local")
    local = pod(words, {})
    assert local.wait(timeout=300) == 0, local.communicate()[0]
    for run in SweepFolder(tmp_path / "local" / "sweeps" / "bucket").runs():
        name = f"runs/sweeps/bucket/{run.folder.name}/metrics.csv"
        assert s3.read(name) == (run.folder / "metrics.csv").read_bytes()
        assert json.loads(s3.read(name.replace("metrics.csv", "run.json")))["status"] == "complete"
