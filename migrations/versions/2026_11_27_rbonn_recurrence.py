"""what RBONN's first value of U was where a spec or a candidate left it to the default of its time: 0.2; now 0.

Revision: a10000000006
Follows: a10000000005
"""

from collections.abc import Callable
from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "a10000000006"
down_revision = "a10000000005"
branch_labels = None
depends_on = None

_AT_ONCE = 500
_JOBS = sa.table("jobs", sa.column("id", sa.String), sa.column("spec", sa.JSON))
_CANDIDATES = sa.table("candidates", sa.column("id", sa.String), sa.column("method", sa.JSON))


def upgrade() -> None:
    """Write it out, in specs of searches and trainings and in methods of candidates."""
    _rewrite(_JOBS, "spec", _stated_spec)
    _rewrite(_CANDIDATES, "method", _stated)


def downgrade() -> None:
    """Leave it: it says what was done without it."""


def _rewrite(table: sa.TableClause, column: str, stated: Callable[[Any], Any]) -> None:
    connection, last = op.get_bind(), ""
    page = sa.select(table.c.id, table.c[column]).order_by(table.c.id).limit(_AT_ONCE)
    while rows := connection.execute(page.where(table.c.id > last)).all():
        for key, before in rows:
            if (after := stated(before)) != before:
                connection.execute(sa.update(table).where(table.c.id == key).values({column: after}))
        last = rows[-1].id


def _stated_spec(spec: dict[str, Any]) -> dict[str, Any]:
    """Return a spec with what its methods, and those of the training in it, left to the default."""
    written = dict(spec)
    if "method" in spec:
        written["method"] = _stated(spec["method"])
    if isinstance(spec.get("methods"), list):
        written["methods"] = [_stated(entry) for entry in spec["methods"]]
    if isinstance(spec.get("training"), dict):
        written["training"] = _stated_spec(spec["training"])
    return written


def _stated(method: Any) -> Any:  # noqa: ANN401 - JSON
    if not isinstance(method, dict) or method.get("name") != "rbonn":
        return method
    return {**method, "settings": {"recurrence_start": 0.2, **(method.get("settings") or {})}}
