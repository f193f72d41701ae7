"""Samples as columns, for charts."""

from threading import Lock
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
    "fidelity": SampleRow.fidelity,
    "steps": SampleRow.steps,
    "loss": SampleRow.loss,
}
FIELDS = tuple(_COLUMNS)

Columns = dict[str, tuple[Any, ...]]


def sample_columns(session: Session, job_id: str, first: int = 0) -> Columns:
    """Return figures of the samples of a search from `first` on, one column a field, in the samples' order."""
    query = select(*_COLUMNS.values()).where(SampleRow.job_id == job_id, SampleRow.index >= first).order_by(SampleRow.index)
    rows = session.execute(query).all()
    columns = zip(*rows, strict=True) if rows else [()] * len(FIELDS)
    return dict(zip(FIELDS, map(tuple, columns), strict=True))


class KnownColumns:
    """Figures of the searches that were asked for last. A committed sample never changes, so only newer ones are read."""

    def __init__(self, most: int = 200_000) -> None:
        """Know none yet; keep those of about `most` samples, about 300 bytes each."""
        self._most = most
        self._known: dict[str, Columns] = {}  # the one that was asked for last is last
        self._lock = Lock()

    def columns(self, session: Session, job_id: str) -> Columns:
        """Return figures of all samples of a search, one column a field, in the samples' order; threads may ask at once."""
        with self._lock:
            known = self._known.get(job_id)
        if known is None:
            found = sample_columns(session, job_id)
        else:
            new = sample_columns(session, job_id, len(known["index"]))
            found = {name: known[name] + new[name] for name in FIELDS} if new["index"] else known
        with self._lock:
            self._known.pop(job_id, None)
            self._known[job_id] = found
            held = sum(len(columns["index"]) for columns in self._known.values())
            for oldest in list(self._known)[:-1]:
                if held <= self._most:
                    break
                held -= len(self._known.pop(oldest)["index"])
        return found


def cost_of(session: Session, job_id: str, digest: str) -> dict[str, Any] | None:
    """Return the cost of a genotype that a search sampled."""
    query = select(SampleRow.cost).where(SampleRow.job_id == job_id, SampleRow.digest == digest)
    return session.scalars(query.limit(1)).first()
