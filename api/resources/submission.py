"""Accepting work: 202, Location, and Idempotency-Key."""

from typing import Annotated, Any

from fastapi import Header, Response

from api.deps import Service
from api.resources.jobs import job_views
from api.views import JobView
from nas_service.storage import idempotency, jobs

IdempotencyKey = Annotated[
    str | None,
    Header(min_length=1, max_length=200, description="Sending the same request again with the same key changes nothing."),
]

RETRY_AFTER_S = 2


def accept(service: Service, response: Response, kind: str, name: str, spec: dict[str, Any], key: str | None) -> JobView:
    """Queue a job and describe it; a key that was used for the same spec gives the job that was made then.

    Raises:
        InvalidInputError: If the key was used for another request.
    """
    digest = idempotency.request_digest(kind, spec)
    with service.database.write() as session:
        earlier = idempotency.earlier_job(session, key, digest) if key else None
        job = jobs.get_job(session, earlier) if earlier else jobs.create_job(session, kind, name, spec)
        if key and not earlier:
            idempotency.remember(session, key, digest, job.id)
        (view,) = job_views(session, [job])
    service.wake_controller()
    plural = {jobs.SEARCH: "searches", jobs.TRAINING: "trainings"}[kind]
    response.headers["Location"] = f"/v1/{plural}/{job.id}"
    response.headers["Retry-After"] = str(RETRY_AFTER_S)
    return view
