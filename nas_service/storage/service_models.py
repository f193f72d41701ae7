"""The tables of the service itself: who may use it, what it counts, what it still has to do. `models` has the others."""

from datetime import datetime

from sqlalchemy import BigInteger, ForeignKey, Index, Integer, String
from sqlalchemy.orm import Mapped, mapped_column

from nas_service.storage.base import CASCADE, Base, Id


class Litter(Base):
    """What nobody needs any more and may still lie in the artifact store: written down first, then deleted."""

    __tablename__ = "litter"

    key: Mapped[str] = mapped_column(String(200), primary_key=True)  # of a file; of a folder where it ends in a slash
    created_at: Mapped[datetime]


class FileHold(Base):
    """Somebody who needs every file of the artifact store to stay for a while: a backup."""

    __tablename__ = "file_holds"

    id: Mapped[str] = mapped_column(Id, primary_key=True)
    expires_at: Mapped[datetime]  # by the database's clock


class ControllerRow(Base):
    """A controller, so that every process of the service can tell whether somebody looks after the queue."""

    __tablename__ = "controllers"

    id: Mapped[str] = mapped_column(Id, primary_key=True)
    started_at: Mapped[datetime]
    stepped_at: Mapped[datetime]  # last good step, by the database's clock
    trouble: Mapped[str | None]  # why it can start no driver, in words
    owner_jobs: Mapped[int] = mapped_column(default=0, server_default="0")  # that one owner may have at work; 0: any number


class Total(Base):
    """A part of what the whole service counted: a total is the sum of its parts, see `totals`."""

    __tablename__ = "totals"

    name: Mapped[str] = mapped_column(String(64), primary_key=True)
    shard: Mapped[int] = mapped_column(primary_key=True)
    value: Mapped[float]


class AccessKey(Base):
    """A key of somebody who uses the service, without its secret: a row gives nobody access."""

    __tablename__ = "access_keys"

    prefix: Mapped[str] = mapped_column(String(16), primary_key=True)  # what it is called; part of its text
    owner: Mapped[str] = mapped_column(String(100))
    project: Mapped[str] = mapped_column(String(100))  # whose jobs and data sets it sees
    scope: Mapped[str] = mapped_column(String(16))
    digest: Mapped[str] = mapped_column(String(64))  # SHA-256 of its text, in hex
    created_at: Mapped[datetime]
    expires_at: Mapped[datetime | None]
    revoked_at: Mapped[datetime | None]
    used_at: Mapped[datetime | None]  # to the minute


class BrowserSession(Base):
    """A browser that showed a key: its cookie ends with it, or before."""

    __tablename__ = "browser_sessions"

    digest: Mapped[str] = mapped_column(String(64), primary_key=True)  # SHA-256 of its cookie, in hex
    prefix: Mapped[str] = mapped_column(String(16), ForeignKey("access_keys.prefix", ondelete=CASCADE), index=True)
    expires_at: Mapped[datetime]


class AuditEvent(Base):
    """Something that somebody changed, or was refused; rows are added, never changed (a trigger sees to it), and go with time."""

    __tablename__ = "audit_events"
    __table_args__ = (Index(None, "owner", "id"),)

    id: Mapped[int] = mapped_column(BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=True)
    at: Mapped[datetime] = mapped_column(index=True)  # by the database's clock
    owner: Mapped[str | None] = mapped_column(String(100))  # null: nobody was asked for a key, or it was none
    key: Mapped[str | None] = mapped_column(String(16))  # what the key is called
    address: Mapped[str] = mapped_column(String(100))  # from where
    request_id: Mapped[str | None] = mapped_column(String(100))
    action: Mapped[str] = mapped_column(String(200))  # verb and route with its placeholders, or a command
    resource: Mapped[str | None] = mapped_column(String(300))  # what stands in them, or what was made
    status: Mapped[int]  # of the reply
    count: Mapped[int]  # how many refusals the row stands for; 1 of what was done
