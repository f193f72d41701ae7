"""the share of a whole training that a sample was, the optimizer steps it took, and that earlier searches shared weights.

Revision: a10000000005
Follows: a10000000004
"""

from collections.abc import Callable
from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "a10000000005"
down_revision = "a10000000004"
branch_labels = None
depends_on = None

_AT_ONCE = 500
_JOBS = sa.table("jobs", sa.column("id", sa.String), sa.column("kind", sa.String), sa.column("spec", sa.JSON))


def upgrade() -> None:
    """Add the columns; samples of earlier searches were paths of a supernet, whose steps nobody counted."""
    _rewrite(lambda given: {**given, "own": given.get("own")})
    with op.batch_alter_table("samples", schema=None) as batch_op:
        batch_op.add_column(sa.Column("fidelity", sa.Double(), nullable=False, server_default="1"))
        batch_op.add_column(sa.Column("steps", sa.Integer(), nullable=True))


def downgrade() -> None:
    """Drop the columns, and take out the field that earlier versions do not know."""
    _rewrite(lambda given: {name: value for name, value in given.items() if name != "own"})
    with op.batch_alter_table("samples", schema=None) as batch_op:
        batch_op.drop_column("steps")
        batch_op.drop_column("fidelity")


def _rewrite(changed: Callable[[dict[str, Any]], dict[str, Any]]) -> None:
    """Write how the samples of every search are trained anew, some searches at a time."""
    connection, last = op.get_bind(), ""
    page = sa.select(_JOBS.c.id, _JOBS.c.spec).where(_JOBS.c.kind == "search").order_by(_JOBS.c.id).limit(_AT_ONCE)
    while rows := connection.execute(page.where(_JOBS.c.id > last)).all():
        for key, spec in rows:
            given = spec.get("evaluation")
            if isinstance(given, dict) and (after := changed(given)) != given:
                connection.execute(sa.update(_JOBS).where(_JOBS.c.id == key).values(spec={**spec, "evaluation": after}))
        last = rows[-1].id
