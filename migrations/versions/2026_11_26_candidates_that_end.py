"""candidates with moves of their own, jobs that say what they wait for, controllers.

Revision: c4a17f0e93b8
Follows: e51f08b6d2a4
"""

from datetime import UTC, datetime

import sqlalchemy as sa
from alembic import op

revision = "c4a17f0e93b8"
down_revision = "e51f08b6d2a4"
branch_labels = None
depends_on = None

_JOBS = sa.table(
    "jobs",
    sa.column("id", sa.String),
    sa.column("kind", sa.String),
    sa.column("state", sa.String),
    sa.column("error", sa.Text),
    sa.column("progress", sa.JSON),
    sa.column("finished_at", sa.DateTime(timezone=True)),
)
_CANDIDATES = sa.table(
    "candidates",
    sa.column("id", sa.String),
    sa.column("job_id", sa.String),
    sa.column("state", sa.String),
    sa.column("error", sa.Text),
    sa.column("finished_at", sa.DateTime(timezone=True)),
)
_LITTER = sa.table("litter", sa.column("key", sa.String), sa.column("created_at", sa.DateTime(timezone=True)))
_OPEN = ("waiting", "training")
_RENAMED = {"teachers_left": "full_precision_left"}
_PHASES = {"search": "sampling", "training": "candidates"}


def upgrade() -> None:
    """Add columns and table; end the candidates whose training is over, and put names to what jobs told."""
    with op.batch_alter_table("jobs", schema=None) as batch_op:
        batch_op.add_column(sa.Column("waiting_for", sa.Text(), nullable=True))
        batch_op.add_column(sa.Column("committed_at", sa.DateTime(timezone=True), nullable=True))
        batch_op.add_column(sa.Column("usual_s", sa.Double(), nullable=True))
    with op.batch_alter_table("candidates", schema=None) as batch_op:
        batch_op.add_column(sa.Column("worker", sa.String(length=100), nullable=True))
        batch_op.add_column(sa.Column("device", sa.String(length=50), nullable=True))
        batch_op.add_column(sa.Column("started_at", sa.DateTime(timezone=True), nullable=True))
    op.create_table(
        "controllers",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("stepped_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("trouble", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_controllers")),
    )
    op.create_table(
        "litter",
        sa.Column("key", sa.String(length=200), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_litter")),
    )
    connection = op.get_bind()
    _end_candidates(connection)
    _put_back_candidates(connection)
    _name_progress(connection)
    _drop_leftovers(connection)


def _end_candidates(connection: sa.Connection) -> None:
    over = sa.select(_JOBS.c.id, _JOBS.c.state, _JOBS.c.error, _JOBS.c.finished_at).where(
        _JOBS.c.kind == "training", _JOBS.c.state.in_(("cancelled", "failed"))
    )
    for job in connection.execute(over).all():
        values = {"state": job.state, "finished_at": job.finished_at}
        if job.state == "failed":
            values["error"] = f"its training failed: {job.error}"
        left = sa.update(_CANDIDATES).where(_CANDIDATES.c.job_id == job.id, _CANDIDATES.c.state.in_(_OPEN))
        connection.execute(left.values(values))


def _put_back_candidates(connection: sa.Connection) -> None:
    """Nobody trains the candidates of a job that waits in the queue."""
    queued = sa.select(_JOBS.c.id).where(_JOBS.c.kind == "training", _JOBS.c.state == "queued")
    resting = sa.update(_CANDIDATES).where(_CANDIDATES.c.job_id.in_(queued), _CANDIDATES.c.state == "training")
    connection.execute(resting.values(state="waiting"))


def _name_progress(connection: sa.Connection) -> None:
    for job in connection.execute(sa.select(_JOBS.c.id, _JOBS.c.kind, _JOBS.c.progress)).all():
        if "total" not in (job.progress or {}):
            told = {}  # nothing, or only that a teacher is in training
        else:
            told = {_RENAMED.get(name, name): value for name, value in job.progress.items()}
            told |= {"kind": job.kind, "phase": _PHASES[job.kind]}
        connection.execute(sa.update(_JOBS).where(_JOBS.c.id == job.id).values(progress=told))


def _drop_leftovers(connection: sa.Connection) -> None:
    """What jobs that are over left in the artifact store has no owner: the controller will delete it."""
    over = ("succeeded", "failed", "cancelled")
    searches = sa.select(_JOBS.c.id).where(_JOBS.c.kind == "search", _JOBS.c.state.in_(over))
    ended = sa.select(_CANDIDATES.c.id).where(_CANDIDATES.c.state.in_((*over, "stopped")))
    keys = [f"supernets/{search_id}/" for search_id in connection.scalars(searches)]
    keys += [f"candidates/{candidate_id}/checkpoint.safetensors" for candidate_id in connection.scalars(ended)]
    if keys:
        now = datetime.now(UTC)
        connection.execute(sa.insert(_LITTER), [{"key": key, "created_at": now} for key in keys])


def downgrade() -> None:
    """Drop what was added; candidates keep their last states, of which `cancelled` was not known before."""
    op.drop_table("litter")
    op.drop_table("controllers")
    connection = op.get_bind()
    connection.execute(sa.update(_CANDIDATES).where(_CANDIDATES.c.state == "cancelled").values(state="stopped"))
    connection.execute(sa.update(_CANDIDATES).where(_CANDIDATES.c.state == "attacking").values(state="training"))
    with op.batch_alter_table("candidates", schema=None) as batch_op:
        batch_op.drop_column("started_at")
        batch_op.drop_column("device")
        batch_op.drop_column("worker")
    with op.batch_alter_table("jobs", schema=None) as batch_op:
        batch_op.drop_column("usual_s")
        batch_op.drop_column("committed_at")
        batch_op.drop_column("waiting_for")
