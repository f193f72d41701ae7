"""all arms of a search in one row, as columns; and from which search another one begins, in a column of its own.

Revision: a10000000013
Follows: a10000000012
"""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "a10000000013"
down_revision = "a10000000012"
branch_labels = None
depends_on = None

_NAMES = ("cell", "edge", "operation")
_FIGURES = ("pulls", "mean", "lower", "upper", "abandoned_round", "best_probability")
_ARMS = sa.table("arms", *map(sa.column, ("job_id", "position", *_NAMES, *_FIGURES)))
_JOBS = sa.table("jobs", sa.column("id"), sa.column("kind"), sa.column("spec", sa.JSON()), sa.column("begins_from"))
_TABLES = sa.table("arm_tables", sa.column("job_id"), sa.column("names", sa.JSON()), sa.column("figures", sa.JSON()))


def upgrade() -> None:
    """Write every search's arms into one row, since a wave changes almost all of them; and what was looked for in every spec."""
    op.add_column("jobs", sa.Column("begins_from", sa.String(length=36), nullable=True))
    op.create_index(op.f("ix_jobs_begins_from"), "jobs", ["begins_from"])
    op.create_table(
        "arm_tables",
        sa.Column("job_id", sa.String(length=36), nullable=False),
        sa.Column("names", sa.JSON(), nullable=False),
        sa.Column("figures", sa.JSON(), nullable=False),
        sa.ForeignKeyConstraint(["job_id"], ["jobs.id"], name=op.f("fk_arm_tables_job_id_jobs"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("job_id", name=op.f("pk_arm_tables")),
    )
    connection = op.get_bind()
    named = _JOBS.c.spec["from_search"]["search"].as_string()
    searches = sa.select(_JOBS.c.id, named.label("begins_from")).where(_JOBS.c.kind == "search", named.is_not(None))
    for job_id, begins_from in connection.execute(searches).all():
        connection.execute(sa.update(_JOBS).where(_JOBS.c.id == job_id).values(begins_from=begins_from))
    for job_id in connection.scalars(sa.select(_ARMS.c.job_id).distinct()).all():
        arms = connection.execute(sa.select(_ARMS).where(_ARMS.c.job_id == job_id).order_by(_ARMS.c.position)).mappings().all()
        names, figures = ({name: [arm[name] for arm in arms] for name in which} for which in (_NAMES, _FIGURES))
        connection.execute(sa.insert(_TABLES), {"job_id": job_id, "names": names, "figures": figures})
    op.drop_table("arms")


def downgrade() -> None:
    """Give every arm a row of its own again."""
    op.create_table(
        "arms",
        sa.Column("job_id", sa.String(length=36), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("cell", sa.String(length=50), nullable=False),
        sa.Column("edge", sa.String(length=50), nullable=False),
        sa.Column("operation", sa.String(length=100), nullable=False),
        sa.Column("pulls", sa.Integer(), nullable=False),
        sa.Column("mean", sa.Double(), nullable=True),
        sa.Column("lower", sa.Double(), nullable=True),
        sa.Column("upper", sa.Double(), nullable=True),
        sa.Column("abandoned_round", sa.Integer(), nullable=True),
        sa.Column("best_probability", sa.Double(), nullable=True),
        sa.ForeignKeyConstraint(["job_id"], ["jobs.id"], name=op.f("fk_arms_job_id_jobs"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("job_id", "position", name=op.f("pk_arms")),
    )
    connection = op.get_bind()
    for job_id in connection.scalars(sa.select(_TABLES.c.job_id)).all():
        names, figures = connection.execute(sa.select(_TABLES.c.names, _TABLES.c.figures).where(_TABLES.c.job_id == job_id)).one()
        rows: list[dict[str, Any]] = [
            {"job_id": job_id, "position": position, **dict(zip((*_NAMES, *_FIGURES), arm, strict=True))}
            for position, arm in enumerate(
                zip(*(names[name] for name in _NAMES), *(figures[name] for name in _FIGURES), strict=True)
            )
        ]
        if rows:
            connection.execute(sa.insert(_ARMS), rows)
    op.drop_table("arm_tables")
    op.drop_index(op.f("ix_jobs_begins_from"), "jobs")
    op.drop_column("jobs", "begins_from")
