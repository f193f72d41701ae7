"""What the whole service does, in figures that cost little however much it did: for Prometheus."""

from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from nas_service.lifecycle import JobState
from nas_service.storage import jobs, totals
from nas_service.storage.models import ControllerRow, Job
from nas_service.storage.session import database_now


@dataclass(frozen=True)
class ServiceFigures:
    """The figures of a moment.

    Attributes:
        jobs: By kind and state.
        oldest_queued_s: For how long the oldest job of a kind has been in the queue; without kinds of which none is.
        step_age_s: By controller, how long ago its last good step was; those that ended in order are not there.
        totals: By name, see `totals`.
    """

    jobs: Mapping[tuple[str, str], int]
    oldest_queued_s: Mapping[str, float]
    step_age_s: Mapping[str, float]
    totals: Mapping[str, float]


def read_figures(session: Session) -> ServiceFigures:
    """Return the figures now, by the database's clock."""
    now = database_now(session)
    steps = session.execute(select(ControllerRow.id, ControllerRow.stepped_at))
    return ServiceFigures(
        jobs.count_by_state(session),
        {job.kind: max(0.0, (now - job.created_at).total_seconds()) for job in _oldest_queued(session)},
        {controller: max(0.0, (now - stepped_at).total_seconds()) for controller, stepped_at in steps},
        totals.read_totals(session),
    )


def _oldest_queued(session: Session) -> list[Job]:
    """Return the job of every kind that has waited longest; ids are sorted by when they were made."""
    first = select(func.min(Job.id)).where(Job.state == JobState.QUEUED.value).group_by(Job.kind)
    return list(session.scalars(select(Job).where(Job.id.in_(first))))
