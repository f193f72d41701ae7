"""datasets name the registration that counted them.

Revision: 7d52c90ae1f4
Follows: c4a17f0e93b8
"""

from datetime import UTC, datetime

import sqlalchemy as sa
from alembic import op

revision = "7d52c90ae1f4"
down_revision = "c4a17f0e93b8"
branch_labels = None
depends_on = None

_JOBS = sa.table(
    "jobs",
    sa.column("kind", sa.String),
    sa.column("state", sa.String),
    sa.column("finished_at", sa.DateTime(timezone=True)),
    sa.column("lease_expires_at", sa.DateTime(timezone=True)),
    sa.column("waiting_for", sa.Text),
)


def upgrade() -> None:
    """Add the column; datasets that are registered already have none."""
    with op.batch_alter_table("datasets", schema=None) as batch_op:
        batch_op.add_column(sa.Column("registration_id", sa.String(length=36), nullable=True))


def downgrade() -> None:
    """Drop the column, and cancel registrations that are not over: nobody could carry them out."""
    is_open = _JOBS.c.state.not_in(("succeeded", "failed", "cancelled"))
    ended = {"state": "cancelled", "finished_at": datetime.now(UTC), "lease_expires_at": None, "waiting_for": None}
    op.get_bind().execute(sa.update(_JOBS).where(_JOBS.c.kind == "registration", is_open).values(ended))
    with op.batch_alter_table("datasets", schema=None) as batch_op:
        batch_op.drop_column("registration_id")
