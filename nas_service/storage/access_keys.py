"""Keys of a service, kept as digests, and browsers that showed one."""

import hmac
from collections.abc import Sequence
from datetime import datetime, timedelta

from sqlalchemy import Select, delete, or_, select, update
from sqlalchemy.orm import Session

from nas_service.access import Caller, Scope, digest_of, new_cookie, new_key_text, prefix_of
from nas_service.errors import NotFoundError
from nas_service.storage.models import AccessKey, BrowserSession
from nas_service.storage.session import database_now

SESSION_LASTS = timedelta(hours=12)
BROWSERS = 20  # of one key that are let in at once
_USED_EVERY = timedelta(minutes=1)  # a row is not written with every request


def create_key(
    session: Session, owner: str, scope: Scope, lasts: timedelta | None, project: str | None = None
) -> tuple[AccessKey, str]:
    """Make a key; return its row and its text, which is kept nowhere. Without a project it shares nothing with other owners."""
    text, now = new_key_text(), database_now(session)
    prefix = prefix_of(text)
    assert prefix is not None  # noqa: S101 - for the type checker; it is a key's text
    expires = None if lasts is None else now + lasts
    row = AccessKey(
        prefix=prefix,
        owner=owner,
        project=project or owner,
        scope=scope.value,
        digest=digest_of(text),
        created_at=now,
        expires_at=expires,
    )
    session.add(row)
    session.flush()
    return row, text


def list_keys(session: Session) -> Sequence[AccessKey]:
    """Return all keys, also those that are void, oldest first."""
    return session.scalars(select(AccessKey).order_by(AccessKey.created_at, AccessKey.prefix)).all()


def has_valid_key(session: Session) -> bool:
    """Return whether anybody could use a service that asks for keys."""
    return session.scalars(_valid(database_now(session)).limit(1)).first() is not None


def revoke(session: Session, prefix: str) -> AccessKey:
    """Make a key void for good, with every browser that showed it.

    Raises:
        NotFoundError: If there is no such key.
    """
    row = session.get(AccessKey, prefix)
    if row is None:
        raise NotFoundError("key", prefix)
    if row.revoked_at is None:
        row.revoked_at = database_now(session)
    session.execute(delete(BrowserSession).where(BrowserSession.prefix == prefix))
    return row


def find_caller(session: Session, text: str) -> Caller | None:
    """Return whose key a text is; None for any text that is no valid key's."""
    prefix, now = prefix_of(text), database_now(session)
    row = None if prefix is None else session.scalars(_valid(now).where(AccessKey.prefix == prefix)).first()
    kept = digest_of("") if row is None else row.digest  # the same work whether there is such a key or not
    is_same = hmac.compare_digest(kept, digest_of(text))
    return _caller(row) if row is not None and is_same else None


def is_use_noted(session: Session, prefix: str) -> bool:
    """Return whether a use of a key within the last minute is written down."""
    used = session.scalar(select(AccessKey.used_at).where(AccessKey.prefix == prefix))
    return used is not None and used >= database_now(session) - _USED_EVERY


def note_use(session: Session, prefix: str) -> None:
    """Write down that a key was used, to the minute."""
    now = database_now(session)
    seldom = or_(AccessKey.used_at.is_(None), AccessKey.used_at < now - _USED_EVERY)
    session.execute(update(AccessKey).where(AccessKey.prefix == prefix, seldom).values(used_at=now))


def begin_session(session: Session, caller: Caller) -> str:
    """Let a browser in for a while; return its cookie, which is kept nowhere. Where there are too many the oldest has to go."""
    now = database_now(session)
    session.execute(delete(BrowserSession).where(BrowserSession.expires_at <= now))
    newest = (
        select(BrowserSession.digest).where(BrowserSession.prefix == caller.prefix).order_by(BrowserSession.expires_at.desc())
    )
    too_many = session.scalars(newest.offset(BROWSERS - 1)).all()
    session.execute(delete(BrowserSession).where(BrowserSession.digest.in_(too_many)))
    cookie = new_cookie()
    session.add(BrowserSession(digest=digest_of(cookie), prefix=caller.prefix, expires_at=now + SESSION_LASTS))
    return cookie


def find_session(session: Session, cookie: str) -> Caller | None:
    """Return whose browser a cookie is; None where it is nobody's, or its key is void."""
    now = database_now(session)
    shown = _valid(now).join(BrowserSession, BrowserSession.prefix == AccessKey.prefix)
    row = session.scalars(shown.where(BrowserSession.digest == digest_of(cookie), BrowserSession.expires_at > now)).first()
    return None if row is None else _caller(row)


def end_session(session: Session, cookie: str) -> None:
    """Forget a browser."""
    session.execute(delete(BrowserSession).where(BrowserSession.digest == digest_of(cookie)))


def _valid(now: datetime) -> Select[AccessKey]:
    lasts = or_(AccessKey.expires_at.is_(None), AccessKey.expires_at > now)
    return select(AccessKey).where(AccessKey.revoked_at.is_(None), lasts)


def _caller(row: AccessKey) -> Caller:
    return Caller(row.prefix, row.owner, row.project, Scope(row.scope))
