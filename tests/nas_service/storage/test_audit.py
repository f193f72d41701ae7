"""Audit events in real databases: no change without its row, no row without its change, and none is ever changed."""

import asyncio
from datetime import timedelta

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from nas_service.access import Caller, Scope
from nas_service.storage import audit, jobs
from nas_service.storage.audit import Deed, EventFilter, done_by
from nas_service.storage.models import AuditEvent
from nas_service.storage.session import Database, database_now


def _rows(database: Database) -> list[AuditEvent]:
    with database.read() as session:
        return audit.list_events(session, limit=100)


def test_what_is_committed_takes_its_row_along(database: Database) -> None:
    deed = Deed("POST /v1/searches", "192.0.2.1", "ada", "0123456789ab", "r-1", status=202)
    with done_by(deed), database.write() as session:
        job_id = jobs.create_job(session, jobs.SEARCH, "", {}).id
        audit.name_resource(job_id)
        now = database_now(session)
    (row,) = _rows(database)
    told = (row.owner, row.key, row.address, row.request_id, row.action, row.resource, row.status, row.count)
    assert told == ("ada", "0123456789ab", "192.0.2.1", "r-1", "POST /v1/searches", job_id, 202, 1)
    assert abs(row.at - now) < timedelta(seconds=1)


def test_what_is_taken_back_leaves_no_row(database: Database) -> None:
    with done_by(Deed("POST /v1/searches", "")), pytest.raises(ValueError, match="no"), database.write() as session:
        jobs.create_job(session, jobs.SEARCH, "", {})
        raise ValueError("no")
    assert _rows(database) == []


def test_a_row_that_cannot_be_written_takes_the_change_back(database: Database) -> None:
    with database.write() as session:
        session.execute(text("ALTER TABLE audit_events RENAME TO audit_events_gone"))
    with done_by(Deed("POST /v1/searches", "")), pytest.raises(DBAPIError), database.write() as session:
        jobs.create_job(session, jobs.SEARCH, "", {})
    with database.read() as session:
        assert jobs.list_jobs(session, jobs.SEARCH, limit=10) == []


def test_a_request_of_several_transactions_has_one_row_and_a_later_one_its_own(database: Database) -> None:
    for _ in range(2):
        with done_by(Deed("POST /v1/searches", "")):
            for _ in range(2):
                with database.write() as session:
                    jobs.create_job(session, jobs.SEARCH, "", {})
    assert len(_rows(database)) == 2


def test_work_of_nobody_and_reading_leave_no_row(database: Database) -> None:
    with database.write() as session:
        jobs.create_job(session, jobs.SEARCH, "", {})
    with done_by(Deed("POST /v1/searches", "")), database.read() as session:
        jobs.list_jobs(session, jobs.SEARCH, limit=1)
    audit.name_resource("nothing")
    audit.name_doer(Caller("0123456789ab", "ada", "ada", Scope.READ))
    assert _rows(database) == []


def test_what_runs_beside_a_request_is_not_its_deed(database: Database) -> None:
    """Two requests of one event loop, each with a thread of its own that writes."""

    def write(name: str) -> None:
        with database.write() as session:
            audit.name_resource(jobs.create_job(session, jobs.SEARCH, name, {}).name)

    async def ask(name: str) -> None:
        with done_by(Deed(f"POST /{name}", "")):
            await asyncio.to_thread(write, name)

    async def ask_all() -> None:
        await asyncio.gather(*(ask(name) for name in ("a", "b", "c")), asyncio.to_thread(write, "nobody's"))

    asyncio.run(ask_all())
    assert {(row.action, row.resource) for row in _rows(database)} == {(f"POST /{name}", name) for name in "abc"}


def test_rows_are_never_changed(database: Database) -> None:
    with done_by(Deed("POST /v1/searches", "", owner="ada")), database.write() as session:
        jobs.create_job(session, jobs.SEARCH, "", {})
    with pytest.raises(DBAPIError, match="audit events are never changed"), database.write() as session:
        session.execute(text("UPDATE audit_events SET owner = 'grace'"))
    assert [row.owner for row in _rows(database)] == ["ada"]


def test_what_is_longer_than_its_column_is_cut(database: Database) -> None:
    with database.write() as session:
        audit.record(session, [(Deed("a" * 999, "b" * 999, "c" * 999, "d" * 999, "e" * 999, "f" * 999), 3)])
    (row,) = _rows(database)
    assert [len(entry or "") for entry in (row.action, row.address, row.owner, row.key, row.request_id, row.resource)] == [
        200, 100, 100, 16, 100, 300,
    ]  # fmt: skip


def test_lists_are_filtered_and_paged(database: Database) -> None:
    with database.write() as session:
        audit.record(session, [(Deed(f"POST /{number}", "", owner="ada" if number % 2 else None), 1) for number in range(6)])
        middle = database_now(session)
    with database.write() as session:
        audit.record(session, [(Deed("POST /6", "", owner="ada", resource="ab_de"), 1)])
    with database.read() as session:
        newest = audit.list_events(session, limit=2)
        assert [row.action for row in newest] == ["POST /6", "POST /5"]
        older = audit.list_events(session, limit=2, before=newest[-1].id)
        assert [row.action for row in older] == ["POST /4", "POST /3"]

        def found(which: EventFilter) -> list[int]:
            return [int(row.action[-1]) for row in audit.list_events(session, limit=9, which=which)]

        assert found(EventFilter(owner="ada")) == [6, 5, 3, 1]
        assert found(EventFilter(since=middle)) == [6]
        assert found(EventFilter(until=middle)) == [5, 4, 3, 2, 1, 0]
        assert found(EventFilter(action="ost /3")) == [3], "in whatever case, on either database"
        assert found(EventFilter(action="%")) == [], "what is looked for is no pattern"
        assert found(EventFilter(resource="b_d")) == [6]
        assert found(EventFilter(owner="bob", action="/3")) == []


def test_old_ones_are_forgotten(database: Database) -> None:
    with database.write() as session:
        audit.record(session, [(Deed("POST /old", ""), 1)])
    with database.write() as session:
        assert not audit.has_old(session, 1.0)
        audit.forget_old(session, 1.0)
    assert len(_rows(database)) == 1
    with database.write() as session:
        assert audit.has_old(session, 0.0)
        audit.forget_old(session, 0.0)
        audit.record(session, [(Deed("POST /new", ""), 1)])
    (new,) = _rows(database)
    assert new.action == "POST /new"
