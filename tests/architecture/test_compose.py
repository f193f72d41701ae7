"""docker-compose.yml, by parsing it: no container engine runs here."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from nas_service.settings import Settings

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    """Return the parsed file."""
    parsed: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
    return parsed


def test_only_the_api_is_published_and_only_on_loopback(compose: dict[str, Any]) -> None:
    published = {name: service["ports"] for name, service in compose["services"].items() if "ports" in service}
    assert published == {"api": ["127.0.0.1:8000:8000"]}
    assert compose["networks"]["internal"]["internal"] is True


def test_every_process_of_ours_is_there_and_shares_image_and_environment(compose: dict[str, Any]) -> None:
    ours = {name: service for name, service in compose["services"].items() if name != "database"}
    assert set(ours) == {"migrate", "api", "ray-head", "ray-worker"}
    assert len({service["image"] for service in ours.values()}) == 1
    assert all(service["environment"] == compose["x-nas"]["environment"] for service in ours.values())


def test_every_variable_is_a_setting_and_secrets_have_no_default(compose: dict[str, Any]) -> None:
    environment = compose["x-nas"]["environment"]
    for name in environment:
        assert name.startswith("RAY_AUTH_") or name.removeprefix("NAS_").lower() in Settings.model_fields
    text = (ROOT / "docker-compose.yml").read_text()
    for secret in ("POSTGRES_PASSWORD", "RAY_AUTH_TOKEN"):
        assert f"${{{secret}:?" in text
        assert f"${{{secret}:-" not in text


def test_the_api_waits_for_migrations_and_the_head_has_no_cpus(compose: dict[str, Any]) -> None:
    services = compose["services"]
    assert services["api"]["depends_on"]["migrate"]["condition"] == "service_completed_successfully"
    assert "--num-cpus=0" in services["ray-head"]["command"]
    assert services["ray-worker"]["deploy"]["resources"]["reservations"]["devices"][0]["capabilities"] == ["gpu"]


def test_every_process_of_ours_shares_artifacts_data_and_decoded_images_at_the_paths_of_the_settings(
    compose: dict[str, Any],
) -> None:
    """A worker opens the file of decoded images that a driver names: the same volume has to be at the same path."""
    given = compose["x-nas"]["environment"]
    names = ("home", "artifact_url", "data_root")
    settings = Settings.model_validate({name: given[f"NAS_{name.upper()}"] for name in names})
    places = {str(settings.dataset_cache), settings.artifacts.removeprefix("file://"), str(settings.data)}
    ours = {name: service for name, service in compose["services"].items() if service.get("image") == compose["x-nas"]["image"]}
    assert ours
    mounts = {name: sorted(service["volumes"]) for name, service in ours.items()}
    assert len({tuple(volumes) for volumes in mounts.values()}) == 1
    for volumes in mounts.values():
        sources = {path: (source, mode) for source, path, *mode in (volume.split(":") for volume in volumes)}
        assert set(sources) == places
        assert {path for path, (_, mode) in sources.items() if mode} == {str(settings.data)}
        for path in places - {str(settings.data)}:
            assert sources[path][0] in compose["volumes"]


def test_the_user_of_the_image_owns_what_volumes_are_made_of(compose: dict[str, Any]) -> None:
    """A new volume takes the owner that its path has in the image; a path that is not there would be root's."""
    text = (ROOT / "Dockerfile").read_text()
    (made,), (owned,) = ([line for line in text.splitlines() if word in line] for word in ("mkdir -p", "chown nas"))
    places = [volume.split(":")[1] for volume in compose["x-nas"]["volumes"] if volume.split(":")[0] in compose["volumes"]]
    assert len(places) == 2
    for place in places:
        assert place in made.split()
        assert place in owned.split()


def test_the_image_holds_every_package_and_pins_versions() -> None:
    text = (ROOT / "Dockerfile").read_text()
    for package in ("search_spaces", "nas_service", "workers", "api", "migrations"):
        assert f"COPY {package} {package}" in text
    assert "--constraint constraints.txt" in text
    assert "USER nas" in text
