"""Holding jobs as drivers do."""

from datetime import timedelta

from sqlalchemy import update

from nas_service.reports import SearchPhase, SearchProgress
from nas_service.storage import attempts
from nas_service.storage.attempts import Hold
from nas_service.storage.models import Job
from nas_service.storage.session import Database, Session, database_now

LEASE = timedelta(seconds=30)


def progress(samples: int) -> SearchProgress:
    """Return progress that differs by its samples."""
    return SearchProgress(phase=SearchPhase.SAMPLING, samples=samples, total=18, arms=18, arms_left=18)


def claimed(session: Session) -> Job:
    """Claim the oldest job."""
    job = attempts.claim(session, LEASE, most=1000)
    assert job is not None
    return job


def held(session: Session) -> tuple[Job, Hold]:
    """Claim the oldest job and take it over, as its driver does."""
    job = claimed(session)
    hold = Hold(job.id, job.attempt, LEASE)
    return attempts.start(session, hold), hold


def let_lapse(database: Database, job_id: str) -> None:
    """Let the lease of a job be over, as after its driver went away without a word."""
    with database.write() as session:
        past = database_now(session) - timedelta(seconds=1)
        session.execute(update(Job).where(Job.id == job_id).values(lease_expires_at=past))
