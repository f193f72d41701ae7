"""Accepting work: 202, Location, and Idempotency-Key."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Annotated, Any

from fastapi import Header, Query, Response

from api.deps import Service
from api.job_views import RANK
from api.resources.jobs import job_views
from api.views import JobView
from nas_service.checking.registrations import check_registration
from nas_service.storage import audit, datasets, idempotency, jobs, quotas
from nas_service.storage.models import Job
from nas_service.storage.session import Session

IdempotencyKey = Annotated[
    str | None,
    Header(min_length=1, max_length=200, description="Sending the same request again with the same key changes nothing."),
]

Priority = Annotated[int, Query(ge=-100, le=100, description=RANK)]

RETRY_AFTER_S = 2


@dataclass(frozen=True)
class Submission:
    """A job to be queued.

    Attributes:
        kind: Of job.
        name: Of the job.
        spec: Checked, with every default written out.
        key: The request's Idempotency-Key.
        asked: The spec without what was filled in from work under way, which tells requests with one key apart; None: all of it.
        check: What only the database knows, looked at in the transaction that queues the job.
        priority: Among the jobs of its owner.
        under_way: Id of a job that does the same and is not over, found in that transaction: then none is queued.
        samples: That a search will take.
    """

    kind: str
    name: str
    spec: dict[str, Any]
    key: str | None = None
    asked: dict[str, Any] | None = None
    check: Callable[[Session], None] = lambda _: None
    priority: int = 0
    under_way: Callable[[Session], str | None] = lambda _: None
    samples: int | None = None


def accept(service: Service, response: Response, submission: Submission) -> JobView:
    """Queue a job and describe it; a key that was used for the same spec gives the job that was made then.

    Raises:
        InvalidInputError: If the key was used for another request, or the job alone is more than its owner may have.
        LimitReachedError: If its owner has as much as is allowed.
    """
    key = submission.key
    digest = idempotency.request_digest(submission.kind, submission.asked or submission.spec)
    with service.database.write() as session:
        known = idempotency.earlier_job(session, key, digest, service.whose) if key else None
        earlier = known or submission.under_way(session)
        if earlier is None:
            submission.check(session)
            job = _queued(service, session, submission)
        else:
            job = jobs.get_job(session, earlier)
        audit.name_resource(job.id)
        if key and earlier is None:
            idempotency.remember(session, key, digest, job.id, service.whose)
        (view,) = job_views(session, [job])
    service.wake_controller()
    response.headers["Location"] = view.path
    response.headers["Retry-After"] = str(RETRY_AFTER_S)
    return view


def _queued(service: Service, session: Session, submission: Submission) -> Job:
    """Queue a job of whoever asks, if there is room for it."""
    whose = service.whose
    if whose.owner is not None:
        quotas.require_room(session, whose.owner, service.quota, submission.samples or 0)
    job = jobs.create_job(session, submission.kind, submission.name, submission.spec, whose=whose)
    job.samples, job.priority = submission.samples, submission.priority
    return job


def checked_registration(service: Service, body: object) -> Submission:
    """Read a registration from JSON and look whether its files are there; its name must be free when it is queued."""
    spec = check_registration(body, service.settings.data)
    free = partial(datasets.require_free_name, name=spec.name)
    return Submission(jobs.REGISTRATION, spec.name, spec.model_dump(mode="json"), check=free)
