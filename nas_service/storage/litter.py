"""Litter: what nobody needs any more is written down in the transaction that makes it so; the controller deletes it."""

from collections.abc import Iterable

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from nas_service.storage.models import Litter
from nas_service.storage.session import database_now


def drop(session: Session, keys: Iterable[str]) -> None:
    """Note that nobody needs these keys of the artifact store any more; one that ends in a slash is a whole folder."""
    now = database_now(session)
    for key in keys:
        session.merge(Litter(key=key, created_at=now))


def list_litter(session: Session, limit: int) -> list[str]:
    """Return keys that should go, the oldest first."""
    return list(session.scalars(select(Litter.key).order_by(Litter.created_at, Litter.key).limit(limit)))


def picked_up(session: Session, keys: Iterable[str]) -> None:
    """Note that nothing lies under these keys any more."""
    session.execute(delete(Litter).where(Litter.key.in_(list(keys))))
