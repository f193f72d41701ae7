"""Arms at the ends of rounds, kept with the wave that ended them; they are what a replay of the samples gives."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import insert, select
from sqlalchemy.orm import Session

from nas_service.search.bandit import Arm
from nas_service.search.rounds import EndedRound, RoundArms
from nas_service.storage.models import ArmRoundRow
from search_spaces.genotype import Choice

_COLUMNS = ("pulls", "mean", "lower", "upper", "abandoned_round", "best_probability")


def add_rounds(session: Session, job_id: str, rounds: Sequence[RoundArms]) -> None:
    """Keep the arms at the ends of rounds."""
    rows = [
        {"job_id": job_id, "round": entry.ended.number, "samples": entry.ended.samples, "arms": _columns(entry.arms)}
        for entry in rounds
    ]
    if rows:
        session.execute(insert(ArmRoundRow), rows)


def list_rounds(session: Session, job_id: str, keys: Sequence[Choice]) -> tuple[RoundArms, ...]:
    """Return the rounds of a search that were kept, in order; `keys` are its space's arms in order."""
    query = select(ArmRoundRow).where(ArmRoundRow.job_id == job_id).order_by(ArmRoundRow.round)
    return tuple(RoundArms(EndedRound(row.round, row.samples), _arms(row.arms, keys)) for row in session.scalars(query))


def arms_at(session: Session, job_id: str, samples: int, keys: Sequence[Choice]) -> tuple[Arm, ...] | None:
    """Return the arms after so many samples if a round that was kept ended then."""
    query = select(ArmRoundRow.arms).where(ArmRoundRow.job_id == job_id, ArmRoundRow.samples == samples)
    columns = session.scalar(query)
    return None if columns is None else _arms(columns, keys)


def _columns(arms: Sequence[Arm]) -> dict[str, list[Any]]:
    return {name: [getattr(arm, name) for arm in arms] for name in _COLUMNS}


def _arms(columns: dict[str, list[Any]], keys: Sequence[Choice]) -> tuple[Arm, ...]:
    rows = zip(keys, *(columns[name] for name in _COLUMNS), strict=True)
    return tuple(Arm(*row) for row in rows)
