"""backups that are under way: until they end, nothing is deleted from the artifact store.

Revision: a10000000016
Follows: a10000000015
"""

import sqlalchemy as sa
from alembic import op

revision = "a10000000016"
down_revision = "a10000000015"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the table."""
    op.create_table(
        "file_holds",
        sa.Column("id", sa.String(36), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_file_holds"),
    )


def downgrade() -> None:
    """Drop it."""
    op.drop_table("file_holds")
