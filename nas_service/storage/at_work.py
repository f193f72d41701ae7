"""Who is at work: what candidates, samples and attempts tell of the processes behind them. Nothing beats for this alone."""

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from sqlalchemy import func, select, text
from sqlalchemy.orm import Session, aliased, defer

from nas_service.lifecycle import AT_WORK, COMMITTING, HELD
from nas_service.storage import jobs
from nas_service.storage.engines import database_file
from nas_service.storage.models import Artifact, Candidate, Event, Job, SampleRow
from nas_service.storage.visibility import EVERYBODYS

_LOOKED_AT = 1024  # last samples of a search: as many as it may have workers


@dataclass(frozen=True)
class Worker:
    """A process that works for a job.

    Attributes:
        id: Host and process of a trial or an actor; `driver <job>-<attempt>` of a driver, whose host nobody knows.
        device: That it computes on, where that is known.
        job_id: The job.
        job_kind: Of it.
        job_name: Of it.
        doing: In words.
        since: When it began; of an actor when it gave its last sample.
    """

    id: str
    device: str | None
    job_id: str
    job_kind: str
    job_name: str
    doing: str
    since: datetime | None

    @property
    def host(self) -> str | None:
        """The host in the id, if one is."""
        host, colon, _ = self.id.rpartition(":")
        return host if colon else None


def workers_of(session: Session) -> list[Worker]:
    """Return drivers that hold a job, actors of searches, and trials, in this order: those of jobs that the session sees."""
    query = select(Job).where(Job.state.in_([state.value for state in HELD])).order_by(Job.id)
    held = list(session.scalars(query.options(defer(Job.spec, raiseload=True))))
    return _drivers(session, held) + _actors(session) + _trials(session)


def _drivers(session: Session, held: list[Job]) -> list[Worker]:
    ids = [job.id for job in held]
    moves = select(func.max(Event.id)).where(Event.job_id.in_(ids), Event.kind == "state").group_by(Event.job_id)
    moved = select(Event.job_id, Event.created_at).where(Event.id.in_(moves))
    last = {job_id: moment for job_id, moment in session.execute(moved)}  # noqa: C416 - rows have no type that `dict` takes
    found = []
    for job in held:
        phase = (job.progress or {}).get("phase")
        doing = f"{job.state}, attempt {job.attempt}" + (f", {phase}" if phase else "")
        found.append(Worker(f"driver {job.id}-{job.attempt}", None, job.id, job.kind, job.name, doing, last.get(job.id)))
    return found


def _actors(session: Session) -> list[Worker]:
    """Return those who gave the last samples of the attempts of today, of all searches in one query."""
    other = aliased(SampleRow)
    newest = select(func.max(other.index)).where(other.job_id == Job.id).correlate(Job).scalar_subquery()
    is_last = (SampleRow.job_id == Job.id) & (SampleRow.attempt == Job.attempt) & (SampleRow.index > newest - _LOOKED_AT)
    query = (
        select(Job.id, Job.name, SampleRow.worker, func.max(SampleRow.index), func.max(SampleRow.created_at))
        .join(SampleRow, is_last)
        .where(Job.kind == jobs.SEARCH, Job.state.in_([state.value for state in COMMITTING]), SampleRow.worker != "")
        .group_by(Job.id, Job.name, SampleRow.worker)
        .order_by(Job.id, SampleRow.worker)
    )
    return [
        Worker(worker, None, job_id, jobs.SEARCH, name, f"sampling; gave sample {index}", since)
        for job_id, name, worker, index, since in session.execute(query)
    ]


def _trials(session: Session) -> list[Worker]:
    query = (
        select(Candidate, Job.kind, Job.name)
        .join(Job, Job.id == Candidate.job_id)
        .where(Candidate.state.in_([state.value for state in AT_WORK]), Job.state.in_([state.value for state in HELD]))
        .order_by(Candidate.job_id, Candidate.position)
    )
    return [
        Worker(
            row.worker or f"trial {row.id}",
            row.device,
            row.job_id,
            kind,
            name,
            f"{row.state} candidate {row.position} ({row.method['name']}, seed {row.seed}), {row.epochs_done} epochs done",
            row.started_at,
        )
        for row, kind, name in session.execute(query)
    ]


def database_bytes(session: Session) -> tuple[str, int | None]:
    """Return the kind of the database and its size, the write-ahead log included; None where it cannot be told."""
    engine = session.get_bind().engine
    if engine.dialect.name == "postgresql":
        return "postgresql", session.scalar(text("SELECT pg_database_size(current_database())"), execution_options=EVERYBODYS)
    file = database_file(engine.url)
    if file is None:
        return "sqlite", None
    parts = [part for part in (file, Path(f"{file}-wal")) if part.exists()]
    return "sqlite", sum(part.stat().st_size for part in parts)


def artifact_bytes(session: Session) -> int:
    """Return the size of all files that artifacts name, whoever's they are."""
    return int(session.scalar(select(func.sum(Artifact.size_bytes)), execution_options=EVERYBODYS) or 0)
