"""whose jobs and data sets are: an owner, and a project whose keys share them.

Revision: a10000000010
Follows: a10000000009
"""

import sqlalchemy as sa
from alembic import op

revision = "a10000000010"
down_revision = "a10000000009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """What was there before belongs to nobody, and so to everybody; a key of before shares with the owner's others."""
    for table in ("jobs", "datasets"):
        with op.batch_alter_table(table) as batch:
            batch.add_column(sa.Column("owner", sa.String(100), nullable=True))
            batch.add_column(sa.Column("project", sa.String(100), nullable=True))
    with op.batch_alter_table("access_keys") as batch:
        batch.add_column(sa.Column("project", sa.String(100), nullable=True))
    op.execute("UPDATE access_keys SET project = owner")
    with op.batch_alter_table("access_keys") as batch:
        batch.alter_column("project", existing_type=sa.String(100), nullable=False)


def downgrade() -> None:
    """Drop them: everybody sees everything."""
    for table in ("access_keys", "datasets", "jobs"):
        with op.batch_alter_table(table) as batch:
            batch.drop_column("project")
    for table in ("datasets", "jobs"):
        with op.batch_alter_table(table) as batch:
            batch.drop_column("owner")
