"""docker/kubernetes: the manifests render, the schemas take them and refuse what is planted, the commands are right."""

import copy
import itertools
from collections.abc import Iterator

import pytest
import yaml
from tests.manifests import FOLDER, VERSIONS, action, build, command, pod_specs, refusal, render

from genexp.commands import indexed
from genexp.commands.arguments import take_flag, take_option
from genexp.config import compose_train
from genexp.errors import Busy, Diverged, Lost, Undelivered, UserError
from genexp.exit_codes import STOP_CODE_VARIABLE
from genexp.ranks import here

OVERLAYS = {"run": "Job", "sweep": "Job", "jobset": "JobSet", "pytorchjob": "PyTorchJob"}
COMPONENTS = [(), ("s3",), ("gpu",), ("gpu", "s3")]


@pytest.fixture(scope="module")
def rendered(tmp_path_factory) -> dict[tuple[str, tuple[str, ...]], dict[str, dict]]:
    """By overlay and components: the objects, by their kind."""
    found = {}
    for overlay, components in itertools.product(OVERLAYS, COMPONENTS):
        documents = render(overlay, tmp_path_factory.mktemp(overlay), components)
        found[overlay, components] = {document["kind"]: document for document in documents}
    return found


def workload(rendered, overlay: str, components: tuple[str, ...] = ()) -> dict:
    return copy.deepcopy(rendered[overlay, components][OVERLAYS[overlay]])


def test_each_overlay_is_its_job_and_the_volume(rendered):
    for (overlay, components), documents in rendered.items():
        volume = set() if "s3" in components else {"PersistentVolumeClaim"}
        assert set(documents) == {OVERLAYS[overlay], *volume}  # the pod's template is applied by nobody


@pytest.mark.parametrize("version", VERSIONS)
def test_the_schemas_take_every_object(rendered, version):
    for key, documents in rendered.items():
        for document in documents.values():
            assert refusal(document, version) is None, key


@pytest.mark.parametrize(
    ("overlay", "path", "wrong"),
    [
        ("run", "spec.podFailurePolicies", {}),
        ("run", "spec.backoffLimit", "six"),
        ("run", "spec.template.spec.terminationGracePeriod", 120),
        ("run", "spec.template.spec.containers.0.securityContext.readOnlyRootFileSystem", True),
        ("sweep", "spec.backoffLimitPerindex", 1),
        ("jobset", "spec.failurePolicy.maxRestart", 3),
        ("jobset", "spec.failurePolicy.rules.0.onJobFailureReason", ["PodFailurePolicy"]),
        ("jobset", "spec.replicatedJobs.0.replica", 1),
        ("jobset", "spec.replicatedJobs.0.replicas", "one"),
        ("jobset", "spec.replicatedJobs.0.template.spec.template.spec.containers.0.volumeMount", []),
        ("pytorchjob", "spec.runPolicy.backOffLimit", 1),
        ("pytorchjob", "spec.runPolicy.backoffLimit", "1"),
        ("pytorchjob", "spec.pytorchReplicaSpecs.Worker.replica", 1),
        ("pytorchjob", "spec.pytorchReplicaSpecs.Master.template.spec.securityContexts", {}),
    ],
)
def test_the_schemas_refuse_a_planted_mistake(rendered, overlay, path, wrong):
    document = workload(rendered, overlay)
    *parents, name = path.split(".")
    node = document
    for key in parents:
        node = node[int(key)] if key.isdigit() else node[key]
    assert refusal(document) is None
    node[name] = wrong
    assert name in refusal(document)


def test_the_models_refuse_what_lacks_a_required_value(rendered):
    jobset, pytorchjob = workload(rendered, "jobset"), workload(rendered, "pytorchjob")
    del jobset["spec"]["replicatedJobs"][0]["name"]
    del pytorchjob["spec"]["runPolicy"]
    assert "name" in refusal(jobset)
    assert "run_policy" in refusal(pytorchjob)


def test_kustomize_refuses_an_unknown_key(tmp_path):
    (tmp_path / "kustomization.yaml").write_text("kind: Kustomization\nresource: []\n")
    assert 'unknown field "resource"' in build(tmp_path).stderr


class TestPod:
    """Every pod of every overlay."""

    @pytest.fixture(scope="class")
    def pods(self, rendered) -> list[tuple[tuple[str, ...], dict]]:
        found = [(key[1], spec) for key, documents in rendered.items() for spec in pod_specs(list(documents.values()))]
        assert len(found) == len(COMPONENTS) * 5  # a PyTorchJob has two kinds of pods
        return found

    def test_it_fits_the_restricted_standard(self, pods):
        for _, spec in pods:
            assert spec["securityContext"]["runAsNonRoot"] and spec["securityContext"]["runAsUser"] > 0
            assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
            assert not spec["automountServiceAccountToken"]
            for container in spec["containers"]:
                own = container["securityContext"]
                assert own["readOnlyRootFilesystem"] and not own["allowPrivilegeEscalation"]
                assert own["capabilities"] == {"drop": ["ALL"]}
            assert not {"hostNetwork", "hostPID", "hostIPC"} & set(spec)
            kinds = {kind for volume in spec["volumes"] for kind in volume} - {"name"}
            assert kinds <= {"emptyDir", "persistentVolumeClaim"}

    def test_it_writes_to_mounted_folders_alone_and_asks_for_what_it_uses(self, pods):
        for components, spec in pods:
            container = spec["containers"][0]
            mounted = {mount["mountPath"]: mount["name"] for mount in container["volumeMounts"]}
            assert set(mounted) == {"/runs", "/runs/.cache", "/tmp"} | ({"/dev/shm"} if "gpu" in components else set())
            assert set(mounted.values()) == {volume["name"] for volume in spec["volumes"]}
            assert {"cpu", "memory"} <= set(container["resources"]["requests"])
            assert "memory" in container["resources"]["limits"]
            assert ("nvidia.com/gpu" in container["resources"]["limits"]) == ("gpu" in components)
            assert container["image"].endswith(":cuda" if "gpu" in components else ":cpu")

    def test_it_has_time_to_save_and_says_when_it_was_stopped(self, pods):
        for _, spec in pods:
            assert spec["restartPolicy"] == "Never" and spec["terminationGracePeriodSeconds"] >= 60
            assert spec["shareProcessNamespace"]
            variables = {item["name"]: item.get("value") for item in spec["containers"][0]["env"]}
            assert variables[STOP_CODE_VARIABLE] == "143"

    def test_runs_go_to_the_volume_or_to_the_bucket_whose_key_is_a_secret(self, pods):
        for components, spec in pods:
            container = spec["containers"][0]
            output = next(item["value"] for item in container["env"] if item["name"] == "GENEXP_OUTPUT")
            volume = next(volume for volume in spec["volumes"] if volume["name"] == "runs")
            if "s3" in components:
                assert output.startswith("s3://") and "emptyDir" in volume
                assert container["envFrom"] == [{"secretRef": {"name": "genexp-s3"}}]
            else:
                assert output == "/runs" and volume["persistentVolumeClaim"]["claimName"] == "genexp-runs"


def rules(rendered, overlay: str) -> tuple[dict, str]:
    """The failure policy of an overlay's Job, and the name of its container."""
    document = workload(rendered, overlay)
    spec = document["spec"]["replicatedJobs"][0]["template"]["spec"] if overlay == "jobset" else document["spec"]
    return spec["podFailurePolicy"], pod_specs(document)[0]["containers"][0]["name"]


class TestPolicy:
    """What becomes of a pod that has failed, by genexp's exit codes."""

    @pytest.mark.parametrize(("overlay", "end"), [("run", "FailJob"), ("sweep", "FailIndex"), ("jobset", "FailJob")])
    def test_a_mistake_and_a_divergence_end_it(self, rendered, overlay, end):
        policy, _ = rules(rendered, overlay)
        assert [action(policy, error.exit_code) for error in (UserError, Diverged)] == [end, end]

    @pytest.mark.parametrize("overlay", ["run", "sweep"])
    def test_an_interruption_is_not_counted_and_a_crash_is(self, rendered, overlay):
        policy, _ = rules(rendered, overlay)
        assert action(policy, 143) == "Ignore"
        assert action(policy, 137, disrupted=True) == "Ignore"
        assert [action(policy, code) for code in (1, Busy.exit_code, Undelivered.exit_code, 137)] == ["Count"] * 4

    def test_a_jobset_starts_all_its_pods_again_after_anything_else(self, rendered):
        policy, _ = rules(rendered, "jobset")
        assert {action(policy, code) for code in (1, Busy.exit_code, Lost.exit_code, 137, 143)} == {"Count"}
        spec = workload(rendered, "jobset")["spec"]
        assert spec["replicatedJobs"][0]["template"]["spec"]["backoffLimit"] == 0
        ending = spec["failurePolicy"]["rules"]
        assert [(rule["action"], rule["onJobFailureReasons"]) for rule in ending] == [
            ("FailJobSet", ["PodFailurePolicy"])
        ]

    def test_a_pytorchjob_takes_codes_from_128_on_for_interruptions(self, rendered):
        replicas = workload(rendered, "pytorchjob")["spec"]["pytorchReplicaSpecs"].values()
        assert {replica["restartPolicy"] for replica in replicas} == {"ExitCode"}
        assert max(error.exit_code for error in (UserError, Diverged, Busy, Lost)) < 128 <= 143
        assert {spec["containers"][0]["name"] for spec in pod_specs(list(replicas))} == {"pytorch"}

    def test_the_rules_name_the_container(self, rendered):
        for overlay in ("run", "sweep", "jobset"):
            policy, name = rules(rendered, overlay)
            named = [rule["onExitCodes"]["containerName"] for rule in policy["rules"] if "onExitCodes" in rule]
            assert named and set(named) == {name}

    def test_the_next_pod_waits_for_the_one_before(self, rendered):
        for overlay in ("run", "sweep"):
            assert workload(rendered, overlay)["spec"]["podReplacementPolicy"] == "Failed"


class TestCommand:
    """What the containers are asked to do."""

    @pytest.mark.parametrize("overlay", ["run", "jobset", "pytorchjob"])
    @pytest.mark.parametrize("components", [(), ("s3",)])
    def test_a_run_has_a_folder_of_its_own_and_goes_on(self, rendered, overlay, components):
        for spec in pod_specs(workload(rendered, overlay, components)):
            arguments, variables = command(spec["containers"][0])
            assert arguments.pop(0) == "train"
            config = compose_train(arguments).config
            assert config.resume == "auto" and config.run_dir.startswith(f"{variables['GENEXP_OUTPUT']}/digits_dcgan")
            assert config.trainer.get("num_nodes", 1) == (1 if overlay == "run" else 2)

    def test_the_numbers_of_the_sweep_are_those_of_its_jobs(self, rendered):
        spec = workload(rendered, "sweep")["spec"]
        assert spec["completionMode"] == "Indexed"
        arguments, _ = command(pod_specs(spec)[0]["containers"][0], JOB_COMPLETION_INDEX="5")
        assert arguments.pop(0) == "train" and take_flag(arguments, "-m")
        assert take_option(arguments, "--index") == "5"
        assert len(list(indexed.listed(arguments, None))) == spec["completions"]

    @pytest.mark.parametrize("overlay", ["jobset", "pytorchjob"])
    def test_the_pods_know_their_numbers_and_the_first_of_them(self, rendered, overlay):
        document = workload(rendered, overlay)
        for number, (spec, added) in enumerate(self.pods(document)):
            arguments, variables = command(spec["containers"][0], **added)
            trainer = compose_train(arguments[1:]).config.trainer
            place = here(variables)
            place.check(trainer.devices, trainer.num_nodes)
            assert (place.node, place.local, place.first) == (number, 0, number == 0)
        assert number == 1

    @staticmethod
    def pods(document: dict) -> Iterator[tuple[dict, dict[str, str]]]:
        """Each pod that a controller makes, and the variables that it or the kubelet fills in."""
        if document["kind"] == "JobSet":
            (job,) = document["spec"]["replicatedJobs"]
            inner = job["template"]["spec"]
            assert (job["replicas"], inner["completionMode"]) == (1, "Indexed")
            assert inner["completions"] == inner["parallelism"]
            (spec,) = pod_specs(inner)
            variables = {item["name"]: item for item in spec["containers"][0]["env"]}
            first = f"{document['metadata']['name']}-{job['name']}-0-0.{document['metadata']['name']}"
            assert variables["MASTER_ADDR"]["value"] == first
            assert "job-completion-index" in variables["NODE_RANK"]["valueFrom"]["fieldRef"]["fieldPath"]
            yield from ((spec, {"NODE_RANK": str(index)}) for index in range(inner["completions"]))
            return
        replicas = document["spec"]["pytorchReplicaSpecs"]
        specs = [
            replicas[kind]["template"]["spec"]
            for kind in ("Master", "Worker")
            for _ in range(replicas[kind]["replicas"])
        ]
        for rank, spec in enumerate(specs):
            given = {"MASTER_ADDR": "genexp-ddp-master-0", "MASTER_PORT": "23456", "WORLD_SIZE": str(len(specs))}
            yield spec, given | {"RANK": str(rank)}


def test_every_file_is_used():
    named = {
        name
        for path in FOLDER.glob("*/kustomization.yaml")
        for name in yaml.safe_load(path.read_text()).get("resources", [])
    }
    assert {path.name for path in FOLDER.glob("*/*.yaml")} - {"kustomization.yaml"} == named - {"../base"}
