"""Recordings: a finished search with its trainings as a zip of rows and files, to be shown where it was never run.

`rows.json` holds the rows by table, in the order in which they can be inserted; files lie under `files/` by their key. Ids and
times are kept, so that a recording is there once however often it is played; ids of events grow anew.
"""

import json
import zipfile
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

from sqlalchemy import DateTime, Select, insert, select
from sqlalchemy.orm import Session

from nas_service.errors import ConflictError, NotReadyError
from nas_service.lifecycle import FINISHED, JobState
from nas_service.storage import events, totals
from nas_service.storage.artifacts import ArtifactStore, StoredFile
from nas_service.storage.deletion import delete_job
from nas_service.storage.jobs import SEARCH, get_job
from nas_service.storage.models import (
    Artifact,
    Base,
    Candidate,
    CandidateEpoch,
    Event,
    IdempotencyKey,
    Job,
    UsageRow,
    UtcDateTime,
)

_ROWS = "rows.json"
_FILES = "files/"
_MODELS: dict[str, type[Base]] = {mapper.class_.__tablename__: mapper.class_ for mapper in Base.registry.mappers}
_OWN_TABLES = [  # that name their job, after those that they refer to
    _MODELS[table.name]
    for table in Base.metadata.sorted_tables
    if "job_id" in table.columns and table.name not in {IdempotencyKey.__tablename__, UsageRow.__tablename__}
]


def write_recording(session: Session, store: ArtifactStore, search_id: str, path: Path) -> None:
    """Write a search that is over, with the trainings that it started and their bundles, to a zip.

    Raises:
        NotFoundError: If there is no such search.
        ConflictError: If it, or one of its trainings, is not over.
        NotReadyError: If the store lost a bundle.
    """
    job = get_job(session, search_id, SEARCH)
    jobs = [job, *session.scalars(select(Job).where(Job.parent_id == search_id).order_by(Job.id))]
    for entry in jobs:
        if JobState(entry.state) not in FINISHED:
            raise ConflictError(f"{entry.kind} {entry.id} is {entry.state}: only what is over can be recorded")
    ids = [entry.id for entry in jobs]
    tables = {Job.__tablename__: [_plain(row) for row in jobs]}
    for table in _OWN_TABLES:
        query = select(table).where(table.__table__.c.job_id.in_(ids)).order_by(*table.__mapper__.primary_key)
        tables[table.__tablename__] = _read(session, query)
    candidates = [row["id"] for row in tables[Candidate.__tablename__]]
    epochs = select(CandidateEpoch).where(CandidateEpoch.candidate_id.in_(candidates))
    tables[CandidateEpoch.__tablename__] = _read(session, epochs.order_by(CandidateEpoch.candidate_id, CandidateEpoch.epoch))
    bundles = select(Artifact).where(Artifact.owner_id.in_(candidates), Artifact.kind == "bundle").order_by(Artifact.id)
    tables[Artifact.__tablename__] = _read(session, bundles)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as recording:
        recording.writestr(_ROWS, json.dumps(tables))
        for row in tables[Artifact.__tablename__]:
            content = store.get(row["key"])
            if content is None:
                raise NotReadyError(f"the artifact store has lost {row['key']}")
            recording.writestr(_FILES + row["key"], content)


def play_recording(session: Session, store: ArtifactStore, path: Path) -> str:
    """Insert a recording's rows and files unless its search is there already; return the search's id."""
    with zipfile.ZipFile(path) as recording:
        tables = json.loads(recording.read(_ROWS))
        search_id: str = tables[Job.__tablename__][0]["id"]
        if session.get(Job, search_id) is not None:
            return search_id
        for row in tables[Artifact.__tablename__]:
            content = recording.read(_FILES + row["key"])
            if StoredFile.of(row["key"], content).sha256 != row["sha256"]:
                raise NotReadyError(f"{path.name}: {row['key']} is not what was recorded")
            store.put(row["key"], content)
    for name, rows in tables.items():
        parsed = [_parsed(_MODELS[name], row) for row in rows]
        if name == Event.__tablename__:
            events.record_again(session, parsed)
        elif parsed:
            session.execute(insert(_MODELS[name]), parsed)
    for row in tables[Artifact.__tablename__]:
        totals.count(session, row["owner_id"], totals.ARTIFACT_BYTES, row["size_bytes"])
    return search_id


def remove_recording(session: Session, path: Path) -> bool:
    """Delete what a recording brought, its files with it; return whether it was there."""
    with zipfile.ZipFile(path) as recording:
        search_id: str = json.loads(recording.read(_ROWS))[Job.__tablename__][0]["id"]
    if session.get(Job, search_id) is None:
        return False
    delete_job(session, search_id, SEARCH, with_trainings=True)
    return True


def _read(session: Session, query: Select[Any]) -> list[dict[str, Any]]:
    return [_plain(row) for row in session.scalars(query)]


def _columns(table: type[Base]) -> Iterator[str]:
    for column in table.__table__.columns:
        if not (table is Event and column.name == "id"):  # another database has events of its own
            yield column.name


def _plain(row: Base) -> dict[str, Any]:
    values = {name: getattr(row, name) for name in _columns(type(row))}
    return {name: value.isoformat() if isinstance(value, datetime) else value for name, value in values.items()}


def _parsed(table: type[Base], row: dict[str, Any]) -> dict[str, Any]:
    moments = {column.name for column in table.__table__.columns if isinstance(column.type, UtcDateTime | DateTime)}
    return {name: datetime.fromisoformat(value) if value and name in moments else value for name, value in row.items()}
