"""Datasets that users registered."""

from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from nas_service.errors import ConflictError, NotFoundError
from nas_service.storage.models import DatasetRow
from nas_service.storage.session import database_now


def register_dataset(session: Session, name: str, kind: str, settings: dict[str, Any], facts: dict[str, Any]) -> DatasetRow:
    """Keep a dataset under `name`.

    Raises:
        ConflictError: If the name is taken.
    """
    if session.get(DatasetRow, name) is not None:
        message = f"a dataset {name!r} is registered already"
        raise ConflictError(message)
    row = DatasetRow(name=name, kind=kind, settings=settings, facts=facts, created_at=database_now(session))
    session.add(row)
    session.flush()
    return row


def delete_dataset(session: Session, name: str) -> None:
    """Forget the name of a dataset; jobs that learnt it hold what it stood for.

    Raises:
        NotFoundError: If nothing is registered under it.
    """
    row = session.get(DatasetRow, name)
    if row is None:
        kind = "registered dataset"
        raise NotFoundError(kind, name)
    session.delete(row)


def list_datasets(session: Session) -> list[DatasetRow]:
    """Return the registered datasets by name."""
    return list(session.scalars(select(DatasetRow).order_by(DatasetRow.name)))
