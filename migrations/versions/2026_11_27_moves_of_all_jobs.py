"""an index on the moves of all jobs, which their stream reads on among the many other events.

Revision: a10000000003
Follows: a10000000002
"""

import sqlalchemy as sa
from alembic import op

revision = "a10000000003"
down_revision = "a10000000002"
branch_labels = None
depends_on = None

_IS_MOVE = sa.text("kind = 'state'")


def upgrade() -> None:
    """Add the index."""
    op.create_index("ix_events_moves", "events", ["id"], unique=False, postgresql_where=_IS_MOVE, sqlite_where=_IS_MOVE)


def downgrade() -> None:
    """Drop it."""
    op.drop_index("ix_events_moves", table_name="events")
