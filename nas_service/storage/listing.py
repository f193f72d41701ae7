"""Lists of jobs of every kind: filtered, counted, and without the specs, which are long."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeVarTuple

from sqlalchemy import ColumnElement, Select, delete, func, insert, literal_column, or_, select
from sqlalchemy.orm import InstrumentedAttribute, Session, load_only

from nas_service.storage import jobs
from nas_service.storage.models import Job, JobTag

Columns = TypeVarTuple("Columns")

_ID_LETTERS = 36
_ID_BEGUN = re.compile("[0-9a-f-]{4,36}")
_SHOWN = (
    Job.id,
    Job.kind,
    Job.name,
    Job.state,
    Job.space,
    Job.dataset,
    Job.strategy,
    Job.methods,
    Job.progress,
    Job.error,
    Job.parent_id,
    Job.owner,
    Job.project,
    Job.priority,
    Job.made_room,
    Job.waiting_for,
    Job.created_at,
    Job.started_at,
    Job.finished_at,
)


@dataclass(frozen=True)
class JobFilter:
    """Which jobs a list holds; what is empty or None filters nothing.

    Attributes:
        kinds: One of them.
        states: One of them.
        text: Somewhere in the name, whatever the case; or the beginning of the id.
        space: By its name, as are `dataset` and `strategy`.
        dataset: A registration has the one that it registers.
        strategy: Of a search.
        tag: One that people gave.
        parent: The search that started them.
        owner: Whose they are.
    """

    kinds: Sequence[str] = ()
    states: Sequence[str] = ()
    text: str | None = None
    space: str | None = None
    dataset: str | None = None
    strategy: str | None = None
    tag: str | None = None
    parent: str | None = None
    owner: str | None = None


def list_rows(session: Session, only: JobFilter, *, limit: int, before: str | None = None) -> list[Job]:
    """Return jobs, newest first, older than the id `before`; of each only what lists show is read."""
    ids = _filtered(select(Job.id), only).order_by(Job.id.desc()).limit(limit)
    if before is not None:
        ids = ids.where(Job.id < before)
    found = list(session.scalars(ids))
    query = select(Job).options(load_only(*_SHOWN, raiseload=True)).where(Job.id.in_(found)).order_by(Job.id.desc())
    return list(session.scalars(query))


def count_rows(session: Session, only: JobFilter) -> dict[str, int]:
    """Return the number of jobs by state, of those that the filter lets pass."""
    state: ColumnElement[str] = Job.state.expression if only == JobFilter() else _plain(Job.state)
    rows = session.execute(_filtered(select(state, func.count()), only).group_by(state))
    return {name: int(count) for name, count in rows}


def tags_of(session: Session, job_ids: Sequence[str]) -> dict[str, list[str]]:
    """Return by id the tags of jobs that have some, in order."""
    found: dict[str, list[str]] = {}
    query = select(JobTag.job_id, JobTag.tag).where(JobTag.job_id.in_(job_ids)).order_by(JobTag.job_id, JobTag.tag)
    for job_id, tag in session.execute(query):
        found.setdefault(job_id, []).append(tag)
    return found


def annotate(session: Session, job_id: str, kind: str, **values: Any) -> Job:  # noqa: ANN401 - of four columns
    """Change a job's `name`, `note`, `tags` or `priority`, those that are given; its spec stays as it was submitted.

    Raises:
        NotFoundError: If there is no such job.
    """
    jobs.get_job(session, job_id, kind)
    tags = values.pop("tags", None)
    if "name" in values:
        values["folded_name"] = values["name"].casefold()
    if values:
        jobs.set_values(session, job_id, **values)
    if tags is not None:
        session.execute(delete(JobTag).where(JobTag.job_id == job_id))
        if tags:
            session.execute(insert(JobTag), [{"job_id": job_id, "tag": tag} for tag in dict.fromkeys(tags)])
    return jobs.get_job(session, job_id, kind)


def _filtered(query: Select[*Columns], only: JobFilter) -> Select[*Columns]:
    """Add the filters.

    One kind, one state, or both, is a stretch of an index of its own. With more no such stretch is short for sure, and the
    database would look at the row of every job in it. So all are compared inside the index `ix_jobs_listed`, which takes about
    25 ms for 100,000 jobs at the worst.
    """
    compared: list[tuple[InstrumentedAttribute[Any], Sequence[str]]] = [(Job.kind, only.kinds), (Job.state, only.states)]
    named = ((Job.space, only.space), (Job.dataset, only.dataset), (Job.strategy, only.strategy), (Job.owner, only.owner))
    is_stretch = len(only.kinds) < 2 and len(only.states) < 2 and not only.text and all(value is None for _, value in named)  # noqa: PLR2004 - one of each
    compared += [(column, [] if value is None else [value]) for column, value in named]
    for column, values in compared:
        if values:
            query = query.where(column.in_(values) if is_stretch else _plain(column).in_(values))
    if only.text:
        query = query.where(_has_text(only.text.casefold()))
    if only.parent is not None:
        query = query.where(Job.parent_id == only.parent)
    if only.tag is not None:
        query = query.where(Job.id.in_(select(JobTag.job_id).where(JobTag.tag == only.tag)))
    return query


def _plain(column: InstrumentedAttribute[Any]) -> ColumnElement[Any]:
    """Return the value of a column in a form for which no planner leaves `ix_jobs_listed` for another index."""
    return func.coalesce(column, literal_column("''"))


def _has_text(folded: str) -> ColumnElement[bool]:
    """Compare names, and ids where the text may begin one; a whole id is looked up."""
    if len(folded) == _ID_LETTERS and _ID_BEGUN.fullmatch(folded):
        return Job.id == folded
    escaped = re.sub("([%_/])", r"/\1", folded)
    in_name = Job.folded_name.like(f"%{escaped}%", escape="/")
    if not _ID_BEGUN.fullmatch(folded):
        return in_name
    return or_(in_name, Job.id.like(f"{folded}%"))
