"""indices of jobs hold the project: who sees a job is told without a look at its row.

Revision: a10000000011
Follows: a10000000010
"""

from collections.abc import Mapping, Sequence

from alembic import op

revision = "a10000000011"
down_revision = "a10000000010"
branch_labels = None
depends_on = None

_BEFORE = {
    "ix_jobs_kind_id": ["kind", "id"],
    "ix_jobs_state_id_kind": ["state", "id", "kind"],
    "ix_jobs_listed": ["id", "kind", "state", "space", "dataset", "strategy", "parent_id", "folded_name"],
}
_NOW = {name: [*columns, "project"] for name, columns in _BEFORE.items()}
_NOW["ix_jobs_listed"].append("owner")


def upgrade() -> None:
    """Make them anew."""
    _make(_NOW)


def downgrade() -> None:
    """Make them as they were."""
    _make(_BEFORE)


def _make(indices: Mapping[str, Sequence[str]]) -> None:
    for name, columns in indices.items():
        op.drop_index(name, "jobs")
        op.create_index(name, "jobs", columns)
