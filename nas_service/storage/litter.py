"""Litter: what nobody needs any more is written down in the transaction that makes it so; the controller deletes it."""

from collections.abc import Iterable
from datetime import timedelta

from sqlalchemy import delete, select, update
from sqlalchemy.orm import Session

from nas_service.storage.models import Litter
from nas_service.storage.session import database_now


def drop(session: Session, keys: Iterable[str]) -> None:
    """Note that nobody needs these keys of the artifact store any more; one that ends in a slash is a whole folder."""
    now = database_now(session)
    for key in keys:
        session.merge(Litter(key=key, created_at=now))


def list_litter(session: Session, limit: int, age_s: float = 0.0) -> list[str]:
    """Return keys that should go, the oldest first.

    Args:
        session: An open session.
        limit: Most keys.
        age_s: Seconds that they have been litter: whoever wrote them last may still be about to end.
    """
    old = Litter.created_at <= database_now(session) - timedelta(seconds=age_s)
    return list(session.scalars(select(Litter.key).where(old).order_by(Litter.created_at, Litter.key).limit(limit)))


def put_off(session: Session, keys: Iterable[str]) -> None:
    """Put keys that cannot be deleted now behind all others."""
    session.execute(update(Litter).where(Litter.key.in_(list(keys))).values(created_at=database_now(session)))


def picked_up(session: Session, keys: Iterable[str]) -> None:
    """Note that nothing lies under these keys any more."""
    session.execute(delete(Litter).where(Litter.key.in_(list(keys))))
