"""keys of people and programs that use a service, and browsers that showed one.

Revision: a10000000009
Follows: a10000000008
"""

import sqlalchemy as sa
from alembic import op

revision = "a10000000009"
down_revision = "a10000000008"
branch_labels = None
depends_on = None

MOMENT = sa.DateTime(timezone=True)


def upgrade() -> None:
    """Make both tables; a service without a row in the first asks nobody for a key on loopback."""
    op.create_table(
        "access_keys",
        sa.Column("prefix", sa.String(16), nullable=False),
        sa.Column("owner", sa.String(100), nullable=False),
        sa.Column("scope", sa.String(16), nullable=False),
        sa.Column("digest", sa.String(64), nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.Column("expires_at", MOMENT, nullable=True),
        sa.Column("revoked_at", MOMENT, nullable=True),
        sa.Column("used_at", MOMENT, nullable=True),
        sa.PrimaryKeyConstraint("prefix", name="pk_access_keys"),
    )
    op.create_table(
        "browser_sessions",
        sa.Column("digest", sa.String(64), nullable=False),
        sa.Column("prefix", sa.String(16), nullable=False),
        sa.Column("expires_at", MOMENT, nullable=False),
        sa.ForeignKeyConstraint(
            ["prefix"], ["access_keys.prefix"], name="fk_browser_sessions_prefix_access_keys", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("digest", name="pk_browser_sessions"),
    )
    op.create_index("ix_browser_sessions_prefix", "browser_sessions", ["prefix"])


def downgrade() -> None:
    """Drop both; every key is void then."""
    op.drop_table("browser_sessions")
    op.drop_table("access_keys")
