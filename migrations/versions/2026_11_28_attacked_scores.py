"""what searches that trade accuracy under attack think of that of an architecture.

Revision: a10000000008
Follows: a10000000007
"""

import sqlalchemy as sa
from alembic import op

revision = "a10000000008"
down_revision = "a10000000007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the column; no earlier search had that objective."""
    with op.batch_alter_table("architectures", schema=None) as batch_op:
        batch_op.add_column(sa.Column("attacked_score", sa.Double(), nullable=True))


def downgrade() -> None:
    """Drop the column."""
    with op.batch_alter_table("architectures", schema=None) as batch_op:
        batch_op.drop_column("attacked_score")
