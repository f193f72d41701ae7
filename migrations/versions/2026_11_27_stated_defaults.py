"""what stored specs left to defaults that have changed since, written out: what follows of them goes on as it began.

A search or training that is resumed, repeated or compared means the network and the recipe that it had, not those of this
version: the template of a space of cells (`shortcut`; now `double-norm`), batch norm as it is scored (with moving averages,
`norm_batches` 0; now re-estimated), BONN's `kernel_loss` (1e-4; now 1e-5) and ReBNN's constant gamma (2e-4; now 4e-6).

Revision: a10000000004
Follows: a10000000003
"""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "a10000000004"
down_revision = "a10000000003"
branch_labels = None
depends_on = None

_CELLS = {"abandit", "abandit-general", "abandit-mini", "bats", "bnas", "cp-nas", "tiny"}  # spaces whose default has changed
_AT_ONCE = 500
_JOBS = sa.table("jobs", sa.column("id", sa.String), sa.column("kind", sa.String), sa.column("spec", sa.JSON))
_CANDIDATES = sa.table("candidates", sa.column("id", sa.String), sa.column("method", sa.JSON))


def upgrade() -> None:
    """Write them out, in specs of searches and trainings and in methods of candidates."""
    _rewrite(_JOBS, "spec", stated_spec, _JOBS.c.kind.in_(("search", "training")))
    _rewrite(_CANDIDATES, "method", stated_method, sa.true())


def _rewrite(table: sa.TableClause, column: str, stated: Any, only: sa.ColumnElement[bool]) -> None:  # noqa: ANN401 - a function of JSON
    connection, last = op.get_bind(), ""
    page = sa.select(table.c.id, table.c[column]).where(only).order_by(table.c.id).limit(_AT_ONCE)
    while rows := connection.execute(page.where(table.c.id > last)).all():
        for key, before in rows:
            if (after := stated(before)) != before:
                connection.execute(sa.update(table).where(table.c.id == key).values({column: after}))
        last = rows[-1].id


def stated_spec(spec: dict[str, Any]) -> dict[str, Any]:
    """Return the spec of a search or training with what it left to defaults of its time."""
    written = dict(spec)
    if isinstance(spec.get("space"), dict):
        written["space"] = _stated_space(spec["space"])
    if isinstance(spec.get("method"), dict):
        written["method"] = stated_method(spec["method"])
    if isinstance(spec.get("recipe"), dict):
        written["recipe"] = {"norm_batches": 0, **spec["recipe"]}
    if isinstance(spec.get("methods"), list):
        written["methods"] = [stated_method(entry) if isinstance(entry, dict) else entry for entry in spec["methods"]]
    if isinstance(spec.get("training"), dict):
        written["training"] = stated_spec(spec["training"])
    return written


def _stated_space(space: dict[str, Any]) -> dict[str, Any]:
    settings = space.get("settings") or {}
    if space.get("name") not in _CELLS or settings.get("template") is not None:
        return space
    return {**space, "settings": {**settings, "template": "shortcut"}}


def stated_method(method: dict[str, Any]) -> dict[str, Any]:
    """Return a method with the settings whose defaults have changed."""
    settings = method.get("settings") or {}
    if method.get("name") == "bonn":
        settings = {"kernel_loss": 1e-4, **settings}
    if method.get("name") == "rebnn" and settings.get("gamma") == "constant":
        settings = {"constant_gamma": 2e-4, **settings}
    return method if settings == (method.get("settings") or {}) else {**method, "settings": settings}


def downgrade() -> None:
    """Leave it: it says what was done without it; but take out the field that earlier versions do not know."""
    _rewrite(_JOBS, "spec", _unstated, _JOBS.c.kind.in_(("search", "training")))


def _unstated(spec: dict[str, Any]) -> dict[str, Any]:
    written = dict(spec)
    if isinstance(spec.get("recipe"), dict):
        written["recipe"] = {key: value for key, value in spec["recipe"].items() if key != "norm_batches"}
    if isinstance(spec.get("training"), dict):
        written["training"] = _unstated(spec["training"])
    return written
