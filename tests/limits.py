"""Watching what sessions of projects ask a database: SQL that names a table without the limit that its rule sets is an escape."""

import re
from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import Engine, event
from sqlalchemy.engine import Connection, ExecutionContext
from sqlalchemy.engine.interfaces import DBAPICursor
from sqlalchemy.orm import ORMExecuteState, Session

from nas_service.storage import visibility
from nas_service.storage.models import Artifact, Base, CandidateEpoch, DatasetRow, Job, UsageRow

_WATCHED = "watched"
_BY_ITSELF = "{0}.project = "
_BY = {
    Job: _BY_ITSELF,
    DatasetRow: _BY_ITSELF,
    UsageRow: _BY_ITSELF,
    CandidateEpoch: "seen_candidates.id = {0}.candidate_id",
    Artifact: "seen_candidates.id = {0}.owner_id",
}
_BY_JOB = "seen_jobs.id = {0}.job_id"


def escapes(sql: str) -> list[str]:
    """Return what a statement names more often than it is limited."""
    return [name for model in visibility.LIMITED for name in _unlimited(sql, model)]


def _unlimited(sql: str, model: type[Base]) -> Iterator[str]:
    table = model.__tablename__
    named = re.findall(rf"(?:\bFROM(?:\s+\w+(?: AS \w+)?,)*|\bJOIN|\bUPDATE)\s+{table}(?![.\w])(?: AS (\w+))?", sql)
    names = [alias or table for alias in named if not alias.startswith("seen_")]
    for name in dict.fromkeys(names):
        if sql.count(_BY.get(model, _BY_JOB).format(name)) < names.count(name):
            yield name


@contextmanager
def watched(engine: Engine) -> Iterator[list[str]]:
    """Collect the SQL of sessions of projects, but for what counts everybody's, and fail if something of it escapes."""
    seen: list[str] = []

    def mark(state: ORMExecuteState) -> None:
        counts_all = state.execution_options.get("everybodys")
        if visibility.PROJECT in state.session.info and not state.is_insert and not counts_all:
            state.update_execution_options(**{_WATCHED: True})

    def look(
        connection: Connection, cursor: DBAPICursor, sql: str, values: object, context: ExecutionContext, *many: bool
    ) -> None:
        del connection, cursor, values, many
        if context.execution_options.get(_WATCHED):
            seen.append(sql)

    event.listen(Session, "do_orm_execute", mark)
    event.listen(engine, "before_cursor_execute", look)
    try:
        yield seen
    finally:
        event.remove(engine, "before_cursor_execute", look)
        event.remove(Session, "do_orm_execute", mark)
    found = {sql: names for sql in seen if (names := escapes(sql))}
    assert not found
