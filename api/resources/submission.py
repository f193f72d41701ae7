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
from nas_service.storage import datasets, idempotency, jobs
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
    """

    kind: str
    name: str
    spec: dict[str, Any]
    key: str | None = None
    asked: dict[str, Any] | None = None
    check: Callable[[Session], None] = lambda _: None
    priority: int = 0
    under_way: Callable[[Session], str | None] = lambda _: None


def accept(service: Service, response: Response, submission: Submission) -> JobView:
    """Queue a job and describe it; a key that was used for the same spec gives the job that was made then.

    Raises:
        InvalidInputError: If the key was used for another request.
    """
    kind, name, spec, key = submission.kind, submission.name, submission.spec, submission.key
    digest = idempotency.request_digest(kind, submission.asked or spec)
    with service.database.write() as session:
        earlier = (idempotency.earlier_job(session, key, digest) if key else None) or submission.under_way(session)
        if earlier is None:
            submission.check(session)
        job = jobs.create_job(session, kind, name, spec) if earlier is None else jobs.get_job(session, earlier)
        if earlier is None and submission.priority:
            jobs.set_values(session, job.id, priority=submission.priority)
        if key and earlier is None:
            idempotency.remember(session, key, digest, job.id)
        (view,) = job_views(session, [job])
    service.wake_controller()
    response.headers["Location"] = view.path
    response.headers["Retry-After"] = str(RETRY_AFTER_S)
    return view


def checked_registration(service: Service, body: object) -> Submission:
    """Read a registration from JSON and look whether its files are there; its name must be free when it is queued."""
    spec = check_registration(body, service.settings.data)
    free = partial(datasets.require_free_name, name=spec.name)
    return Submission(jobs.REGISTRATION, spec.name, spec.model_dump(mode="json"), check=free)
