"""What surrounds a command: proxies, output files, files of other editors, versions."""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from api.app import create_app
from api.cli import app
from api.client import NasClient
from api.commands.files import require_writable
from nas_service.connections import connect_http, is_loopback
from nas_service.errors import NotReadyError
from nas_service.settings import Settings
from search_spaces.errors import InvalidFieldError
from tests.api.conftest import run_here, run_nas
from tests.serving import in_thread

PROXIES = ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY")


@pytest.mark.parametrize("host", ["127.0.0.1", "127.9.9.9", "::1", "[::1]", "localhost", "LOCALHOST"])
def test_addresses_of_this_machine(host: str) -> None:
    assert is_loopback(host)


@pytest.mark.parametrize("host", ["10.0.0.1", "0.0.0.0", "example.org", "localhost.example.org", "", "::2"])  # noqa: S104 - no socket
def test_addresses_that_may_lead_elsewhere(host: str) -> None:
    assert not is_loopback(host)


@pytest.mark.parametrize("proxy", ["http://127.0.0.1:9", "socks5://127.0.0.1:9", "nonsense://x"])
@pytest.mark.parametrize("variable", ["HTTP_PROXY", "ALL_PROXY", "all_proxy"])
def test_no_proxy_stands_between_a_client_and_this_machine(
    monkeypatch: pytest.MonkeyPatch, settings: Settings, variable: str, proxy: str
) -> None:
    monkeypatch.setenv(variable, proxy)
    with in_thread(create_app(settings)) as address, NasClient(address) as client:
        assert client.readiness().status in {"ready", "degraded", "not-ready"}


@pytest.mark.parametrize("proxy", ["socks5://127.0.0.1:9", "nonsense://x"])
def test_a_proxy_that_cannot_be_used_is_one_sentence(monkeypatch: pytest.MonkeyPatch, proxy: str) -> None:
    for variable in PROXIES:
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("ALL_PROXY", proxy)
    with pytest.raises(NotReadyError, match=r"the proxy that the environment names .* put nas\.example\.org into NO_PROXY"):
        connect_http("http://nas.example.org:8000", 1.0)


@pytest.mark.parametrize(
    "words",
    [
        ["train-local", "--space", "tiny", "--epochs", "1", "-o"],
        ["dataset", "export", "digits"],
        ["compile", "no.zip", "-o"],
        ["download", "0", "-o"],
        ["search", "report", "0", "-o"],
        ["search", "diagram", "0", "-o"],
        ["search", "samples", "0", "--parquet"],
        ["search", "arms", "0", "--parquet"],
        ["dataset", "show", "digits", "--sheet"],
    ],
)
@pytest.mark.parametrize("place", ["no/such/folder/file", "."])
def test_what_cannot_be_written_is_refused_before_any_work(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, words: list[str], place: str
) -> None:
    """Nobody is asked either: there is no service at that address."""
    monkeypatch.chdir(tmp_path)
    done = CliRunner().invoke(app, [*words, place], env={"NAS_URL": "http://127.0.0.1:9"})
    assert isinstance(done.exception, InvalidFieldError), done.output
    assert f"{place!r} is not allowed; allowed: a file that can be written" in str(done.exception)
    assert list(tmp_path.iterdir()) == []


def test_a_spec_that_begins_with_a_byte_order_mark_is_read(tmp_path: Path) -> None:
    from api.commands.specs import read_spec  # noqa: PLC0415 - beside what it is about

    path = tmp_path / "spec.json"
    path.write_bytes(b"\xef\xbb\xbf" + b'{"space": "tiny"}')
    assert read_spec(path, {}, None).required() == {"space": "tiny"}


def test_versions_are_told_of_torch_and_ray_too(tmp_path: Path) -> None:
    done = run_nas("--version", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert re.fullmatch(r"nas-service \S+\ntorch \S+\nray \S+\n", done.stdout)


@pytest.mark.parametrize("words", [["-h"], ["search", "-h"], ["search", "submit", "-h"], ["train-local", "-h"]])
def test_a_short_word_for_help(words: list[str]) -> None:
    done = CliRunner().invoke(app, words)
    assert done.exit_code == 0
    assert "Usage:" in done.stdout


def test_a_service_on_any_free_port_says_which(tmp_path: Path) -> None:
    environment = {key: value for key, value in os.environ.items() if not key.startswith("NAS_")} | {"NAS_HOME": str(tmp_path)}
    command = [sys.executable, "-m", "api.cli", "serve", "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as process:
        assert process.stdout is not None
        line = process.stdout.readline()
        process.terminate()
    found = re.match(r"nas-service on http://127\.0\.0\.1:(\d+), data in ", line)
    assert found is not None, line
    assert int(found[1]) > 0


@pytest.mark.parametrize("is_there", [True, False])
def test_looking_whether_a_file_can_be_written_changes_nothing(tmp_path: Path, *, is_there: bool) -> None:
    """A link that leads to nothing stays a link."""
    target, link = tmp_path / "target", tmp_path / "link"
    link.symlink_to(target)
    if is_there:
        target.write_text("kept")
    require_writable("--output", link)
    assert link.is_symlink()
    assert target.exists() == is_there
    assert not is_there or target.read_text() == "kept"


@pytest.mark.parametrize("name", ["-x y", "100%41 #1?", "c::d", 'it\'s "quoted" \N{SNOWMAN}'])
def test_a_home_with_any_characters_holds_all_its_files(tmp_path: Path, name: str) -> None:
    """Given as it is, without a folder before it, which may look like an option; the hint is what a shell takes."""
    done = run_here("demo", cwd=tmp_path, NAS_HOME=name)
    assert done.returncode == 0, done.stderr
    home = tmp_path / name
    assert list(tmp_path.iterdir()) == [home]
    assert {"nas.db", "artifacts"} <= {path.name for path in home.iterdir()}
    assert list((home / "artifacts").rglob("*.zip"))
    hint = next(line for line in done.stdout.splitlines() if line.startswith("`NAS_HOME="))
    assert shlex.split(hint.split("`")[1])[0] == f"NAS_HOME={name}"


def test_a_home_that_is_no_text_is_one_sentence(tmp_path: Path) -> None:
    done = run_here("demo", cwd=tmp_path, NAS_HOME=os.fsdecode(b"caf\xe9"))
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("error: NAS_HOME: ")
    assert done.stderr.endswith("is not allowed; allowed: a path in UTF-8\n")


@pytest.mark.parametrize("url", ["127.0.0.1:8177", "localhost", "nas.example.org/x", "ftp://127.0.0.1", ""])
def test_an_address_without_its_scheme_is_one_sentence_that_says_what_is_missing(tmp_path: Path, url: str) -> None:
    done = run_here("search", "list", "--url", url or "://x", cwd=tmp_path)
    assert done.returncode == 1
    assert "is no address of a service; allowed: http://HOST:PORT, with --url, NasClient(url) or NAS_URL" in done.stderr
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize("url", ["nonsense", "mysql://x/y", "sqlite://nowhere/x", "postgresql://u:secret@h:port/x"])
def test_a_database_url_that_cannot_be_is_one_sentence_without_its_password(tmp_path: Path, url: str) -> None:
    done = run_here("migrate", cwd=tmp_path, NAS_DATABASE_URL=url)
    assert done.returncode == 1
    assert "NAS_DATABASE_URL" in done.stderr
    assert "secret" not in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_a_file_that_is_no_database_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("no database " * 100)
    done = run_here("migrate", cwd=tmp_path, NAS_DATABASE_URL=f"sqlite:///{tmp_path}/notes.txt")
    assert (done.returncode, len(done.stderr.splitlines())) == (1, 1)
    assert "is no SQLite database" in done.stderr
