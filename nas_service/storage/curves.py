"""Curves: the epochs of all candidates of a training in one query, of the columns that are asked for."""

from collections.abc import Collection, Iterator, Sequence
from itertools import groupby
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from nas_service.storage.models import Candidate, CandidateEpoch

FIGURES = ("train_loss", "train_accuracy", "validation_accuracy", "flip_ratio", "sign_balance", "bimodality", "seconds")
EXTRA = "extra"  # the method's own figures: all of them, or with a dot and a name behind it one
_AT_ONCE = 2000  # rows fetched from the database at a time


def count_epochs(session: Session, candidates: Collection[str]) -> int:
    """Return how many epochs are kept of candidates."""
    query = select(func.coalesce(func.sum(Candidate.epochs_done), 0)).where(Candidate.id.in_(candidates))
    return int(session.execute(query).scalar_one())


def epochs_of(
    session: Session, candidates: Collection[str], fields: Sequence[str]
) -> Iterator[tuple[str, list[tuple[int, dict[str, Any]]]]]:
    """Yield each candidate that has epochs with them: their numbers, and the values of `fields` (names of columns)."""
    columns = [getattr(CandidateEpoch, field) for field in fields]
    query = (
        select(CandidateEpoch.candidate_id, CandidateEpoch.epoch, *columns)
        .where(CandidateEpoch.candidate_id.in_(candidates))
        .order_by(CandidateEpoch.candidate_id, CandidateEpoch.epoch)
    )
    rows = session.execute(query.execution_options(yield_per=_AT_ONCE))
    for candidate, group in groupby(rows, key=lambda row: str(row[0])):
        yield candidate, [(row[1], dict(zip(fields, row[2:], strict=True))) for row in group]
