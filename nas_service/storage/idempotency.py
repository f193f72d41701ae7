"""Idempotency keys: a request that is sent twice is carried out once."""

import hashlib
import json
from datetime import timedelta
from typing import Any

from sqlalchemy import delete
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from nas_service.errors import ConflictError, InvalidInputError
from nas_service.storage.models import IdempotencyKey
from nas_service.storage.session import database_now
from search_spaces.errors import InvalidFieldError

KEPT = timedelta(hours=24)


def request_digest(kind: str, spec: dict[str, Any]) -> str:
    """Return what identifies a request beside its key."""
    return hashlib.sha256(json.dumps([kind, spec], sort_keys=True).encode()).hexdigest()


def earlier_job(session: Session, key: str, digest: str) -> str | None:
    """Return the id of the job that an earlier request with this key made, or None.

    Raises:
        InvalidInputError: If the key came with another request before.
    """
    session.execute(delete(IdempotencyKey).where(IdempotencyKey.created_at < database_now(session) - KEPT))
    row = session.get(IdempotencyKey, key)
    if row is None:
        return None
    if row.request_digest != digest:
        field = "Idempotency-Key"
        raise InvalidInputError([InvalidFieldError(field, key, "a key that was not used with another request")])
    return row.job_id


def remember(session: Session, key: str, digest: str, job_id: str) -> None:
    """Keep which job a request made.

    Raises:
        ConflictError: If another request with this key is under way.
    """
    session.add(IdempotencyKey(key=key, request_digest=digest, job_id=job_id, created_at=database_now(session)))
    try:
        session.flush()
    except IntegrityError as error:
        raise ConflictError(f"a request with the Idempotency-Key {key!r} is under way; ask again in a moment") from error
