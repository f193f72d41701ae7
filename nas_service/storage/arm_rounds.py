"""Arms as columns, as they were once: kept with the wave that made them; they are what a replay of the samples gives."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import insert, select
from sqlalchemy.orm import Session

from nas_service.search.bandit import Arm
from nas_service.search.rounds import Snapshot
from nas_service.storage.models import ArmRoundRow
from search_spaces.genotype import Choice

_NAMES = ("cell", "edge", "operation")
_COLUMNS = ("pulls", "mean", "lower", "upper", "abandoned_round", "best_probability")


def add_snapshots(session: Session, job_id: str, snapshots: Sequence[Snapshot]) -> None:
    """Keep arms as they are now, or were within the last wave."""
    rows = [
        {"job_id": job_id, "samples": entry.samples, "round": entry.round, "arms": columns_of(entry.arms)} for entry in snapshots
    ]
    if rows:
        session.execute(insert(ArmRoundRow), rows)


def list_rounds(session: Session, job_id: str, keys: Sequence[Choice]) -> tuple[Snapshot, ...]:
    """Return the ends of rounds that were kept, in order; `keys` are the arms of the search's space in order."""
    query = select(ArmRoundRow).where(ArmRoundRow.job_id == job_id, ArmRoundRow.round.is_not(None))
    rows = session.scalars(query.order_by(ArmRoundRow.samples))
    return tuple(Snapshot(row.samples, row.round, _arms(row.arms, keys)) for row in rows)


def kept_at(session: Session, job_id: str) -> list[int]:
    """Return after how many samples arms were kept, in order."""
    query = select(ArmRoundRow.samples).where(ArmRoundRow.job_id == job_id)
    return list(session.scalars(query.order_by(ArmRoundRow.samples)))


def arms_at(session: Session, job_id: str, samples: int, keys: Sequence[Choice]) -> tuple[Arm, ...] | None:
    """Return the arms after so many samples if they were kept."""
    query = select(ArmRoundRow.arms).where(ArmRoundRow.job_id == job_id, ArmRoundRow.samples == samples)
    columns = session.scalar(query)
    return None if columns is None else _arms(columns, keys)


def columns_of(arms: Sequence[Arm]) -> dict[str, list[Any]]:
    """Return the figures of arms as columns."""
    return {name: [getattr(arm, name) for arm in arms] for name in _COLUMNS}


def names_of(arms: Sequence[Arm]) -> dict[str, list[str]]:
    """Return the names of arms as columns."""
    return {name: [getattr(arm.key, name) for arm in arms] for name in _NAMES}


def arms_from(names: dict[str, list[str]], columns: dict[str, list[Any]]) -> tuple[Arm, ...]:
    """Return arms that were written as columns."""
    return _arms(columns, [Choice(*key) for key in zip(*(names[name] for name in _NAMES), strict=True)])


def _arms(columns: dict[str, list[Any]], keys: Sequence[Choice]) -> tuple[Arm, ...]:
    rows = zip(keys, *(columns[name] for name in _COLUMNS), strict=True)
    return tuple(Arm(*row) for row in rows)
