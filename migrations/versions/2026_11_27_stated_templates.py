"""the template of every stored spec's space, which was that of its time: `shortcut`, where none was given.

A spec without one would now be built with the default of this version, `double-norm`, and what follows of it, a training or a
resumed search, would be of another network than what went before.

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

_BEFORE = "shortcut"
_OWN = {"resnet-18", "resnet-20", "vgg-binarynet", "vgg-small"}  # spaces with a template of their own
_AT_ONCE = 500
_JOBS = sa.table("jobs", sa.column("id", sa.String), sa.column("kind", sa.String), sa.column("spec", sa.JSON))


def upgrade() -> None:
    """Write it out, in the specs of searches and trainings."""
    connection, last = op.get_bind(), ""
    page = (
        sa.select(_JOBS.c.id, _JOBS.c.spec).where(_JOBS.c.kind.in_(("search", "training"))).order_by(_JOBS.c.id).limit(_AT_ONCE)
    )
    while rows := connection.execute(page.where(_JOBS.c.id > last)).all():
        for key, spec in rows:
            if (stated := _stated(spec)) is not None:
                connection.execute(sa.update(_JOBS).where(_JOBS.c.id == key).values(spec=stated))
        last = rows[-1].id


def _stated(spec: dict[str, Any]) -> dict[str, Any] | None:
    """Return a spec with the template of its space; None where it has one."""
    space = spec.get("space")
    if not isinstance(space, dict) or space.get("name") in _OWN:
        return None
    settings = space.get("settings") or {}
    if settings.get("template") is not None:
        return None
    return {**spec, "space": {**space, "settings": {**settings, "template": _BEFORE}}}


def downgrade() -> None:
    """Leave it: earlier versions know the setting, and it says what they did without it."""
