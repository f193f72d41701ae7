"""priorities, turns, and what jobs held: the queue is shared by owners.

Revision: a10000000012
Follows: a10000000011
"""

import sqlalchemy as sa
from alembic import op

revision = "a10000000012"
down_revision = "a10000000011"
branch_labels = None
depends_on = None

_NEW = ("priority", "made_room", "turn_at", "counted_at", "cpus", "gpus")
_IS_QUEUED = sa.text("state = 'queued'")


def upgrade() -> None:
    """Whatever ran before was not counted."""
    with op.batch_alter_table("jobs") as batch:
        batch.add_column(sa.Column("priority", sa.Integer(), server_default="0", nullable=False))
        batch.add_column(sa.Column("made_room", sa.Boolean(), server_default=sa.false(), nullable=False))
        batch.add_column(sa.Column("turn_at", sa.DateTime(timezone=True), nullable=True))
        batch.add_column(sa.Column("counted_at", sa.DateTime(timezone=True), nullable=True))
        batch.add_column(sa.Column("cpus", sa.Double(), server_default="0", nullable=False))
        batch.add_column(sa.Column("gpus", sa.Double(), server_default="0", nullable=False))
    op.create_index(
        "ix_jobs_waiting",
        "jobs",
        ["state", "kind", "owner", "priority", "id"],
        postgresql_where=_IS_QUEUED,
        sqlite_where=_IS_QUEUED,
    )
    with op.batch_alter_table("controllers") as batch:
        batch.add_column(sa.Column("owner_jobs", sa.Integer(), server_default="0", nullable=False))
    op.create_table(
        "usage",
        sa.Column("job_id", sa.String(36), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("owner", sa.String(100), nullable=True),
        sa.Column("project", sa.String(100), nullable=True),
        sa.Column("seconds", sa.Double(), nullable=False),
        sa.Column("cpu_seconds", sa.Double(), nullable=False),
        sa.Column("gpu_seconds", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("job_id", "day", name="pk_usage"),
    )
    op.create_index("ix_usage_day_owner_seconds", "usage", ["day", "owner", "seconds"])


def downgrade() -> None:
    """Forget them: the oldest goes first again, whosever it is."""
    op.drop_table("usage")
    with op.batch_alter_table("controllers") as batch:
        batch.drop_column("owner_jobs")
    op.drop_index("ix_jobs_waiting", table_name="jobs")
    with op.batch_alter_table("jobs") as batch:
        for name in _NEW:
            batch.drop_column(name)
