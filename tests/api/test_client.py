"""NasClient against a real application."""

import httpx
import pytest
from fastapi.testclient import TestClient

from api.client import ApiError, NasClient


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
    assert len(list(nas.events(finished_search))) == 5
    first, _ = nas.architectures(search=finished_search)
    assert nas.architecture(first.id) == first
    name, content = nas.download("architectures", first.id)
    assert (name, content[:2]) == (f"architecture-{first.id}.zip", b"PK")
    assert nas.estimate({"space": "tiny"}).samples == 18
    assert {entry.name for entry in nas.catalogue("methods")} >= {"bnn", "xnor-net"}
    assert nas.readiness().status == "ready"


def test_a_reply_that_is_no_problem_is_told_as_it_is() -> None:
    broken = httpx.MockTransport(lambda _: httpx.Response(502, text="bad gateway"))
    with NasClient("http://localhost") as nas:
        nas._http = httpx.Client(transport=broken, base_url="http://localhost")
        with pytest.raises(ApiError, match="Bad Gateway: bad gateway"):
            nas.search("x")
