"""docker/kubernetes as a cluster would see it: rendered by kustomize, held to the schemas, with a Job's own rules.

Kubernetes' kinds are held to its strict JSON schemas (kubernetes-validate). JobSet and PyTorchJob are held to the
models that their projects publish (kubeflow-trainer-api, kubeflow-training), and the Jobs and pods inside them to
Kubernetes' schemas again.
"""

import copy
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml

FOLDER = Path(__file__).parents[1] / "docker" / "kubernetes"
VERSIONS = ("1.31", "1.37")
"""The oldest Kubernetes where every field is stable or on by default, and the newest whose schemas there are."""


def kubectl() -> str:
    path = Path(sys.executable).parent / "kubectl"
    if not path.is_file():
        pytest.skip("kubectl is not installed")
    return str(path)


def build(folder: Path) -> subprocess.CompletedProcess:
    return subprocess.run([kubectl(), "kustomize", str(folder)], capture_output=True, text=True, timeout=60)


def render(overlay: str, where: Path, components: Sequence[str] = (), arguments: Sequence[str] = ()) -> list[dict]:
    """The objects of an overlay.

    Arguments:
        overlay: the name of its folder.
        where: an empty folder for a copy, edited as a person would.
        components: folders to list under `components`.
        arguments: what takes the place of the container's arguments.
    """
    folder = where / "kubernetes"
    shutil.copytree(FOLDER, folder, dirs_exist_ok=True)
    path = folder / overlay / "kustomization.yaml"
    content = yaml.safe_load(path.read_text())
    content["components"] = [f"../{name}" for name in components]
    if arguments:
        operation = yaml.safe_load(content["patches"][0]["patch"])
        operation[0]["value"] = list(arguments)
        content["patches"][0]["patch"] = yaml.safe_dump(operation)
    path.write_text(yaml.safe_dump(content))
    done = build(path.parent)
    assert done.returncode == 0, done.stderr
    return [document for document in yaml.safe_load_all(done.stdout) if document]


def refusal(document: Mapping[str, Any], version: str = VERSIONS[-1]) -> str | None:
    """Why the schema of its kind refuses an object, None if it does not."""
    try:
        {"JobSet": _check_jobset, "PyTorchJob": _check_pytorchjob}.get(document["kind"], _check)(document, version)
    except (ValueError, AssertionError) as error:
        return str(error)
    return None


def _check(document: Mapping[str, Any], version: str) -> None:
    import kubernetes_validate

    try:
        kubernetes_validate.validate(document, version, strict=True)
    except kubernetes_validate.ValidationError as error:
        raise ValueError(error) from error


def _check_jobset(document: Mapping[str, Any], version: str) -> None:
    from kubeflow_trainer_api.models import JobsetV1alpha2JobSet

    assert document["apiVersion"] == "jobset.x-k8s.io/v1alpha2"
    read = JobsetV1alpha2JobSet.from_dict(copy.deepcopy(dict(document))).to_dict()
    assert read == document, f"the model of JobSet makes another object of it: {difference(document, read)}"
    for part in document["spec"]["replicatedJobs"]:
        template = part["template"]
        _check({"apiVersion": "batch/v1", "kind": "Job", "metadata": {}, **template}, version)


def _check_pytorchjob(document: Mapping[str, Any], version: str) -> None:
    assert document["apiVersion"] == "kubeflow.org/v1"
    _check_model(document, "KubeflowOrgV1PyTorchJob", version, "PyTorchJob")


def _check_model(value: Any, kind: str, version: str, where: str) -> None:
    """Hold a value to a generated model: known keys, types, required values."""
    from kubeflow.training import models

    if found := re.fullmatch(r"(dict\(str, |list\[)(\w+)[)\]]", kind):
        assert isinstance(value, dict if found[1][0] == "d" else list), f"{where} is no {kind}"
        for key, item in value.items() if isinstance(value, dict) else enumerate(value):
            _check_model(item, found[2], version, f"{where}.{key}")
    elif kind == "V1PodTemplateSpec":
        _check({"apiVersion": "v1", "kind": "PodTemplate", "metadata": {}, "template": value}, version)
    elif kind == "V1ObjectMeta":
        _check({"apiVersion": "v1", "kind": "ConfigMap", "metadata": value}, version)
    elif kind in ("int", "str", "bool"):
        assert type(value).__name__ == kind, f"{where} is no {kind}"
    else:
        model = getattr(models, kind)
        keys = {key: name for name, key in model.attribute_map.items()}
        assert set(value) <= set(keys), f"{where} has no {sorted(set(value) - set(keys))}"
        model(**{keys[key]: item for key, item in value.items()})  # refuses what lacks a required value
        for key, item in value.items():
            _check_model(item, model.openapi_types[keys[key]], version, f"{where}.{key}")


def difference(one: Any, other: Any, where: str = "") -> list[str]:
    """The places where two objects differ."""
    if isinstance(one, dict) and isinstance(other, dict):
        keys = sorted({*one, *other})
        return [place for key in keys for place in difference(one.get(key), other.get(key), f"{where}.{key}")]
    if isinstance(one, list) and isinstance(other, list) and len(one) == len(other):
        return [
            place for i, pair in enumerate(zip(one, other, strict=True)) for place in difference(*pair, f"{where}[{i}]")
        ]
    return [] if one == other else [where]


def pod_specs(document: Any) -> list[dict[str, Any]]:
    """Every pod's spec inside an object."""
    if isinstance(document, list):
        return [spec for item in document for spec in pod_specs(item)]
    if not isinstance(document, dict):
        return []
    own = [document] if "containers" in document else []
    return own + [spec for item in document.values() for spec in pod_specs(item)]


def command(container: Mapping[str, Any], **added: str) -> tuple[list[str], dict[str, str]]:
    """A container's arguments and variables as the kubelet makes them: `$(NAME)` is put in where the name is known.

    Arguments:
        container: its manifest.
        added: variables that a controller adds, such as JOB_COMPLETION_INDEX.
    """
    known = {item["name"]: item["value"] for item in container["env"] if "value" in item} | added
    expanded = [
        re.sub(r"\$\((\w+)\)", lambda found: known.get(found[1], found[0]), argument) for argument in container["args"]
    ]
    return expanded, known


def action(policy: Mapping[str, Any], code: int, disrupted: bool = False) -> str:
    """What a Job's controller does about a pod that has failed: the first rule that fits, else it counts as a crash.

    Source: https://kubernetes.io/docs/concepts/workloads/controllers/job/#pod-failure-policy
    """
    for rule in policy["rules"]:
        codes = rule.get("onExitCodes")
        if codes and (code in codes["values"]) == (codes["operator"] == "In") and code != 0:
            return rule["action"]
        if disrupted and any(one["type"] == "DisruptionTarget" for one in rule.get("onPodConditions", [])):
            return rule["action"]
    return "Count"
