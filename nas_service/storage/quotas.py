"""Quotas: how much the jobs of one owner that are not over may be, looked at in the transaction that adds one."""

import zlib
from dataclasses import dataclass

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from nas_service.errors import InvalidInputError, LimitReachedError
from nas_service.lifecycle import FINISHED
from nas_service.storage.models import Job
from nas_service.storage.session import exclusive
from nas_service.storage.visibility import EVERYBODYS
from search_spaces.errors import InvalidFieldError

_OWNERS = 7_240_000_000  # the locks of those who submit for an owner begin here


@dataclass(frozen=True)
class Quota:
    """What one owner may have in jobs that are not over; 0: as much as there is.

    Attributes:
        jobs: Of any kind, those that a search starts among them.
        samples: Of searches, as many as they take from beginning to end.
    """

    jobs: int = 0
    samples: int = 0


def require_room(session: Session, owner: str, quota: Quota, samples: int) -> None:
    """Require that an owner may have another job, with so many samples; nobody else adds one before the transaction ends.

    Raises:
        InvalidInputError: If the job alone is more than the owner may ever have.
        LimitReachedError: If there is no room now.
    """
    if not (quota.jobs or quota.samples):
        return
    if quota.samples and samples > quota.samples:
        allowed = f"searches of at most {quota.samples:,} samples in all (NAS_KEY_SAMPLES)"
        raise InvalidInputError([InvalidFieldError("strategy.settings", f"{samples:,} samples", allowed)])
    exclusive(session, _OWNERS + zlib.crc32(owner.encode()))
    open_jobs = select(func.count(), func.sum(Job.samples)).where(
        Job.owner == owner, Job.state.not_in([state.value for state in FINISHED])
    )
    jobs, found = session.execute(open_jobs, execution_options=EVERYBODYS).one()  # of the owner, in any project
    taken = int(found or 0)
    ends = "wait until one is over, or cancel one"
    if quota.jobs and jobs >= quota.jobs:
        raise LimitReachedError(f"{owner} has {jobs} jobs that are not over; allowed: {quota.jobs} (NAS_KEY_JOBS): {ends}")
    if quota.samples and taken + samples > quota.samples:
        raise LimitReachedError(
            f"the searches of {owner} that are not over take {taken:,} samples, and this one {samples:,}; "
            f"allowed: {quota.samples:,} in all (NAS_KEY_SAMPLES): {ends}"
        )
