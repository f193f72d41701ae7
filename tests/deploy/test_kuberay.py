"""deploy/kuberay/nas.yaml, held against Kubernetes' own schemas, and against docker-compose.yml."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from nas_service.settings import Settings
from tests.team.project import read_project, seconds

FILE = Path(__file__).resolve().parents[2] / "deploy" / "kuberay" / "nas.yaml"
KUBERNETES = "1.37"
OBJECTS: list[dict[str, Any]] = list(yaml.safe_load_all(FILE.read_text()))
CLUSTER = next(one for one in OBJECTS if one["kind"] == "RayCluster")


def _templates() -> Iterator[dict[str, Any]]:
    """Give every template of a pod."""
    for one in OBJECTS:
        if one["kind"] in {"Job", "Deployment"}:
            yield one["spec"]["template"]
    yield CLUSTER["spec"]["headGroupSpec"]["template"]
    for group in CLUSTER["spec"]["workerGroupSpecs"]:
        yield group["template"]


def _containers() -> dict[str, dict[str, Any]]:
    return {
        container["name"]: container
        for template in _templates()
        for container in [*template["spec"].get("initContainers", []), *template["spec"]["containers"]]
    }


def _settings(*names: str) -> dict[str, str]:
    found = {one["metadata"]["name"]: one["data"] for one in OBJECTS if one["kind"] == "ConfigMap"}
    return {variable: value for name in names for variable, value in found[name].items()}


@pytest.mark.parametrize(
    "one", [one for one in OBJECTS if one is not CLUSTER], ids=lambda one: f"{one['kind']}-{one['metadata']['name']}"
)
def test_every_object_of_kubernetes_keeps_its_schema(one: dict[str, Any]) -> None:
    kubernetes_validate.validate(one, KUBERNETES, strict=True)


def test_the_pods_of_the_cluster_keep_theirs() -> None:
    """KubeRay's own definition is in no package; its fields were held against the one of KubeRay 1.7 when this was written."""
    assert CLUSTER["apiVersion"] == "ray.io/v1"
    assert set(CLUSTER["spec"]) == {"rayVersion", "headGroupSpec", "workerGroupSpecs"}
    for template in _templates():
        pod = {"apiVersion": "v1", "kind": "PodTemplate", "metadata": {"name": "x"}, "template": template}
        kubernetes_validate.validate(pod, KUBERNETES, strict=True)


def test_the_schema_sees_a_field_that_is_none() -> None:
    broken = {"apiVersion": "v1", "kind": "PodTemplate", "metadata": {"name": "x"}, "template": {"spec": {"containerz": []}}}
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(broken, KUBERNETES, strict=True)


def test_no_container_may_write_gain_privileges_or_run_as_root() -> None:
    for name, container in _containers().items():
        assert container["securityContext"] == {
            "readOnlyRootFilesystem": True,
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"]},
        }, name
        assert set(container["resources"]["limits"]) >= {"cpu", "memory"}, name
    for template in _templates():
        assert template["spec"]["automountServiceAccountToken"] is False
        context = template["spec"]["securityContext"]
        assert (context["runAsNonRoot"], context["runAsUser"], context["seccompProfile"]) == (
            True,
            10001,
            {"type": "RuntimeDefault"},
        )


def test_every_mount_has_its_volume_and_secrets_are_files() -> None:
    for template in _templates():
        volumes = {volume["name"] for volume in template["spec"]["volumes"]}
        for container in [*template["spec"].get("initContainers", []), *template["spec"]["containers"]]:
            assert {mount["name"] for mount in container["volumeMounts"]} <= volumes
            assert "secretKeyRef" not in str(container)
            assert "secretRef" not in str(container)


def test_drivers_get_no_password_of_the_owner_and_workers_none_of_the_database() -> None:
    for group in (CLUSTER["spec"]["headGroupSpec"], *CLUSTER["spec"]["workerGroupSpecs"]):
        assert "nas-owner" not in str(group)
    assert "nas-driver" in str(CLUSTER["spec"]["headGroupSpec"])
    assert "nas-driver" not in str(CLUSTER["spec"]["workerGroupSpecs"])


def test_what_runs_is_what_runs_under_compose() -> None:
    services, ours = read_project()["services"], _containers()
    for name in ("api", "controller", "migrate"):
        assert ours[name]["args"] == services[name]["command"]
    head, mine = services["ray-head"]["command"], CLUSTER["spec"]["headGroupSpec"]["rayStartParams"]
    assert f"--num-cpus={mine['num-cpus']}" in head
    assert f"--dashboard-host={mine['dashboard-host']}" in head
    assert ours["ray-head"]["readinessProbe"]["exec"]["command"] == services["ray-head"]["healthcheck"]["test"][1:]
    for template, name in zip(_templates(), ("migrate", "api", "controller", "ray-head", "ray-worker"), strict=True):
        if name != "migrate":
            assert template["spec"]["terminationGracePeriodSeconds"] == seconds(services[name]["stop_grace_period"])
    for roles, name in (
        (("nas", "nas-owner-database"), "controller"),
        (("nas", "nas-driver-database"), "ray-head"),
        (("nas",), "ray-worker"),
    ):
        assert set(_settings(*roles)) - {"NAS_MAX_CONCURRENT_JOBS", "NAS_ALLOWED_HOSTS"} <= set(services[name]["environment"])
    for variable in _settings("nas"):
        assert not variable.startswith("NAS_") or variable.removeprefix("NAS_").lower() in Settings.model_fields
