"""what the whole service counted: samples, attempts that were lost, waits, bytes of files.

Revision: a10000000015
Follows: a10000000014
"""

import sqlalchemy as sa
from alembic import op

revision = "a10000000015"
down_revision = "a10000000014"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Count once what is there; waits, and attempts by why they were lost, were not kept."""
    op.create_table(
        "totals",
        sa.Column("name", sa.String(64), nullable=False),
        sa.Column("shard", sa.Integer(), nullable=False),
        sa.Column("value", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("name", "shard", name=op.f("pk_totals")),
    )
    for name, counted in (
        ("samples", "SELECT count(*) FROM samples"),
        ("artifact_bytes", "SELECT coalesce(sum(size_bytes), 0) FROM artifacts"),
    ):
        op.execute(f"INSERT INTO totals (name, shard, value) VALUES ('{name}', 0, ({counted}))")  # noqa: S608 - of this file


def downgrade() -> None:
    """Forget what was counted."""
    op.drop_table("totals")
