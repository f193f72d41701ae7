"""Settings and the environment."""

import os
from pathlib import Path

import pytest

from nas_service.settings import Settings


def test_the_environment_form_gives_the_settings_back(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """So a driver process works with exactly the settings of the service that started it."""
    settings = Settings(home=tmp_path, database_url="postgresql+psycopg://u:p@h/d", lease_s=7.5, controller=False)
    for name, value in settings.environment().items():
        monkeypatch.setenv(name, value)
    assert Settings() == settings


def test_the_embedded_defaults_live_under_home(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path)
    assert settings.database == f"sqlite:///{tmp_path}/nas.db"
    assert settings.artifacts == f"file://{tmp_path}/artifacts"
    assert settings.data == tmp_path / "data"
    assert settings.is_embedded


def test_a_wrong_value_names_its_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NAS_LEASE_S", "-1")
    with pytest.raises(ValueError, match="lease_s"):
        Settings()


def test_a_home_whose_name_is_no_text_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NAS_HOME", os.fsdecode(b"caf\xe9"))
    with pytest.raises(ValueError, match="a path in UTF-8"):
        Settings()
