"""The doctor on ports that are taken and on what answers where a service should."""

import json
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from api.app import create_app
from api.doctor.findings import Check, Level
from api.doctor.service import see_port, see_service
from nas_service.access import Scope
from nas_service.settings import Settings
from nas_service.storage import access_keys
from nas_service.storage.session import Database
from tests.api.doctor.seen import answering, bad, seen
from tests.clusters import free_port
from tests.serving import in_thread

PORT, SERVICE = Check("port", see_port), Check("service", see_service)
READY = json.dumps({"status": "ready", "checks": {"database": "ok"}, "queued": 0, "running": 0}).encode()


@pytest.fixture(autouse=True)
def _no_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NAS_KEY", raising=False)


def _at(settings: Settings, port: int) -> Settings:
    return settings.model_copy(update={"port": port, "url": f"http://127.0.0.1:{port}"})


def test_a_service_that_is_well_is_told_to_be(settings: Settings) -> None:
    with in_thread(create_app(settings)) as url:
        here = _at(settings, int(url.rpartition(":")[2]))
        assert [finding.said.partition(" on ")[0] for finding in seen(PORT, here)] == ["a service of ours listens"]
        assert [finding.level for finding in seen(SERVICE, here)] == [Level.OK, Level.OK]


def test_nobody_is_there_which_is_a_fault_only_where_somebody_should_be(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    nowhere = _at(settings, free_port())
    monkeypatch.delenv("NAS_URL", raising=False)
    assert [finding.level for finding in (*seen(PORT, nowhere), *seen(SERVICE, nowhere))] == [Level.OK, Level.NOTE]
    monkeypatch.setenv("NAS_URL", nowhere.url)
    (found,) = bad(SERVICE, nowhere)
    assert (found.level, "Connection refused" in found.said) == (Level.BROKEN, True)


def test_a_port_that_another_program_has(settings: Settings) -> None:
    with answering(200, b"<html>hello</html>") as port:
        (taken,), (foreign,) = bad(PORT, _at(settings, port)), bad(SERVICE, _at(settings, port))
    assert taken.said == f"port {port} of 127.0.0.1 is in use (another nas serve?)"
    assert taken.advice == "choose one with --port or NAS_PORT"
    assert foreign.said == f"what answers at http://127.0.0.1:{port} (status 200) is no service of ours"


@pytest.mark.slow
def test_a_port_where_somebody_listens_and_never_answers(settings: Settings) -> None:
    with socket.create_server(("127.0.0.1", 0)) as mute:
        port = mute.getsockname()[1]
        (found,) = bad(PORT, _at(settings, port))
    assert "is in use" in found.said


def test_an_address_that_is_not_of_this_machine(settings: Settings) -> None:
    (found,) = bad(PORT, settings.model_copy(update={"host": "192.0.2.1"}))
    assert found.said == "192.0.2.1 is no address of this machine"


def test_a_url_that_is_none(settings: Settings) -> None:
    (found,) = bad(SERVICE, settings.model_copy(update={"url": "localhost:8000"}))
    assert found.advice == "write it as http://HOST:PORT"


def test_a_service_whose_clock_is_an_hour_ahead(settings: Settings) -> None:
    with answering(200, READY, ahead_s=3600) as port:
        found = bad(SERVICE, _at(settings, port))
    assert found[0].check == "clock"
    assert found[0].said in {f"the service's clock is {seconds} s ahead of this machine's" for seconds in (3599, 3600, 3601)}


def test_a_service_that_goes_by_another_name(settings: Settings) -> None:
    with answering(421, b"") as port:
        (found,) = bad(SERVICE, _at(settings, port))
    assert found.advice == "put 127.0.0.1 into NAS_ALLOWED_HOSTS of the service"


def test_what_a_service_says_of_itself_is_passed_on(settings: Settings, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    ill = settings.model_copy(update={"artifact_url": f"file://{tmp_path}/file", "min_free_bytes": 10**18})
    with in_thread(create_app(ill)) as url:
        found = bad(SERVICE, _at(settings, int(url.rpartition(":")[2])))
    assert [finding.level for finding in found] == [Level.BROKEN, Level.WARNING]
    assert found[0].said.startswith("it says of its store: the artifact store cannot be used now")


@pytest.fixture
def asking(settings: Settings) -> Iterator[Settings]:
    """Serve for who has a key."""
    with in_thread(create_app(settings.model_copy(update={"require_keys": True}))) as url:
        yield _at(settings, int(url.rpartition(":")[2]))


def test_a_key_that_is_missing_wrong_or_right(asking: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    (missing,) = bad(SERVICE, asking)
    assert (missing.level, missing.advice) == (Level.WARNING, "set NAS_KEY to yours")
    monkeypatch.setenv("NAS_KEY", "nas_wrong")
    (wrong,) = bad(SERVICE, asking)
    assert (wrong.level, wrong.said) == (Level.BROKEN, "it does not take the key in NAS_KEY")
    database = Database(asking.database)
    with database.write() as session:
        _, text = access_keys.create_key(session, "ada", Scope.READ, None)
    database.close()
    monkeypatch.setenv("NAS_KEY", text)
    assert bad(SERVICE, asking) == []


def test_no_password_of_an_address_is_shown(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NAS_URL", "set")
    port = free_port()
    found = bad(SERVICE, settings.model_copy(update={"url": f"http://nas:hidden@127.0.0.1:{port}/a?b=hidden"}))
    found += bad(SERVICE, settings.model_copy(update={"url": "nas:hidden@host"}))
    assert found[0].said.startswith(f"no service answers at http://127.0.0.1:{port} (")
    assert "hidden" not in str(found)


def test_a_service_of_this_machine_that_never_ran_is_no_fault(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = _at(Settings(home=tmp_path / "new"), free_port())
    monkeypatch.setenv("NAS_URL", settings.url)
    assert [finding.level for finding in seen(SERVICE, settings)] == [Level.NOTE]
