"""A long search makes room for another owner's small one, with real drivers, and ends as one that nobody disturbed."""

import time
from collections.abc import Callable
from pathlib import Path

import pytest

from api.client import NasClient
from api.commands.embedded import embedded_service
from nas_service.access import Whose
from nas_service.lifecycle import FINISHED
from nas_service.settings import Settings
from nas_service.specs import SearchSpec
from nas_service.storage import jobs
from nas_service.storage.session import Database
from tests.e2e.conftest import Bare, arm_table, bare_table, sample_rows, samples_of
from tests.e2e.test_search import SPEC
from tests.waiting import wait_until

pytestmark = [pytest.mark.ray, pytest.mark.slow]

SMALL = SPEC | {"strategy": {"name": "random", "settings": {"samples": 2}}}


def _submit(database: Database, owner: str, **spec: object) -> str:
    with database.write() as session:
        checked = SearchSpec.model_validate(spec).model_dump(mode="json")
        return jobs.create_job(session, jobs.SEARCH, owner, checked, whose=Whose(owner, owner)).id


def test_a_long_search_makes_room_for_a_small_one_and_ends_as_if_nobody_had_come(
    tmp_path: Path, bare: Callable[..., Bare]
) -> None:
    settings = Settings(home=tmp_path, object_store_bytes=100_000_000, poll_s=0.2)
    with embedded_service(settings) as address, NasClient(address) as client:
        database = Database(settings.database)
        long = _submit(database, "ada", **SPEC)
        wait_until(lambda: client.search(long), lambda seen: samples_of(seen) >= 4)
        others = [_submit(database, "ada", **SPEC) for _ in range(3)]
        begun = time.monotonic()
        small = _submit(database, "bob", **SMALL)
        wait_until(lambda: client.search(small), lambda seen: seen.state in {"starting", "running"}, 60)
        print(f"the small one was started {time.monotonic() - begun:.1f} s after it was submitted")  # noqa: T201 - a figure
        waiting = client.search(long)
        assert (waiting.state, waiting.attempt, waiting.queue_position) == ("queued", 1, 1)
        assert waiting.waiting_for == f"its next turn, for it made room: search {small} at work"
        small_ended = wait_until(lambda: client.search(small), lambda seen: seen.state in FINISHED)
        for key in others:
            client.cancel_search(key)
        ended = wait_until(lambda: client.search(long), lambda seen: seen.state in FINISHED)
        assert (small_ended.state, ended.state, ended.attempt) == ("succeeded", "succeeded", 2)
        expected = bare(**SPEC)
        assert [row[:3] for row in sample_rows(client.samples(long))] == [
            (sample.index, sample.genotype.digest, sample.reward) for sample in expected.history
        ]
        assert arm_table(client.arms(long)) == bare_table(expected.arms)
        states = [event.data.state for event in client.events(long) if event.kind == "state"]
        assert states[2:6] == ["running", "pausing", "queued", "starting"]
        usage = {row.owner: row for row in client.usage().owners}
        assert set(usage) == {"ada", "bob"}
        for owner, job in (("ada", ended), ("bob", small_ended)):
            assert usage[owner].cpu_seconds == pytest.approx(job.cpu_seconds)
            assert 0 < job.cpu_seconds <= usage[owner].seconds * 64
            assert job.gpu_seconds == usage[owner].gpu_seconds == 0
        print({owner: (round(row.seconds, 1), round(row.cpu_seconds, 1)) for owner, row in usage.items()})  # noqa: T201 - as above
        database.close()
