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


def test_the_image_holds_every_package_and_pins_versions() -> None:
    text = (ROOT / "Dockerfile").read_text()
    for package in ("search_spaces", "nas_service", "workers", "api", "migrations"):
        assert f"COPY {package} {package}" in text
    assert "--constraint constraints.txt" in text
    assert "USER nas" in text
