"""Visibility: which rows a session sees. It is decided here, for every statement, and nowhere else.

A session of a project finds, changes and deletes rows of that project, and those of nobody: jobs and data sets by their own
`project`, everything that hangs on a job by the job's. What is another project's is not there. A session of no project, as
drivers, controllers and administrators have it, sees everything.

A statement that has to count everybody's rows carries `EVERYBODYS`, or stands in a block of `everybodys`, as what numbers the
queue; it tells nothing of them but numbers. What is inserted is not limited: what it hangs on was found before.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import lru_cache
from typing import Any, Never

from sqlalchemy import ClauseElement, Executable, FromClause, SelectBase, Table, TextClause, event, exists, or_
from sqlalchemy.orm import LoaderCriteriaOption, ORMExecuteState, Session, with_loader_criteria

from nas_service.storage import models
from nas_service.storage.models import Base

PROJECT = "project"  # where a session's `info` holds the project that it belongs to
EVERYBODYS = {"everybodys": True}  # execution options

# In criteria, so that they do not meet the tables of the statement.
_JOBS = models.Job.__table__.alias("seen_jobs")
_CANDIDATES = models.Candidate.__table__.alias("seen_candidates")
_ARCHITECTURES = models.Architecture.__table__.alias("seen_architectures")
_DATASETS = models.DatasetRow.__table__.alias("seen_datasets")

_THE_SERVICES = {  # nobody's, and told to nobody
    models.Litter,
    models.Total,
    models.FileHold,
    models.ControllerRow,
    models.AccessKey,
    models.BrowserSession,
    models.AuditEvent,  # for administrators, who see everything
}


def _by_itself(model: Any, project: str) -> LoaderCriteriaOption:  # noqa: ANN401 - models share columns, not a type
    return with_loader_criteria(model, lambda row: or_(row.project == project, row.project.is_(None)), include_aliases=True)


def _by_job(model: Any, project: str) -> LoaderCriteriaOption:  # noqa: ANN401 - as above
    return with_loader_criteria(
        model,
        lambda row: exists().where(_JOBS.c.id == row.job_id, or_(_JOBS.c.project == project, _JOBS.c.project.is_(None))),
        include_aliases=True,
    )


def _by_candidate(model: Any, project: str) -> LoaderCriteriaOption:  # noqa: ANN401 - as above
    return with_loader_criteria(
        model,
        lambda row: exists().where(
            _CANDIDATES.c.id == row.candidate_id,
            _JOBS.c.id == _CANDIDATES.c.job_id,
            or_(_JOBS.c.project == project, _JOBS.c.project.is_(None)),
        ),
        include_aliases=True,
    )


def _by_any_owner(model: Any, project: str) -> LoaderCriteriaOption:  # noqa: ANN401 - as above
    """Limit files to those of candidates, architectures and registrations that are seen; a registration's may outlive it."""
    return with_loader_criteria(
        model,
        lambda row: or_(
            exists().where(
                _CANDIDATES.c.id == row.owner_id,
                _JOBS.c.id == _CANDIDATES.c.job_id,
                or_(_JOBS.c.project == project, _JOBS.c.project.is_(None)),
            ),
            exists().where(
                _ARCHITECTURES.c.id == row.owner_id,
                _JOBS.c.id == _ARCHITECTURES.c.job_id,
                or_(_JOBS.c.project == project, _JOBS.c.project.is_(None)),
            ),
            exists().where(_JOBS.c.id == row.owner_id, or_(_JOBS.c.project == project, _JOBS.c.project.is_(None))),
            exists().where(
                _DATASETS.c.registration_id == row.owner_id, or_(_DATASETS.c.project == project, _DATASETS.c.project.is_(None))
            ),
        ),
        include_aliases=True,
    )


_RULES: dict[type[Base], Callable[[Any, str], LoaderCriteriaOption]] = {
    models.Job: _by_itself,
    models.DatasetRow: _by_itself,
    models.UsageRow: _by_itself,
    models.JobTag: _by_job,
    models.SampleRow: _by_job,
    models.ArmTable: _by_job,
    models.ArmRoundRow: _by_job,
    models.Architecture: _by_job,
    models.Candidate: _by_job,
    models.Event: _by_job,
    models.IdempotencyKey: _by_job,
    models.CandidateEpoch: _by_candidate,
    models.Artifact: _by_any_owner,
}
LIMITED = tuple(_RULES)


@lru_cache(10_000)
def _limit(model: type[Base], project: str) -> LoaderCriteriaOption | None:
    """Return what limits a model to what a project sees; None for what is the service's own."""
    if model in _THE_SERVICES:
        return None
    if model not in _RULES:
        message = f"{model.__name__} has no rule that says who sees it: {__name__} wants one"
        raise LookupError(message)
    return _RULES[model](model, project)


def named_models(statement: ClauseElement | Executable) -> set[type[Base]]:
    """Return the models that a statement names anywhere in it.

    Raises:
        LookupError: If it, or a SELECT in it, names a table past its model, or is written as text: no limit would reach that.
    """
    own, within, tables = set[type[Base]](), set[type[Base]](), set[Table]()
    waiting: list[Any] = [statement]
    while waiting:
        element = waiting.pop()
        entity = element._annotations.get("parententity")  # noqa: SLF001 - SQLAlchemy's documented mark has no other reader
        if entity is not None:
            own.add(entity.mapper.class_)
            if isinstance(element, FromClause):
                continue
        elif isinstance(element, SelectBase) and element is not statement:
            within |= named_models(element)
            continue
        elif isinstance(element, Table):
            tables.add(element)
        elif isinstance(element, TextClause):
            _refuse(element)
        waiting += element.get_children()
    for table in tables - {model.__table__ for model in own}:
        _refuse(table)
    return own | within


def _refuse(element: object) -> Never:
    message = f"a session of a project cannot limit {str(element)[:200]!r}: name models, or carry EVERYBODYS"
    raise LookupError(message)


def without_rule() -> list[str]:
    """Return the names of models that nobody has said of who sees them."""
    models_ = {mapper.class_ for mapper in Base.registry.mappers}
    return sorted(model.__name__ for model in models_ - {*LIMITED, *_THE_SERVICES})


@contextmanager
def everybodys(session: Session) -> Iterator[None]:
    """Let every statement in the block count everybody's rows."""
    project = session.info.pop(PROJECT, None)
    try:
        yield
    finally:
        if project is not None:
            session.info[PROJECT] = project


@event.listens_for(Session, "do_orm_execute")
def _limit_statement(state: ORMExecuteState) -> None:
    project: str | None = state.session.info.get(PROJECT)
    if project is None or state.is_insert or state.execution_options.get("everybodys"):
        return
    limits = [_limit(model, project) for model in named_models(state.statement)]
    state.statement = state.statement.options(*(limit for limit in limits if limit is not None))
