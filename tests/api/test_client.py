"""NasClient against a real application."""

import socket
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import date

import httpx
import pytest
from fastapi.testclient import TestClient

from api.client import NasClient
from api.refusals import ApiError, UnansweredError
from nas_service.settings import Settings
from tests.api.conftest import write_trained
from tests.nas_service.data.files import write_folder
from tests.workers.conftest import carried_out
from workers.launcher import log_path


@pytest.fixture
def nas(client: TestClient) -> NasClient:
    """Return a client that talks to the application without a socket."""
    made = NasClient("http://localhost")
    made._http = client
    return made


def test_lists_are_read_to_their_end(nas: NasClient) -> None:
    ids = [nas.submit_search({"space": "tiny"}).id for _ in range(60)]
    assert [job.id for job in nas.searches()] == ids[::-1]


def test_a_refusal_becomes_an_error_with_every_field(nas: NasClient) -> None:
    with pytest.raises(ApiError) as caught:
        nas.submit_search({"space": "tini", "method": "bn"})
    assert [entry.field for entry in caught.value.problem.errors] == ["space.name", "method.name"]
    assert "did you mean tiny" in str(caught.value)


def test_an_idempotency_key_is_sent(nas: NasClient) -> None:
    assert nas.submit_search({"space": "tiny"}, "key").id == nas.submit_search({"space": "tiny"}, "key").id


def test_everything_of_a_search_can_be_read(nas: NasClient, finished_search: str) -> None:
    assert nas.search(finished_search).name == "first"
    assert [sample.index for sample in nas.samples(finished_search)] == [0, 1, 2]
    assert len(nas.arms(finished_search)) == 18
    assert len(list(nas.events(finished_search))) == 7
    first, _ = nas.architectures(search=finished_search)
    assert nas.architecture(first.id) == first
    name, content = nas.download("architectures", first.id)
    assert (name, content[:2]) == (f"architecture-{first.id}.zip", b"PK")
    assert nas.estimate({"space": "tiny"}).samples == 18
    assert {entry.name for entry in nas.catalogue("methods")} >= {"bnn", "xnor-net"}
    assert nas.readiness().status == "ready"


def test_figures_by_class_are_told_of_one_candidate(nas: NasClient, settings: Settings, finished_search: str) -> None:
    keys = [row.id for row in nas.architectures(search=finished_search)]
    training = nas.submit_training({"space": "tiny", "dataset": "digits", "architectures": keys, "methods": ["bnn", "rebnn"]})
    write_trained(settings, training.id, keys)
    listed = list(nas.candidates(training=training.id))
    assert len(listed) == 4
    for row in listed:
        whole = nas.candidate(row.id)
        assert row.metrics is not None
        assert whole.metrics is not None
        assert whole.metrics.test_classes is not None
        assert row.metrics == whole.metrics.model_copy(update={"test_classes": None})


def test_a_dataset_is_registered_waited_for_and_read(nas: NasClient, settings: Settings) -> None:
    settings.data.mkdir()
    write_folder(settings.data)
    job = nas.register_dataset("pets", "image-folder", {"path": "pictures"}, "key")
    assert nas.register_dataset("pets", "image-folder", {"path": "pictures"}, "key") == job
    assert nas.resume_registration(nas.pause_registration(job.id).id).state == "queued"
    with ThreadPoolExecutor() as pool:
        waiting = pool.submit(nas.wait, job)
        assert carried_out(settings) == 0
        done = waiting.result(60)
    assert (done.state, nas.registration(job.id), list(nas.registrations())) == ("succeeded", done, [done])
    assert [event.kind for event in nas.registration_events(job.id)][-1] == "state"
    facts = nas.dataset("pets").facts
    assert facts is not None
    assert facts.class_names == ("cat", "dog", "eel")
    assert nas.dataset_sheet("pets")[:4] == b"\x89PNG"
    nas.delete_registration(job.id)
    nas.delete_dataset("pets")
    assert "pets" not in {entry.name for entry in nas.catalogue("datasets")}
    second = nas.register_dataset("pets", "image-folder", {"path": "pictures"})
    assert nas.cancel_registration(second.id).state == "cancelling"


@pytest.fixture
def silent() -> Iterator[tuple[str, socket.socket]]:
    """Return the address of a socket to which one can connect, and the socket; nobody answers."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}", listening


def test_a_slow_answer_is_never_called_a_service_that_is_not_there(silent: tuple[str, socket.socket]) -> None:
    with NasClient(silent[0], timeout_s=0.2) as nas, pytest.raises(UnansweredError) as caught:
        nas.search("x")
    asked = f"the service at {silent[0]}/ took the connection and did not answer GET /v1/searches/x"
    assert caught.value.is_reached
    assert str(caught.value) == f"{asked} within 0.2 s; it may still be at work on it"


def test_a_connection_that_is_given_up_is_told_as_that(silent: tuple[str, socket.socket]) -> None:
    def hang_up() -> None:
        connection, _ = silent[1].accept()
        connection.recv(9)
        connection.close()

    thread = threading.Thread(target=hang_up)
    thread.start()
    with NasClient(silent[0]) as nas, pytest.raises(UnansweredError) as caught:
        nas.search("x")
    thread.join()
    assert "took the connection and gave it up before it had answered GET /v1/searches/x" in str(caught.value)


def test_where_nobody_listens_no_service_answers() -> None:
    with NasClient("http://127.0.0.1:1") as nas, pytest.raises(UnansweredError) as caught:
        nas.search("x")
    assert str(caught.value).startswith("no service answers at http://127.0.0.1:1/ (")


def test_a_reply_that_is_no_problem_is_told_as_it_is() -> None:
    broken = httpx.MockTransport(lambda _: httpx.Response(502, text="bad gateway"))
    with NasClient("http://localhost") as nas:
        nas._http = httpx.Client(transport=broken, base_url="http://localhost")
        with pytest.raises(ApiError, match="Bad Gateway: bad gateway"):
            nas.search("x")


def test_jobs_of_every_kind_are_listed_counted_changed_cloned_and_their_logs_read(nas: NasClient, settings: Settings) -> None:
    first, second = (nas.submit_search({"space": "tiny", "name": name}) for name in ("one", "two"))
    assert [row.id for row in nas.jobs(state=["queued", "running"], kind="search")] == [second.id, first.id]
    assert [row.queue_position for row in nas.jobs(text="two")] == [2]
    assert nas.count_jobs(text="one").total == 1
    changed = nas.change(first, note="why", tags=["b", "a"])
    assert (changed.name, changed.note, changed.tags) == ("one", "why", ["a", "b"])
    assert [row.id for row in nas.jobs(tag="a")] == [first.id]
    assert (nas.change(second, priority=3).queue_position, nas.search(second.id).priority) == (1, 3)
    assert nas.usage(since=date(2026, 1, 1)).owners == []
    clone = nas.clone(first, {"seed": 7}, "key")
    assert (clone.spec["seed"], clone.name, nas.clone(first, {"seed": 7}, "key").id) == (7, "one", clone.id)
    assert nas.log(first).missing == "no driver has begun yet"
    log_path(settings, first.id, 1).write_text("a\nb\n")
    assert nas.log(first, attempt=1, after=2).lines == ["b"]
    assert nas.system().queue["queued"] == 3


def test_a_filter_that_there_is_not_is_refused(nas: NasClient) -> None:
    with pytest.raises(ApiError, match="did you mean state"):
        list(nas.jobs(states="queued"))
