"""jobs keep the names in their specs for lists, a note and tags.

Revision: a10000000002
Follows: a10000000001
"""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "a10000000002"
down_revision = "a10000000001"
branch_labels = None
depends_on = None

_BATCH = 500  # specs are long
_LISTED = ["id", "kind", "state", "space", "dataset", "strategy", "parent_id", "folded_name"]
_JOBS = sa.table(
    "jobs",
    sa.column("id", sa.String),
    sa.column("kind", sa.String),
    sa.column("name", sa.String),
    sa.column("spec", sa.JSON),
    sa.column("folded_name", sa.Text),
    sa.column("space", sa.String),
    sa.column("dataset", sa.String),
    sa.column("strategy", sa.String),
    sa.column("methods", sa.JSON),
)


def upgrade() -> None:
    """Add columns, fill them from the specs, and make the indices that lists are read from."""
    with op.batch_alter_table("jobs", schema=None) as batch_op:
        batch_op.add_column(sa.Column("folded_name", sa.Text(), nullable=False, server_default=""))
        for name in ("space", "dataset", "strategy"):
            batch_op.add_column(sa.Column(name, sa.String(length=100), nullable=True))
        batch_op.add_column(sa.Column("methods", sa.JSON(), nullable=False, server_default="[]"))
        batch_op.add_column(sa.Column("note", sa.Text(), nullable=False, server_default=""))
    _fill(op.get_bind())
    with op.batch_alter_table("jobs", schema=None) as batch_op:
        for name in ("folded_name", "methods", "note"):
            batch_op.alter_column(name, server_default=None)
        batch_op.drop_index("ix_jobs_state_id")
        batch_op.create_index("ix_jobs_state_id_kind", ["state", "id", "kind"], unique=False)
        batch_op.create_index("ix_jobs_listed", _LISTED, unique=False)
    op.create_table(
        "job_tags",
        sa.Column("job_id", sa.String(length=36), nullable=False),
        sa.Column("tag", sa.String(length=50), nullable=False),
        sa.ForeignKeyConstraint(["job_id"], ["jobs.id"], name=op.f("fk_job_tags_job_id_jobs"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("job_id", "tag", name=op.f("pk_job_tags")),
    )
    op.create_index("ix_job_tags_tag_job_id", "job_tags", ["tag", "job_id"], unique=False)


def downgrade() -> None:
    """Drop them; notes and tags are lost."""
    op.drop_table("job_tags")
    with op.batch_alter_table("jobs", schema=None) as batch_op:
        batch_op.drop_index("ix_jobs_listed")
        batch_op.drop_index("ix_jobs_state_id_kind")
        batch_op.create_index("ix_jobs_state_id", ["state", "id"], unique=False)
        for name in ("folded_name", "space", "dataset", "strategy", "methods", "note"):
            batch_op.drop_column(name)


def _fill(connection: sa.Connection) -> None:
    last = ""
    while True:
        columns = (_JOBS.c.id, _JOBS.c.kind, _JOBS.c.name, _JOBS.c.spec)
        query = sa.select(*columns).where(_JOBS.c.id > last).order_by(_JOBS.c.id).limit(_BATCH)
        rows = connection.execute(query).all()
        if not rows:
            return
        last = rows[-1].id
        statement = sa.update(_JOBS).where(_JOBS.c.id == sa.bindparam("key"))
        values: dict[str, Any] = {name: sa.bindparam(name) for name in ("folded_name", "space", "dataset", "strategy", "methods")}
        told = [{"key": row.id, "folded_name": row.name.casefold(), **_names(row.kind, row.spec)} for row in rows]
        connection.execute(statement.values(values), told)


def _names(kind: str, spec: dict[str, Any]) -> dict[str, Any]:
    names: dict[str, Any] = {field: (spec.get(field) or {}).get("name") for field in ("space", "dataset", "strategy")}
    if kind == "registration":
        names["dataset"] = spec.get("name")
    section = (spec.get("training") or {}) if kind == "search" else spec
    methods = [entry["name"] for entry in section.get("methods", [])]
    return names | {"methods": list(dict.fromkeys(methods))}
