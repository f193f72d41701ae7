"""the arms of a search at the end of every round, and between where they are costly.

Revision: a10000000001
Follows: 7d52c90ae1f4
"""

import sqlalchemy as sa
from alembic import op

revision = "a10000000001"
down_revision = "7d52c90ae1f4"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the table; the rounds of searches that are there already are worked out from their samples."""
    op.create_table(
        "arm_rounds",
        sa.Column("job_id", sa.String(length=36), nullable=False),
        sa.Column("samples", sa.Integer(), nullable=False),
        sa.Column("round", sa.Integer(), nullable=True),
        sa.Column("arms", sa.JSON(), nullable=False),
        sa.ForeignKeyConstraint(["job_id"], ["jobs.id"], name=op.f("fk_arm_rounds_job_id_jobs"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("job_id", "samples", name=op.f("pk_arm_rounds")),
    )


def downgrade() -> None:
    """Drop the table; nothing is in it that the samples do not tell."""
    op.drop_table("arm_rounds")
