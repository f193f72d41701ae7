"""figures of latent weights in every epoch.

Revision: 4c1d7e0a92bf
Follows: 9f305cba1874
"""

import sqlalchemy as sa
from alembic import op

revision = "4c1d7e0a92bf"
down_revision = "9f305cba1874"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the columns; epochs of earlier trainings get 0."""
    with op.batch_alter_table("candidate_epochs", schema=None) as batch_op:
        batch_op.add_column(sa.Column("sign_balance", sa.Double(), nullable=False, server_default="0"))
        batch_op.add_column(sa.Column("bimodality", sa.Double(), nullable=False, server_default="0"))


def downgrade() -> None:
    """Drop the columns."""
    with op.batch_alter_table("candidate_epochs", schema=None) as batch_op:
        batch_op.drop_column("bimodality")
        batch_op.drop_column("sign_balance")
