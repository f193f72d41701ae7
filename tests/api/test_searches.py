"""/searches and what hangs below it."""

import base64

from fastapi.testclient import TestClient

TINY = {"name": "tiny", "settings": {"template": "double-norm"}}  # its default, written out


def test_a_search_is_accepted_with_its_location_and_stands_in_the_queue(client: TestClient) -> None:
    reply = client.post("/v1/searches", json={"space": "tiny", "name": "mine"})
    assert reply.status_code == 202
    job = reply.json()
    assert reply.headers["Location"] == f"/v1/searches/{job['id']}"
    assert int(reply.headers["Retry-After"]) > 0
    assert client.get(reply.headers["Location"]).json() == job
    assert (job["state"], job["name"], job["spec"]["space"]) == ("queued", "mine", TINY)


def test_the_stored_spec_has_every_default_written_out(client: TestClient) -> None:
    """So a later version's defaults do not change what an earlier search was."""
    spec = client.post("/v1/searches", json={}).json()["spec"]
    assert spec["strategy"] == {"name": "abandit", "settings": {}}
    assert spec["evaluation"]["epochs"] == 1
    assert spec["wave"] == 1


def test_the_same_idempotency_key_makes_one_search(client: TestClient) -> None:
    headers = {"Idempotency-Key": "once"}
    first, second = (client.post("/v1/searches", json={"space": "tiny"}, headers=headers).json() for _ in range(2))
    assert first == second
    other = client.post("/v1/searches", json={"space": "tiny", "seed": 5}, headers=headers)
    assert other.status_code == 422
    assert other.json()["errors"][0]["field"] == "Idempotency-Key"
    assert len(client.get("/v1/searches").json()["items"]) == 1


def test_lists_are_paged_newest_first(client: TestClient) -> None:
    ids = [client.post("/v1/searches", json={"space": "tiny"}).json()["id"] for _ in range(5)]
    seen, cursor = [], None
    while True:
        page = client.get("/v1/searches", params={"limit": 2} | ({"cursor": cursor} if cursor else {})).json()
        seen += [job["id"] for job in page["items"]]
        cursor = page["next"]
        if cursor is None:
            break
    assert seen == ids[::-1]


def test_a_cursor_that_this_service_did_not_make_is_refused(client: TestClient) -> None:
    made = [base64.urlsafe_b64encode(text).decode() for text in (rb'"\u0000"', rb'"\ud800"', b'"x"', b"true", b"NaN")]
    for cursor in ("nonsense", "MQ", "W10", *made):
        reply = client.get("/v1/searches", params={"cursor": cursor})
        assert reply.status_code == 422
        assert reply.json()["errors"][0]["field"] == "cursor"


def test_a_cursor_beyond_what_a_database_counts_to_is_refused(client: TestClient, finished_search: str) -> None:
    cursor = base64.urlsafe_b64encode(b"9" * 30).decode()
    for path in ("samples", "events"):
        assert client.get(f"/v1/searches/{finished_search}/{path}", params={"cursor": cursor}).status_code == 422


def test_lists_can_be_filtered_by_state(client: TestClient, finished_search: str) -> None:
    client.post("/v1/searches", json={"space": "tiny"})
    found = client.get("/v1/searches", params={"state": "succeeded"}).json()["items"]
    assert [job["id"] for job in found] == [finished_search]
    assert client.get("/v1/searches", params={"state": "done"}).status_code == 422


def test_cancelling_is_accepted_and_a_finished_search_conflicts(client: TestClient, finished_search: str) -> None:
    queued = client.post("/v1/searches", json={"space": "tiny"}).json()["id"]
    assert client.post(f"/v1/searches/{queued}/cancel").json()["state"] == "cancelling"
    assert client.post(f"/v1/searches/{queued}/cancel").status_code == 202
    conflict = client.post(f"/v1/searches/{finished_search}/cancel")
    assert conflict.status_code == 409
    assert conflict.json()["type"] == "urn:nas:problem:conflict"


def test_a_queued_search_rests_and_goes_back_to_its_place(client: TestClient, finished_search: str) -> None:
    queued = client.post("/v1/searches", json={"space": "tiny"}).json()
    assert queued["waiting_for"].startswith("a controller")
    paused = client.post(f"/v1/searches/{queued['id']}/pause")
    assert (paused.status_code, paused.json()["state"], paused.json()["waiting_for"]) == (202, "paused", "somebody to resume it")
    assert client.post(f"/v1/searches/{queued['id']}/pause").status_code == 202
    assert client.post(f"/v1/searches/{queued['id']}/resume").json()["state"] == "queued"
    assert client.post(f"/v1/searches/{queued['id']}/resume").status_code == 202
    for action in ("pause", "resume"):
        conflict = client.post(f"/v1/searches/{finished_search}/{action}")
        assert conflict.status_code == 409
        assert "is succeeded and cannot be" in conflict.json()["detail"]
        assert client.post(f"/v1/searches/nowhere/{action}").status_code == 404


def test_a_search_that_is_over_can_be_deleted_and_one_that_is_not_conflicts(client: TestClient, finished_search: str) -> None:
    queued = client.post("/v1/searches", json={"space": "tiny"}).json()["id"]
    conflict = client.delete(f"/v1/searches/{queued}")
    assert (conflict.status_code, "is queued; cancel it" in conflict.json()["detail"]) == (409, True)
    assert client.delete(f"/v1/searches/{finished_search}").status_code == 204
    assert client.get(f"/v1/searches/{finished_search}").status_code == 404
    assert client.get("/v1/architectures").json()["items"] == []
    assert client.delete(f"/v1/searches/{finished_search}").status_code == 404


def test_samples_and_arms_are_listed(client: TestClient, finished_search: str) -> None:
    samples = client.get(f"/v1/searches/{finished_search}/samples", params={"limit": 2}).json()
    assert [entry["index"] for entry in samples["items"]] == [0, 1]
    rest = client.get(f"/v1/searches/{finished_search}/samples", params={"cursor": samples["next"]}).json()
    assert [entry["reward"] for entry in rest["items"]] == [0.7]
    arms = client.get(f"/v1/searches/{finished_search}/arms").json()["items"]
    assert len(arms) == 18
    assert {arm["pulls"] for arm in arms} == {1}


def test_events_tell_the_story(client: TestClient, finished_search: str) -> None:
    events = client.get(f"/v1/searches/{finished_search}/events").json()["items"]
    assert [event["kind"] for event in events] == ["state", "state", "state", "phase", "wave", "best", "state"]
    assert [event["data"].get("state") for event in events] == ["queued", "starting", "running", None, None, None, "succeeded"]


def test_an_estimate_starts_nothing_and_learns_from_what_ran(client: TestClient, finished_search: str) -> None:
    estimate = client.post("/v1/searches/estimate", json={"space": "tiny"}).json()
    assert (estimate["samples"], estimate["seconds"], estimate["seconds_from"]) == (18, 36, 3)
    assert estimate["training"] is None
    for other in ({"method": "bnn"}, {"resources": {"cpus_per_worker": 2}}):
        assert client.post("/v1/searches/estimate", json={"space": "tiny", **other}).json()["seconds"] is None
    assert [job["id"] for job in client.get("/v1/searches").json()["items"]] == [finished_search]


def test_what_is_not_there_is_not_found_everywhere(client: TestClient) -> None:
    for path in ("", "/samples", "/arms", "/events"):
        reply = client.get(f"/v1/searches/nowhere{path}")
        assert reply.status_code == 404
        assert reply.headers["content-type"] == "application/problem+json"
        assert "there is no search 'nowhere'" in reply.json()["detail"]
