"""Secrets in files. That PostgreSQL lets such passwords in is shown by `make test-team`."""

from pathlib import Path

import pytest
from sqlalchemy import make_url

from nas_service.errors import NotReadyError
from nas_service.secret_files import LONGEST_BYTES, read_secret, with_password
from nas_service.settings import Settings

AWKWARD = ["@/%:'", 'a"b?c#d&e=f+g\\h', "%40", "größe", " spaces ", "$(id)`id`", "[::1]", "plain"]


def _settings(folder: Path, url: str, password: str) -> Settings:
    (folder / "password").write_text(f"{password}\n", encoding="utf-8")
    return Settings(home=folder, database_url=url, database_password_file=folder / "password")


@pytest.mark.parametrize("password", AWKWARD)
def test_any_password_comes_out_of_a_url_as_it_went_in(password: str, tmp_path: Path) -> None:
    parsed = make_url(_settings(tmp_path, "postgresql+psycopg://nas@database:5433/nas?application_name=x", password).database)
    assert (parsed.password, parsed.username, parsed.host, parsed.port, parsed.database) == (
        password,
        "nas",
        "database",
        5433,
        "nas",
    )
    assert parsed.query == {"application_name": "x"}


def test_the_settings_of_a_child_name_the_file_and_not_the_password(tmp_path: Path) -> None:
    settings = _settings(tmp_path, "postgresql+psycopg://nas@database/nas", "hidden")
    environment = settings.environment()
    assert environment["NAS_DATABASE_PASSWORD_FILE"] == str(tmp_path / "password")
    assert "hidden" not in str(environment)
    assert "hidden" not in repr(settings.model_dump())


def test_rays_token_comes_from_its_variable_else_from_its_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "token").write_text("from-file\n")
    monkeypatch.setenv("RAY_AUTH_TOKEN_PATH", str(tmp_path / "token"))
    assert Settings().ray_token == "from-file"  # noqa: S105 - a test's
    monkeypatch.setenv("RAY_AUTH_TOKEN", "from-variable")
    assert Settings().ray_token == "from-variable"  # noqa: S105 - a test's
    assert "RAY_AUTH" not in str(Settings().environment())


def test_a_file_that_is_no_secret_is_told_by_the_variable_that_names_it(tmp_path: Path) -> None:
    for content, what in ((None, "cannot be read"), (b"", "is empty"), (b"\n", "is empty"), (b"\xff\xfe", "no text in UTF-8")):
        path = tmp_path / "secret"
        path.unlink(missing_ok=True)
        if content is not None:
            path.write_bytes(content)
        with pytest.raises(NotReadyError, match=f"^SOME_FILE is .*{what}"):
            read_secret(path, "SOME_FILE")
    (tmp_path / "secret").write_bytes(b"x" * (LONGEST_BYTES + 1))
    with pytest.raises(NotReadyError, match="more than 10000 bytes"):
        read_secret(tmp_path / "secret", "SOME_FILE")


def test_a_url_without_a_user_or_with_a_password_is_refused_and_not_repeated() -> None:
    for url, what in (
        ("postgresql+psycopg://database/nas", "names no user"),
        ("sqlite:///nas.db", "names no user"),
        ("postgresql+psycopg://nas:known@database/nas", "has a password"),
    ):
        with pytest.raises(NotReadyError, match=what) as refused:
            with_password(url, "secret")
        assert "known" not in str(refused.value)
        assert "secret" not in str(refused.value)
