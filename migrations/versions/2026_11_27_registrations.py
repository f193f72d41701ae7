"""datasets name the registration that counted them.

Revision: 7d52c90ae1f4
Follows: c4a17f0e93b8
"""

from collections.abc import Sequence
from datetime import UTC, datetime

import sqlalchemy as sa
from alembic import op

revision = "7d52c90ae1f4"
down_revision = "c4a17f0e93b8"
branch_labels = None
depends_on = None

_JOBS = sa.table(
    "jobs",
    sa.column("id", sa.String),
    sa.column("kind", sa.String),
    sa.column("state", sa.String),
    sa.column("finished_at", sa.DateTime(timezone=True)),
    sa.column("lease_expires_at", sa.DateTime(timezone=True)),
    sa.column("waiting_for", sa.Text),
)
_ARTIFACTS = sa.table("artifacts", sa.column("owner_id", sa.String), sa.column("kind", sa.String))
_LITTER = sa.table("litter", sa.column("key", sa.String), sa.column("created_at", sa.DateTime(timezone=True)))


def upgrade() -> None:
    """Add the column; datasets that are registered already have none."""
    with op.batch_alter_table("datasets", schema=None) as batch_op:
        batch_op.add_column(sa.Column("registration_id", sa.String(length=36), nullable=True))


def downgrade() -> None:
    """Drop the column and contact sheets, and cancel registrations that are not over: nobody could carry them out."""
    connection, now = op.get_bind(), datetime.now(UTC)
    is_open = sa.and_(_JOBS.c.kind == "registration", _JOBS.c.state.not_in(("succeeded", "failed", "cancelled")))
    _drop_sheets(connection, connection.scalars(sa.select(_JOBS.c.id).where(is_open)).all(), now)
    ended = {"state": "cancelled", "finished_at": now, "lease_expires_at": None, "waiting_for": None}
    connection.execute(sa.update(_JOBS).where(is_open).values(ended))
    with op.batch_alter_table("datasets", schema=None) as batch_op:
        batch_op.drop_column("registration_id")


def _drop_sheets(connection: sa.Connection, unfinished: Sequence[str], now: datetime) -> None:
    """Without the column nobody can find a sheet, so its folder is left to the controller to delete, as is one half made."""
    is_sheet = _ARTIFACTS.c.kind == "sheet"
    owners = connection.scalars(sa.select(_ARTIFACTS.c.owner_id).where(is_sheet)).all()
    connection.execute(sa.delete(_ARTIFACTS).where(is_sheet))
    keys = {f"registrations/{registration_id}/" for registration_id in (*owners, *unfinished)}
    keys -= set(connection.scalars(sa.select(_LITTER.c.key).where(_LITTER.c.key.in_(keys))))
    if keys:
        connection.execute(sa.insert(_LITTER), [{"key": key, "created_at": now} for key in sorted(keys)])
