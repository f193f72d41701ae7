"""how probably the best architecture holds an arm.

Revision: e51f08b6d2a4
Follows: b7e42d90c135
"""

import sqlalchemy as sa
from alembic import op

revision = "e51f08b6d2a4"
down_revision = "b7e42d90c135"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the column; arms of earlier searches have none."""
    with op.batch_alter_table("arms", schema=None) as batch_op:
        batch_op.add_column(sa.Column("best_probability", sa.Double(), nullable=True))


def downgrade() -> None:
    """Drop the column."""
    with op.batch_alter_table("arms", schema=None) as batch_op:
        batch_op.drop_column("best_probability")
