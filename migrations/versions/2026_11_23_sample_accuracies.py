"""accuracies of a sample beside its reward.

Revision: b7e42d90c135
Follows: 4c1d7e0a92bf
"""

import sqlalchemy as sa
from alembic import op

revision = "b7e42d90c135"
down_revision = "4c1d7e0a92bf"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the columns; samples of earlier searches have none of these."""
    with op.batch_alter_table("samples", schema=None) as batch_op:
        batch_op.add_column(sa.Column("clean_accuracy", sa.Double(), nullable=True))
        batch_op.add_column(sa.Column("attacked_accuracy", sa.Double(), nullable=True))
        batch_op.add_column(sa.Column("parent_reward", sa.Double(), nullable=True))


def downgrade() -> None:
    """Drop the columns."""
    with op.batch_alter_table("samples", schema=None) as batch_op:
        batch_op.drop_column("parent_reward")
        batch_op.drop_column("attacked_accuracy")
        batch_op.drop_column("clean_accuracy")
