"""what was changed by whom, in rows that are added and never changed, and how many samples a search will take.

Revision: a10000000014
Follows: a10000000013
"""

import sqlalchemy as sa
from alembic import op

revision = "a10000000014"
down_revision = "a10000000013"
branch_labels = None
depends_on = None

_REFUSED = "audit events are never changed"


def upgrade() -> None:
    """Make the table and its guard; of jobs of before nobody knows how many samples they will take."""
    op.create_table(
        "audit_events",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("owner", sa.String(100), nullable=True),
        sa.Column("key", sa.String(16), nullable=True),
        sa.Column("address", sa.String(100), nullable=False),
        sa.Column("request_id", sa.String(100), nullable=True),
        sa.Column("action", sa.String(200), nullable=False),
        sa.Column("resource", sa.String(300), nullable=True),
        sa.Column("status", sa.Integer(), nullable=False),
        sa.Column("count", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_audit_events"),
    )
    op.create_index("ix_audit_events_at", "audit_events", ["at"])
    op.create_index("ix_audit_events_owner_id", "audit_events", ["owner", "id"])
    if op.get_bind().dialect.name == "postgresql":
        op.execute(
            f"CREATE FUNCTION keep_audit_events() RETURNS trigger LANGUAGE plpgsql AS "
            f"$$ BEGIN RAISE EXCEPTION '{_REFUSED}'; END $$"
        )
        op.execute(
            "CREATE TRIGGER audit_events_kept BEFORE UPDATE ON audit_events FOR EACH ROW EXECUTE FUNCTION keep_audit_events()"
        )
    else:
        op.execute(f"CREATE TRIGGER audit_events_kept BEFORE UPDATE ON audit_events BEGIN SELECT RAISE(ABORT, '{_REFUSED}'); END")
    with op.batch_alter_table("jobs") as batch:
        batch.add_column(sa.Column("samples", sa.Integer(), nullable=True))


def downgrade() -> None:
    """Drop both, with what was written down."""
    with op.batch_alter_table("jobs") as batch:
        batch.drop_column("samples")
    op.drop_table("audit_events")
    if op.get_bind().dialect.name == "postgresql":
        op.execute("DROP FUNCTION keep_audit_events()")
