"""Ids of events grow as the events become visible, and are never used again; on both kinds of database."""

import threading
import time
from contextlib import ExitStack
from typing import Any

import pytest
from sqlalchemy import delete, insert, text
from sqlalchemy.event import listen

from nas_service.job_events import BestTold, StateTold
from nas_service.lifecycle import JobState
from nas_service.storage import events, jobs, watching
from nas_service.storage.models import Event, Job
from nas_service.storage.session import Database, utc_now


def _best(index: int) -> BestTold:
    return BestTold(index=index, reward=0.5, digest="0" * 64)


def _job(database: Database) -> str:
    with database.write() as session:
        return jobs.create_job(session, jobs.SEARCH, "", {}).id


@pytest.mark.parametrize("of_states", [False, True])
def test_an_event_whose_writer_is_slow_never_appears_below_one_that_was_seen(database: Database, of_states: bool) -> None:  # noqa: FBT001 - pytest's
    """Two writers of one job; of two jobs for moves, which are read over all jobs."""
    first, second = _job(database), _job(database)
    written = threading.Event()

    def write_slowly() -> None:
        with database.write() as session:
            events.record(session, first, StateTold(state=JobState.RUNNING) if of_states else _best(0))
            written.set()
            time.sleep(0.5)

    slow = threading.Thread(target=write_slowly)
    slow.start()
    written.wait()
    with database.write() as session:
        events.record(session, second if of_states else first, StateTold(state=JobState.RUNNING) if of_states else _best(1))
    with database.read() as session:
        ids = [row.id for job_id in (first, second) for row in events.list_events(session, job_id, limit=9)]
    slow.join()
    with database.read() as session:
        later = [row.id for job_id in (first, second) for row in events.list_events(session, job_id, limit=9)]
    assert ids == later  # whoever read the second one's event had the first one's


def test_a_move_that_is_slow_to_appear_is_not_below_where_the_stream_of_all_jobs_begins(postgres_url: str) -> None:
    """Another job's epoch has a larger id and ends before it, since only moves wait for one another."""
    database = Database(postgres_url)
    slow, fast = _job(database), _job(database)
    with ExitStack() as writing:
        session = writing.enter_context(database.write())
        events.record(session, slow, StateTold(state=JobState.RUNNING))
        with database.write() as other:
            events.record(other, fast, _best(0))
        with database.read() as reading:
            begun = watching.last_move(reading)
    with database.read() as reading:
        (moved,) = watching.moves_since(reading, begun, limit=9)
        later = events.list_events(reading, fast, limit=9, kinds=["best"])
    assert moved[0].job_id == slow
    assert moved[0].id < later[0].id
    database.close()


def test_moves_are_found_among_many_other_events_by_their_index(database: Database) -> None:
    job_id = _job(database)
    with database.write() as session:
        rows = [{"job_id": job_id, "kind": "epoch", "data": {}, "created_at": utc_now()} for _ in range(5000)]
        session.execute(insert(Event), rows)
    explain = "EXPLAIN" if database.engine.dialect.name == "postgresql" else "EXPLAIN QUERY PLAN"
    statements: list[tuple[str, Any]] = []
    with database.write() as session:
        if explain == "EXPLAIN":
            session.execute(text("ANALYZE events"))
        listen(database.engine, "before_cursor_execute", lambda *told: statements.append(told[2:4]))
        first = watching.last_move(session)
        assert watching.moves_since(session, first, limit=9) == []
        for statement, values in statements[:2]:
            plan = session.connection().exec_driver_sql(f"{explain} {statement}", values)
            assert "ix_events_moves" in str(plan.all())


def test_the_id_of_a_deleted_event_is_not_used_again(database: Database) -> None:
    gone = _job(database)
    with database.write() as session:
        last = watching.last_move(session)
        session.execute(delete(Job).where(Job.id == gone))
    _job(database)
    with database.read() as session:
        assert watching.last_move(session) > last


def test_many_events_in_a_millisecond_have_ids_of_their_own(database: Database) -> None:
    job_id = _job(database)
    with database.write() as session:
        for index in range(200):
            events.record(session, job_id, _best(index))
    with database.read() as session:
        rows = events.list_events(session, job_id, limit=500, kinds=["best"])
    assert [row.data["index"] for row in rows] == list(range(200))
