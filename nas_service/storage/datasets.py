"""Datasets that users registered."""

from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy import or_, select
from sqlalchemy.orm import Session

from nas_service.errors import ConflictError, NotFoundError
from nas_service.lifecycle import FINISHED
from nas_service.reports import DatasetReport
from nas_service.specs import RegistrationSpec
from nas_service.storage import keys, litter
from nas_service.storage.artifacts import StoredFile, forget_artifacts, record_artifact
from nas_service.storage.jobs import REGISTRATION
from nas_service.storage.models import DatasetRow, Job
from nas_service.storage.session import database_now, exclusive
from nas_service.storage.visibility import EVERYBODYS

SHEET = "sheet"  # the kind of artifact

_NAMES = 7_230_002  # the lock of those who look whether a name is free and take it


@dataclass(frozen=True)
class Registration:
    """What a registration found.

    Attributes:
        spec: What was asked for.
        facts: As they were counted.
        sheet: Where some of the images are drawn.
    """

    spec: RegistrationSpec
    facts: DatasetReport
    sheet: StoredFile


def require_free_name(session: Session, name: str) -> None:
    """Refuse a name that a dataset has, or a registration that is not over wants; until the transaction ends it stays free.

    Raises:
        ConflictError: If it is taken.
    """
    _require_unregistered(session, name)
    over = [state.value for state in FINISHED]
    query = select(Job).where(Job.kind == REGISTRATION, Job.name == name, Job.state.not_in(over)).limit(1)
    if session.scalars(query, execution_options=EVERYBODYS).first() is None:
        return
    job = session.scalars(query).first()
    if job is None:
        raise ConflictError(_anothers(name))
    raise ConflictError(f"registration {job.id}, which is {job.state}, is about to take the name {name!r}")


def _require_unregistered(session: Session, name: str) -> None:
    exclusive(session, _NAMES)
    taken = session.scalar(select(DatasetRow.name).where(DatasetRow.name == name), execution_options=EVERYBODYS)
    if taken is None:
        return
    seen = session.get(DatasetRow, name, populate_existing=True) is not None
    raise ConflictError(f"a dataset {name!r} is registered already" if seen else _anothers(name))


def _anothers(name: str) -> str:
    return f"the name {name!r} is taken in another project: names of datasets are unique in a service, so choose another"


def register_dataset(session: Session, job_id: str, found: Registration) -> DatasetRow:
    """Keep what a registration found, with its sheet.

    Raises:
        ConflictError: If the name is taken.
    """
    spec = found.spec
    _require_unregistered(session, spec.name)
    job = session.get(Job, job_id)
    row = DatasetRow(
        name=spec.name,
        kind=spec.kind,
        settings=spec.settings,
        owner=None if job is None else job.owner,
        project=None if job is None else job.project,
        facts=found.facts.model_dump(mode="json"),
        registration_id=job_id,
        created_at=database_now(session),
    )
    session.add(row)
    session.flush()
    record_artifact(session, job_id, SHEET, found.sheet)
    return row


def delete_dataset(session: Session, name: str) -> None:
    """Forget the name of a dataset; jobs that learnt it hold what it stood for. Its sheet becomes litter.

    Raises:
        NotFoundError: If nothing is registered under it.
    """
    row = get_dataset(session, name)
    if row.registration_id is not None:  # before the row goes, by which its sheet is seen
        forget_artifacts(session, [row.registration_id])
        litter.drop(session, [keys.registration_folder(row.registration_id)])
    session.delete(row)


def get_dataset(session: Session, name: str) -> DatasetRow:
    """Return a registered dataset.

    Raises:
        NotFoundError: If nothing is registered under the name.
    """
    row = session.get(DatasetRow, name)
    if row is None:
        kind = "registered dataset"
        raise NotFoundError(kind, name)
    return row


def registered_digests(session: Session, job_id: str, kind: str, settings: Mapping[str, object]) -> dict[str, str]:
    """Return the digests of what was registered of this kind with equal settings, by name, as far as a job's project sees it.

    Earlier versions kept none.
    """
    project = session.scalar(select(Job.project).where(Job.id == job_id))
    seen = DatasetRow.project.is_(None) if project is None else or_(DatasetRow.project.is_(None), DatasetRow.project == project)
    rows = session.scalars(select(DatasetRow).where(DatasetRow.kind == kind, seen).order_by(DatasetRow.name))
    return {row.name: row.facts["digest"] for row in rows if row.settings == settings and row.facts.get("digest") is not None}


def list_datasets(session: Session) -> list[DatasetRow]:
    """Return the registered datasets by name."""
    return list(session.scalars(select(DatasetRow).order_by(DatasetRow.name)))
