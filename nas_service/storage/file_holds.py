"""Holds on all files: while there is one, nobody deletes from the artifact store.

A backup copies the database first and then the files that its copy names. What is deleted meanwhile would be missing from it,
so it holds them. Whoever deletes asks after the commit that made the files useless: if there is no hold then, every later copy of
the database knows that they are. A hold that nobody extends ends by itself: a backup that was killed stops nobody for long.
"""

from datetime import timedelta

from sqlalchemy import delete, select, update
from sqlalchemy.orm import Session

from nas_service.errors import ConflictError
from nas_service.storage.jobs import update_one
from nas_service.storage.models import FileHold
from nas_service.storage.session import database_now, new_id

HOLD = timedelta(minutes=10)  # without a sign of its holder


def take_hold(session: Session) -> str:
    """Hold all files, and return the hold's id."""
    now = database_now(session)
    session.execute(delete(FileHold).where(FileHold.expires_at <= now))
    hold = FileHold(id=new_id(), expires_at=now + HOLD)
    session.add(hold)
    return hold.id


def extend_hold(session: Session, hold_id: str) -> None:
    """Hold them for longer.

    Raises:
        ConflictError: If the hold is over: files may be gone.
    """
    now = database_now(session)
    held = update(FileHold).where(FileHold.id == hold_id, FileHold.expires_at > now)
    if not update_one(session, held.values(expires_at=now + HOLD)):
        minutes = HOLD.total_seconds() / 60
        raise ConflictError(f"a file took longer than {minutes:.0f} minutes, after which files may have gone: begin again")


def let_go(session: Session, hold_id: str) -> None:
    """End a hold."""
    session.execute(delete(FileHold).where(FileHold.id == hold_id))


def is_held(session: Session) -> bool:
    """Return whether somebody holds all files."""
    query = select(FileHold.id).where(FileHold.expires_at > database_now(session)).limit(1)
    return session.scalars(query).first() is not None
