"""Priorities and usage over REST."""

from datetime import UTC, date, datetime, timedelta

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import update

from nas_service.access import Whose
from nas_service.settings import Settings
from nas_service.storage import attempts, jobs
from nas_service.storage.models import Job
from nas_service.storage.session import Database, database_now
from tests.holds import held


def _places(client: TestClient, *ids: str) -> list[int]:
    return [client.get(f"/v1/searches/{key}").json()["queue_position"] for key in ids]


def test_a_priority_is_given_with_a_submission_or_later_and_tells_the_place(client: TestClient) -> None:
    made = [client.post(f"/v1/searches{asked}", json={"space": "tiny"}).json() for asked in ("", "?priority=5", "")]
    assert [(job["priority"], "priority" in job["spec"]) for job in made] == [(0, False), (5, False), (0, False)]
    first, second, third = (job["id"] for job in made)
    assert _places(client, first, second, third) == [2, 1, 3]
    changed = client.patch(f"/v1/searches/{third}", json={"priority": 9})
    assert (changed.status_code, changed.json()["priority"], changed.json()["queue_position"]) == (200, 9, 1)
    newest = client.get("/v1/jobs").json()["items"][0]
    assert (newest["id"], newest["priority"]) == (third, 9)
    cloned = client.post(f"/v1/searches/{third}/clone?priority=-3")
    assert (cloned.json()["priority"], cloned.json()["queue_position"]) == (-3, 4)


@pytest.mark.parametrize("priority", ["101", "-101", "high", "1.5"])
def test_a_priority_that_is_none_is_refused_by_name(priority: str, client: TestClient) -> None:
    refused = client.post(f"/v1/searches?priority={priority}", json={"space": "tiny"})
    assert refused.status_code == 422
    assert refused.json()["errors"][0]["field"] == "priority"
    job = client.post("/v1/searches", json={"space": "tiny"}).json()
    assert client.patch(f"/v1/searches/{job['id']}", json={"priority": priority}).status_code == 422


def test_a_priority_in_a_spec_is_told_where_it_belongs(client: TestClient) -> None:
    (error,) = client.post("/v1/searches", json={"space": "tiny", "priority": 5}).json()["errors"]
    assert error["field"] == "priority"
    assert "as ?priority= over REST" in error["allowed"]


def test_usage_is_told_by_job_and_by_owner(client: TestClient, settings: Settings) -> None:
    database = Database(settings.database)
    with database.write() as session:
        for owner, devices in (("ada", (4.0, 2.0)), (None, (1.0, 0.0))):
            jobs.create_job(session, jobs.SEARCH, "", {}, whose=Whose(owner, owner))
            job, hold = held(session)
            attempts.take_devices(session, hold, *devices)
            session.execute(update(Job).where(Job.id == job.id).values(counted_at=database_now(session) - timedelta(hours=1)))
            attempts.renew(session, hold)
    database.close()
    told = client.get("/v1/usage").json()
    assert [(row["owner"], row["project"], row["jobs"]) for row in told["owners"]] == [("ada", "ada", 1), (None, None, 1)]
    rows = client.get("/v1/jobs").json()["items"]
    for row, owner in zip(rows, reversed(told["owners"]), strict=True):
        assert (row["cpu_seconds"], row["gpu_seconds"]) == (owner["cpu_seconds"], owner["gpu_seconds"])
    assert 4 * 3600 <= told["owners"][0]["cpu_seconds"] < 4 * 3700
    assert told["owners"][0]["gpu_seconds"] == pytest.approx(told["owners"][0]["cpu_seconds"] / 2)
    tomorrow: date = datetime.now(UTC).date() + timedelta(days=1)
    assert client.get("/v1/usage", params={"since": str(tomorrow)}).json()["owners"] == []
    assert client.get("/v1/usage", params={"since": "soon"}).status_code == 422
