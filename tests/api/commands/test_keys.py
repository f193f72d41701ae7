"""`nas keys`: made, listed and made void where the service's database is, and asked for by a service off loopback."""

import json
import socket
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.api.conftest import run_here, run_nas
from tests.serving import nas_serve


def _make(cwd: Path, *words: str, **variables: str) -> dict[str, Any]:
    made: dict[str, Any] = json.loads(run_nas("keys", "create", *words, "--json", cwd=cwd, **variables).stdout)
    return made


def test_a_key_is_shown_once_listed_and_made_void(tmp_path: Path) -> None:
    made = _make(tmp_path, "ada", "--scope", "read", "--days", "0")
    assert (made["owner"], made["project"], made["scope"], made["expires_at"]) == ("ada", "ada", "read", None)
    text = run_nas("keys", "create", "grace", "--project", "vision", cwd=tmp_path).stdout.split("\n")
    assert "of grace, in project vision, may submit" in text[0]
    assert text[1].startswith("nas_")
    listed = run_nas("keys", "list", cwd=tmp_path).stdout
    assert "ada" in listed
    assert "vision" in listed
    assert made["text"] not in listed
    assert text[1] not in listed
    assert run_nas("keys", "revoke", made["prefix"], cwd=tmp_path).stdout == f"key {made['prefix']} of ada is void\n"
    rows = json.loads(run_nas("keys", "list", "--json", cwd=tmp_path).stdout)
    assert [(row["owner"], row["revoked_at"] is None) for row in rows] == [("ada", False), ("grace", True)]
    owner = run_nas("keys", "revoke", "grace", cwd=tmp_path)
    assert owner.returncode != 0
    assert rows[1]["prefix"] in owner.stderr
    gone = run_nas("keys", "revoke", "nothing", cwd=tmp_path)
    assert (gone.returncode, gone.stderr) == (1, "error: there is no key 'nothing'\n")


@pytest.mark.parametrize("words", [[""], ["a\nb"], ["ada", "--scope", "root"], ["ada", "--days", "-1"], ["ada", "--project", ""]])
def test_a_key_for_nobody_or_nothing_is_refused(words: list[str], tmp_path: Path) -> None:
    result = run_here("keys", "create", *words, cwd=tmp_path)
    assert result.returncode != 0
    assert "Traceback" not in result.stderr
    assert json.loads(run_here("keys", "list", "--json", cwd=tmp_path).stdout) == []


def test_a_service_off_loopback_asks_for_a_key(tmp_path: Path) -> None:
    home = tmp_path / "home"
    key = _make(tmp_path, "ada", NAS_HOME=str(home))["text"]
    with nas_serve(home, "--host", "0.0.0.0", shown="0.0.0.0") as served:  # noqa: S104 - it has keys
        port = served.url.rpartition(":")[2]
        for host in ("127.0.0.1", socket.gethostbyname(socket.gethostname())):
            url = f"http://{host}:{port}"
            assert httpx.get(f"{url}/readyz", timeout=60).status_code in {200, 503}
            assert httpx.get(f"{url}/v1/searches", timeout=60).status_code == 401
            assert httpx.get(f"{url}/v1/searches", headers={"Authorization": f"Bearer {key}"}, timeout=60).status_code == 200
        assert key not in served.log.read_text()


def test_a_run_without_the_key_that_its_service_asks_for_says_so(tmp_path: Path) -> None:
    result = run_nas("search", "run", "--space", "tiny", cwd=tmp_path, NAS_REQUIRE_KEYS="true")
    assert result.returncode == 1
    assert "did not become ready: a service on 127.0.0.1 asks for keys, and there is none" in result.stderr
