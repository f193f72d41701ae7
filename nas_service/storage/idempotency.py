"""Idempotency keys: a request that is sent twice is carried out once. The same key of another owner is another key."""

import hashlib
import json
from datetime import timedelta
from typing import Any

from sqlalchemy import delete
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from nas_service.access import NOBODYS, Whose
from nas_service.errors import ConflictError, InvalidInputError
from nas_service.storage.models import IdempotencyKey
from nas_service.storage.session import database_now
from nas_service.storage.visibility import EVERYBODYS
from search_spaces.errors import InvalidFieldError

KEPT = timedelta(hours=24)


def request_digest(kind: str, spec: dict[str, Any]) -> str:
    """Return what identifies a request beside its key."""
    return hashlib.sha256(json.dumps([kind, spec], sort_keys=True).encode()).hexdigest()


def earlier_job(session: Session, key: str, digest: str, whose: Whose = NOBODYS) -> str | None:
    """Return the id of the job that an earlier request with this key made, or None.

    Raises:
        InvalidInputError: If the key came with another request before.
    """
    old = delete(IdempotencyKey).where(IdempotencyKey.created_at < database_now(session) - KEPT)
    session.execute(old, execution_options=EVERYBODYS)
    row = session.get(IdempotencyKey, _kept_as(key, whose))
    if row is None:
        return None
    if row.request_digest != digest:
        field = "Idempotency-Key"
        raise InvalidInputError([InvalidFieldError(field, key, "a key that was not used with another request")])
    return row.job_id


def remember(session: Session, key: str, digest: str, job_id: str, whose: Whose = NOBODYS) -> None:
    """Keep which job a request made.

    Raises:
        ConflictError: If another request with this key is under way.
    """
    row = IdempotencyKey(key=_kept_as(key, whose), request_digest=digest, job_id=job_id, created_at=database_now(session))
    session.add(row)
    try:
        session.flush()
    except IntegrityError as error:
        raise ConflictError(f"a request with the Idempotency-Key {key!r} is under way; ask again in a moment") from error


def _kept_as(key: str, whose: Whose) -> str:
    """Return a key as it is kept: where nobody was asked who calls, as it came."""
    if whose.owner is None:
        return key
    return hashlib.sha256(json.dumps([whose.project, whose.owner, key]).encode()).hexdigest()
