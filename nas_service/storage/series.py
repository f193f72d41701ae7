"""Samples as columns, for charts."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import ColumnElement, select
from sqlalchemy.orm import Session

from nas_service.storage.models import SampleRow

_COLUMNS: dict[str, ColumnElement[Any] | Any] = {
    "index": SampleRow.index,
    "reward": SampleRow.reward,
    "clean_accuracy": SampleRow.clean_accuracy,
    "attacked_accuracy": SampleRow.attacked_accuracy,
    "ops": SampleRow.cost["ops"].as_float(),
    "packed_bytes": SampleRow.cost["packed_bytes"].as_float(),
    "seconds": SampleRow.seconds,
    "wave": SampleRow.wave,
    "loss": SampleRow.loss,
}
FIELDS = tuple(_COLUMNS)


def sample_columns(session: Session, job_id: str, fields: Sequence[str]) -> dict[str, list[Any]]:
    """Return figures of all samples of a search, one list a field (of `FIELDS`), in the samples' order."""
    query = select(*(_COLUMNS[name] for name in fields)).where(SampleRow.job_id == job_id).order_by(SampleRow.index)
    rows = session.execute(query).all()
    columns = zip(*rows, strict=True) if rows else [()] * len(fields)
    return {name: list(column) for name, column in zip(fields, columns, strict=True)}


def cost_of(session: Session, job_id: str, digest: str) -> dict[str, Any] | None:
    """Return the cost of a genotype that a search sampled."""
    query = select(SampleRow.cost).where(SampleRow.job_id == job_id, SampleRow.digest == digest)
    return session.scalars(query.limit(1)).first()
