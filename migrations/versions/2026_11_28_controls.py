"""which architectures are controls: random ones that were drawn for comparison.

Revision: a10000000007
Follows: a10000000006
"""

import sqlalchemy as sa
from alembic import op

revision = "a10000000007"
down_revision = "a10000000006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the column; no earlier search drew any."""
    with op.batch_alter_table("architectures", schema=None) as batch_op:
        batch_op.add_column(sa.Column("control", sa.String(length=16), nullable=True))


def downgrade() -> None:
    """Drop the column: for an earlier version controls are what a search found last, with a score of 0."""
    with op.batch_alter_table("architectures", schema=None) as batch_op:
        batch_op.drop_column("control")
