"""the share of a whole training that a sample was, and the optimizer steps it took.

Revision: a10000000005
Follows: a10000000004
"""

import sqlalchemy as sa
from alembic import op

revision = "a10000000005"
down_revision = "a10000000004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the columns; samples of earlier searches were paths of a supernet, whose steps nobody counted."""
    with op.batch_alter_table("samples", schema=None) as batch_op:
        batch_op.add_column(sa.Column("fidelity", sa.Double(), nullable=False, server_default="1"))
        batch_op.add_column(sa.Column("steps", sa.Integer(), nullable=True))


def downgrade() -> None:
    """Drop the columns."""
    with op.batch_alter_table("samples", schema=None) as batch_op:
        batch_op.drop_column("steps")
        batch_op.drop_column("fidelity")
