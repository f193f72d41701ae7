"""Controllers: who looks after the queue, and whether they can."""

from datetime import datetime, timedelta

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from nas_service.storage.models import ControllerRow
from nas_service.storage.session import database_now

SILENT_AFTER = timedelta(seconds=60)  # a controller that has not stepped for so long is gone, or stuck


def report(session: Session, controller_id: str, trouble: str | None, owner_jobs: int = 0) -> None:
    """Keep that a controller has made a good step, why it can start no driver, if it cannot, and how many an owner may have."""
    now = database_now(session)
    row = session.get(ControllerRow, controller_id)
    if row is None:
        session.execute(delete(ControllerRow).where(ControllerRow.stepped_at < now - timedelta(days=1)))
        row = ControllerRow(id=controller_id, started_at=now)
        session.add(row)
    row.stepped_at, row.trouble, row.owner_jobs = now, trouble, owner_jobs


def sign_off(session: Session, controller_id: str) -> None:
    """Forget a controller that ends."""
    session.execute(delete(ControllerRow).where(ControllerRow.id == controller_id))


def last_step(session: Session) -> datetime | None:
    """Return when a controller stepped last that did not sign off; None if there is none."""
    return session.scalar(select(ControllerRow.stepped_at).order_by(ControllerRow.stepped_at.desc()).limit(1))


def living(session: Session, within: timedelta = SILENT_AFTER) -> list[ControllerRow]:
    """Return the controllers that made a good step within so long, the last one first."""
    since = database_now(session) - within
    query = select(ControllerRow).where(ControllerRow.stepped_at >= since).order_by(ControllerRow.stepped_at.desc())
    return list(session.scalars(query))
